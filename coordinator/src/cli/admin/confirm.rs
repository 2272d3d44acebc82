//! Asks before what cannot be taken back.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::error::AdminError;

/// Asks on the terminal whether it is really meant, unless `yes` says so. `doing` is what will be
/// done, as it follows "will not"; `consequence` is a sentence about what it means, or nothing.
///
/// # Errors
/// When the answer is no, or there is no terminal.
pub(super) fn confirm(yes: bool, doing: &str, consequence: &str) -> Result<(), AdminError> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let doing = doing.to_owned();
        return Err(AdminError::NobodyToAsk { doing });
    }
    let mut err = io::stderr().lock();
    let asked = write!(err, "{}", question(doing, consequence)).and_then(|()| err.flush());
    asked.map_err(AdminError::Output)?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && means_yes(&answer) {
        Ok(())
    } else {
        Err(AdminError::Declined)
    }
}

fn question(doing: &str, consequence: &str) -> String {
    let mut letters = doing.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let doing: String = first.into_iter().chain(letters).collect();
    let gap = if consequence.is_empty() { "" } else { "\n" };
    format!("{consequence}{gap}{doing}? [y/N] ")
}

fn means_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, yes) in [
            ("y\n", true),
            ("YES\n", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yep\n", false),
        ] {
            assert_eq!(means_yes(answer), yes, "{answer:?}");
        }
    }

    #[test]
    fn the_question_says_what_it_means() {
        assert_eq!(
            question("close session x", "2 running statements are cancelled."),
            "2 running statements are cancelled.\nClose session x? [y/N] "
        );
        assert_eq!(question("drain node 1", ""), "Drain node 1? [y/N] ");
    }
}
