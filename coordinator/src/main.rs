//! The binary `libra`: everything is in the library.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// glibc's allocator took a quarter of the processor time of three nodes under load. Settings are in
/// `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    libra_coordinator::cli::main(std::env::args_os())
}
