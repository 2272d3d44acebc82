//! The binary `libra`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    libra_coordinator::cli::main(std::env::args_os())
}
