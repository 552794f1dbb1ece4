//! `make bench`.

use std::process::ExitCode;

use mcp_token_guard_tests::bench::{self, Options};

fn main() -> ExitCode {
    match Options::from_environment().and_then(|options| bench::run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\nbench: {sentence}");
            ExitCode::FAILURE
        }
    }
}
