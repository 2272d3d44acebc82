//! The settings that must be equal on all nodes, by the keys of the configuration.

use libra_proto::admin::SettingDiagnosis;
use libra_proto::registry::{Mode, SchedulingMode, Settings};

/// One setting: its key, and how it reads.
type Setting = (&'static str, fn(&Settings) -> String);

const SETTINGS: [Setting; 11] = [
    ("libra.session.mode", |s| mode(s.mode())),
    ("libra.session.max-sessions", |s| s.max_sessions.to_string()),
    ("libra.scheduler.slots", |s| s.slots.to_string()),
    ("libra.scheduler.max-queued", |s| s.max_queued.to_string()),
    ("libra.results.retention-minutes", |s| {
        minutes(s.retention_ms)
    }),
    ("libra.results.retention-statements", |s| {
        s.retention_statements.to_string()
    }),
    ("libra.results.replicas", |s| s.result_replicas.to_string()),
    ("libra.limits.queued-bytes", |s| s.queued_bytes.to_string()),
    ("libra.limits.statements-per-session", |s| {
        s.active_per_session.to_string()
    }),
    ("libra.limits.statements-per-user", |s| {
        s.active_per_user.to_string()
    }),
    ("spark.config.spark.scheduler.mode", |s| {
        scheduling(s.scheduler_mode())
    }),
];

/// All of them, as they are in force and as a file has them.
pub(super) fn compared(
    in_force: Option<&Settings>,
    configured: &Settings,
) -> Vec<SettingDiagnosis> {
    let one = |(key, read): &Setting| {
        let present = in_force.map(read);
        let configured = read(configured);
        SettingDiagnosis {
            key: (*key).to_owned(),
            differs: present.as_ref().is_some_and(|value| *value != configured),
            in_force: present.unwrap_or_default(),
            configured,
        }
    };
    SETTINGS.iter().map(one).collect()
}

fn mode(mode: Mode) -> String {
    match mode {
        Mode::Unspecified => "",
        Mode::Shared => "SHARED",
        Mode::Isolated => "ISOLATED",
    }
    .to_owned()
}

fn scheduling(mode: SchedulingMode) -> String {
    match mode {
        SchedulingMode::Unspecified | SchedulingMode::Fair => "FAIR",
        SchedulingMode::Fifo => "FIFO",
    }
    .to_owned()
}

fn minutes(ms: u64) -> String {
    if ms.is_multiple_of(60_000) {
        (ms / 60_000).to_string()
    } else {
        format!("{}.{:03}", ms / 60_000, ms % 60_000 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;

    #[test]
    fn every_key_is_one_of_the_configuration() {
        for (key, _) in SETTINGS {
            let known = KEYS.iter().any(|known| known.path == key);
            assert!(known || key.starts_with("spark.config."), "{key}");
        }
    }

    #[test]
    fn what_differs_is_marked_once_there_are_settings() {
        let ours = Settings {
            slots: 10,
            retention_ms: 90_000,
            ..Settings::default()
        };
        let theirs = Settings { slots: 4, ..ours };
        let differing = |in_force: Option<&Settings>| -> Vec<String> {
            let compared = compared(in_force, &ours);
            let differing = compared.into_iter().filter(|setting| setting.differs);
            differing
                .map(|s| format!("{} {} {}", s.key, s.in_force, s.configured))
                .collect()
        };
        assert_eq!(differing(None), [""; 0]);
        assert_eq!(differing(Some(&ours)), [""; 0]);
        assert_eq!(differing(Some(&theirs)), ["libra.scheduler.slots 4 10"]);
        assert_eq!(minutes(90_000), "1.500");
        assert_eq!(minutes(86_400_000), "1440");
    }
}
