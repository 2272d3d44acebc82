//! `libra completions`: what a shell completes, of all commands.

use std::io::{self, Write as _};

use clap::{Arg, Command, CommandFactory as _};
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
    let mut command = Cli::command();
    generate(target, &mut command, "libra", &mut script);
    match shell {
        Shell::Fish => script.extend(fish_third_level(&command).into_bytes()),
        Shell::Bash | Shell::Zsh => {}
    }
    script
}

/// Options of commands three levels down, `libra admin nodes add --promote`: the generator for fish
/// stops before them.
fn fish_third_level(root: &Command) -> String {
    let mut lines = String::new();
    for first in root.get_subcommands() {
        for second in first.get_subcommands() {
            for third in second.get_subcommands() {
                let names = [first, second, third].map(Command::get_name);
                let options = third
                    .get_arguments()
                    .filter_map(|it| fish_option(names, it));
                lines.extend(options);
            }
        }
    }
    lines
}

fn fish_option([first, second, third]: [&str; 3], option: &Arg) -> Option<String> {
    let long = option.get_long()?;
    let help = option
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let help = help
        .replace('\\', "\\\\")
        .replace('\'', "\\'")
        .replace('\n', " ");
    let values: Vec<String> = option
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    let takes = match (option.get_action().takes_values(), values.is_empty()) {
        (false, _) => String::new(),
        (true, true) => " -r".to_owned(),
        (true, false) => format!(" -r -f -a '{}'", values.join(" ")),
    };
    Some(format!(
        "complete -c libra -n \"__fish_libra_using_subcommand {first}; and \
         __fish_seen_subcommand_from {second}; and __fish_seen_subcommand_from {third}\" \
         -l {long} -d '{help}'{takes}\n"
    ))
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
