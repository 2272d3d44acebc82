//! Settings.

use libra_proto::admin::{SettingsChanged, event};
use libra_proto::registry::{Mode, PutSettings, RejectionCode, Settings, applied};

use super::{Outcome, Step, malformed};
use crate::registry::error::over_limit;

impl Step<'_> {
    pub(super) fn put_settings(&mut self, command: &PutSettings) -> Outcome {
        let wanted = command.settings.ok_or_else(|| malformed("settings"))?;
        if wanted.mode() == Mode::Unspecified {
            return Err(malformed("mode"));
        }
        if wanted.slots == 0 {
            return Err(malformed("slots"));
        }
        let present = self
            .registry
            .records
            .settings
            .map_or(0, |settings| settings.version);
        if present != 0 && present != command.expected_version {
            return Err(over_limit(
                RejectionCode::SettingsVersion,
                "settings",
                present,
            ));
        }
        let settings = Settings {
            version: present.saturating_add(1),
            result_replicas: wanted.result_replicas.max(1),
            ..wanted
        };
        self.registry.records.settings = Some(settings);
        self.note_settings();
        let version = settings.version;
        self.tell(event::Kind::SettingsChanged(SettingsChanged { version }));
        self.close_other_modes(settings.mode());
        Ok(applied::Result::Settings(settings))
    }

    /// Another mode was switched on: sessions of the one before end.
    pub(super) fn close_other_modes(&mut self, mode: Mode) {
        let sessions = self.registry.records.sessions.values();
        let others: Vec<String> = sessions
            .filter(|session| session.state().is_live() && session.mode() != mode)
            .map(|session| session.session_id.clone())
            .collect();
        for id in others {
            self.begin_closing(&id, "the session mode was changed");
        }
    }
}
