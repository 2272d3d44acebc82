//! `libra completions`: what a shell completes, of all commands.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::{Shell as Target, generate};

use super::FAILED;
use super::arguments::{Cli, Shell};
use super::report::Failure;

/// Prints the script.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    io::stdout()
        .write_all(&script(shell))
        .map_err(|e| Failure::new(FAILED, &e))
}

fn script(shell: Shell) -> Vec<u8> {
    let target = match shell {
        Shell::Bash => Target::Bash,
        Shell::Zsh => Target::Zsh,
        Shell::Fish => Target::Fish,
    };
    let mut script = Vec::new();
    generate(target, &mut Cli::command(), "libra", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(script(shell)).unwrap();
            for word in [
                "serve",
                "sql",
                "admin",
                "transfer",
                "rebalance",
                "running-longer-than",
            ] {
                assert!(script.contains(word), "{shell:?}: {word}");
            }
        }
    }
}
