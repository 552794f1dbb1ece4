//! `make chaos`.

use std::process::ExitCode;

use mcp_token_guard_tests::chaos::{self, Extent};

fn main() -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let short = names.iter().any(|name| name == "--short");
    names.retain(|name| name != "--short");
    let extent = if short { Extent::Short } else { Extent::Long };
    match chaos::run(&names, extent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\nchaos: {sentence}");
            ExitCode::FAILURE
        }
    }
}
