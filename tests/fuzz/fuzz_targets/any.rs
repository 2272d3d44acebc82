//! Any target of `libra_tests::fuzz`, by the name in `LIBRA_FUZZ_TARGET`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use libra_tests::fuzz::{TARGETS, Target, target};

static CHOSEN: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("LIBRA_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("LIBRA_FUZZ_TARGET is {name:?}, allowed: {}", names.join(", "));
        std::process::exit(2);
    })
});

fuzz_target!(init: {
    // `-seeds FOLDER` writes the seeds and ends.
    let mut arguments = std::env::args().skip_while(|argument| argument != "-seeds").skip(1);
    if let Some(folder) = arguments.next() {
        for (at, seed) in (CHOSEN.seeds)().iter().enumerate() {
            let written = std::fs::write(format!("{folder}/seed-{at}"), seed);
            if let Err(error) = written {
                eprintln!("{folder}: {error}");
                std::process::exit(2);
            }
        }
        std::process::exit(0);
    }
}, |input: &[u8]| (CHOSEN.run)(input));
