//! `make run` and `make demo`.

use std::process::ExitCode;

use mcp_token_guard_tests::demo::{self, Options, ports};

const USAGE: &str = "demo [--port N] [--stay]: N is the first of four ports, 0 for free ones.";

#[tokio::main]
async fn main() -> ExitCode {
    let done = match options() {
        Some(options) => demo::run(options).await,
        None => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => {
            println!("\nAll went as said.");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("\ndemo: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Option<Options> {
    let mut options = Options {
        port: ports::IN_SAMPLE,
        stay: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--port" => options.port = args.next()?.parse().ok()?,
            "--stay" => options.stay = true,
            _ => return None,
        }
    }
    Some(options)
}
