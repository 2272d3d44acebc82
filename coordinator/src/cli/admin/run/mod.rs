//! What the commands do: ask, say what it means, call, show.
//!
//! **Invariant:** each is a thin layer over one call of the service; what is refused is refused
//! there.

pub(super) mod backup;
mod backup_file;
#[cfg(test)]
pub(super) use backup_file::tests::example as example_backup;
pub(super) mod events;
pub(super) mod nodes;
pub(super) mod pools;
pub(super) mod restore;
pub(super) mod sessions;
pub(super) mod statements;

/// What the service gives at once.
const MOST_AT_ONCE: usize = 1_000;

/// How many more to ask for, where `limit` are wanted (0 = all) and `have` are there; none if they
/// are enough.
fn page_size(limit: usize, have: usize) -> Option<u32> {
    let left = match limit {
        0 => MOST_AT_ONCE,
        limit => limit.saturating_sub(have).min(MOST_AT_ONCE),
    };
    u32::try_from(left).ok().filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_until_there_are_enough() {
        for (limit, have, expected) in [
            (100, 0, Some(100)),
            (100, 100, None),
            (2_500, 0, Some(1_000)),
            (2_500, 2_000, Some(500)),
            (0, 0, Some(1_000)),
            (0, 1_000_000, Some(1_000)),
        ] {
            assert_eq!(page_size(limit, have), expected, "{limit} {have}");
        }
    }
}
