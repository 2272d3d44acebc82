//! Requests that were applied: the same id again is answered the same, and changes nothing.

use libra_proto::registry::{Applied, Command, Rejection, RejectionCode, RequestRecord, applied};

use super::malformed;
use crate::registry::error::over_limit;
use crate::registry::state::Registry;

/// The length of a request id.
const ID_BYTES: usize = 16;

impl Registry {
    /// What a command comes to without being run: of another term's leader, or known already.
    /// A repeated command of an earlier term is refused, not answered: its leader is no more.
    pub(super) fn answer_at_once(
        &self,
        term: u64,
        command: &Command,
    ) -> Result<Option<&Applied>, Rejection> {
        if command.leader_term != 0 && command.leader_term != term {
            return Err(over_limit(RejectionCode::StaleTerm, "term", term));
        }
        let id = &command.request_id;
        if id.is_empty() {
            return Ok(None);
        }
        if id.len() != ID_BYTES {
            return Err(malformed("request_id"));
        }
        Ok(self.request(id))
    }

    /// Keeps the answer, unless it was a refusal: what was refused may be tried again.
    pub(super) fn remember(&mut self, index: u64, command: &Command, applied: &Applied) {
        let refused = match &applied.result {
            Some(applied::Result::Rejected(_)) | None => true,
            Some(
                applied::Result::Done(_)
                | applied::Result::Session(_)
                | applied::Result::Submitted(_)
                | applied::Result::Statement(_)
                | applied::Result::Jobs(_)
                | applied::Result::Pool(_)
                | applied::Result::Settings(_)
                | applied::Result::Restored(_),
            ) => false,
        };
        if !command.request_id.is_empty() && !refused {
            self.insert_request(RequestRecord {
                request_id: command.request_id.clone(),
                index,
                applied: Some(applied.clone()),
            });
        }
    }
}
