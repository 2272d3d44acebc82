//! Who is to hold the result of a statement that runs, and who holds that of one that has ended.

use std::collections::BTreeSet;

use libra_proto::registry::{
    PutHolders, PutReplicas, Rejection, RejectionCode, ResultManifest, StatementState,
};
use libra_proto::types::JobId;

use super::{Outcome, Step, done, malformed};
use crate::registry::error::reject;

impl Step<'_> {
    /// The statement runs at another node now: its result goes on there.
    pub(super) fn move_copies(&mut self, job: JobId, session: &str, from: u64, to: u64) {
        let Ok(statement) = self.statement(job) else {
            return;
        };
        // Started before there were replicas: then its owner alone holds what there is.
        let alone = [from];
        let before: &[u64] = if statement.replicas.is_empty() {
            &alone
        } else {
            &statement.replicas
        };
        let replicas = self.registry.replicas_for(job, to, before);
        self.set_replicas(job, session, replicas);
    }

    fn set_replicas(&mut self, job: JobId, session: &str, replicas: Vec<u64>) -> bool {
        let same = self
            .statement(job)
            .is_ok_and(|statement| statement.replicas == replicas);
        if !same {
            self.registry
                .update_statement(job, |statement| statement.replicas = replicas);
            self.note_statement(job, session);
        }
        !same
    }

    /// The owner's word that other nodes are to hold the result from now on.
    pub(super) fn put_replicas(&mut self, command: &PutReplicas) -> Outcome {
        let job = JobId(command.job);
        let statement = self.statement(job)?;
        let session = self.session_at(&statement.session_id, command.epoch)?;
        match statement.state() {
            StatementState::Running => {}
            StatementState::Queued | StatementState::Unspecified => {
                return Err(reject(RejectionCode::IllegalTransition, job.to_string()));
            }
            StatementState::Succeeded | StatementState::Failed | StatementState::Cancelled => {
                return Err(reject(RejectionCode::AlreadyEnded, job.to_string()));
            }
        }
        let Some((first, others)) = command.replicas.split_first() else {
            return Err(malformed("replicas"));
        };
        if *first != session.owner_node || has_twice(&command.replicas) {
            return Err(malformed("replicas"));
        }
        for node in others {
            self.node(*node)?;
        }
        let id = statement.session_id.clone();
        Ok(done(self.set_replicas(job, &id, command.replicas.clone())))
    }

    /// Who holds the result by now. Nobody is no answer: a node named may still come back with it.
    pub(super) fn put_holders(&mut self, command: &PutHolders) -> Outcome {
        let job = JobId(command.job);
        let same = self.result_of(job, command.file_hash)?.holders == command.holders;
        let nodes: Vec<u64> = command
            .holders
            .iter()
            .map(|holder| holder.node_id)
            .collect();
        if nodes.is_empty() || nodes.contains(&0) || has_twice(&nodes) {
            return Err(malformed("holders"));
        }
        if same {
            return Ok(done(false));
        }
        let id = self.statement(job)?.session_id.clone();
        self.registry.update_statement(job, |statement| {
            if let Some(result) = &mut statement.result {
                result.holders.clone_from(&command.holders);
            }
        });
        self.note_statement(job, &id);
        Ok(done(true))
    }

    /// The sealed result of an ended statement, if that is its file.
    fn result_of(&self, job: JobId, file_hash: u64) -> Result<&ResultManifest, Rejection> {
        let statement = self.statement(job)?;
        let sealed = statement
            .result
            .as_ref()
            .filter(|result| statement.state().has_ended() && result.file_hash == file_hash);
        sealed.ok_or_else(|| reject(RejectionCode::IllegalTransition, job.to_string()))
    }
}

fn has_twice(nodes: &[u64]) -> bool {
    nodes.iter().collect::<BTreeSet<_>>().len() != nodes.len()
}
