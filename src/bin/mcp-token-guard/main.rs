//! `mcp-token-guard`: what an operator needs beside the filter. It checks
//! configurations before a proxy does, makes one of an MCP gateway's
//! `servers.json`, and prints the JSON Schema of the plugin configuration.
//!
//! It ends with 0 if all is well, 1 if something was found, and 2 if it could
//! not do what it was asked for. It never prints a value that could be secret.

mod check;
mod import;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use mcp_token_guard::Config;

/// Check and make configurations of mcp-token-guard.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every mistake in these files, and what is dangerous in them.
    ///
    /// A file is a plugin configuration, an Envoy configuration, or manifests for
    /// Istio or Envoy Gateway; JSON or YAML, several documents in one too. All
    /// manifests are looked at together. Ends with 0 if nothing was found, 1 if
    /// something was, 2 if a file could not be read.
    Check {
        /// The files; `-` is standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How to print what was found.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Look at the values of environment variables here, too: for where the
        /// proxy runs. Without it they are taken to be there and good.
        #[arg(long)]
        env: bool,
        /// End with 0 where there are warnings and no mistakes.
        #[arg(long)]
        allow_warnings: bool,
    },
    /// Make a plugin configuration of an MCP gateway's servers.json.
    ///
    /// Prints the configuration, with every literal secret replaced by an
    /// environment variable, and on standard error what has to be done besides:
    /// variables, clusters, routes.
    Import(import::Options),
    /// Print the JSON Schema of the plugin configuration.
    Schema,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON object.
    Json,
    /// A line for each.
    Text,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All is well.
    Fine,
    /// Something was found.
    Found,
    /// It could not be done.
    Failed,
}

fn main() -> ExitCode {
    let end = match Arguments::parse().command {
        Command::Check {
            files,
            format,
            env,
            allow_warnings,
        } => {
            let report = check::run(&files, env);
            let end = report.end(allow_warnings);
            say(&match format {
                Format::Json => report.json(),
                Format::Text => report.text(),
            })
            .map(|()| end)
        }
        Command::Import(options) => import::run(&options),
        Command::Schema => say(&Config::schema()).map(|()| End::Fine),
    };
    match end.unwrap_or(End::Failed) {
        End::Fine => ExitCode::SUCCESS,
        End::Found => ExitCode::from(1),
        End::Failed => ExitCode::from(2),
    }
}

/// Prints a result.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints what is said about a result.
fn tell(text: &str) -> io::Result<()> {
    io::stderr().lock().write_all(text.as_bytes())
}
