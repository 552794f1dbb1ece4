//! `make bench`: what the guard costs, beside what else could do its work.
//!
//! Every variant has an Envoy of its own with one worker; all are started once
//! and then measured in turns of a second, in another order each round. What
//! counts is the CPU time that Envoy takes for a request, as the kernel has it,
//! and its ratio to that of an Envoy without a filter in the same round: other
//! work on the machine is then in both. The medians over all rounds are shown,
//! with the quartiles as the noise.
//!
//! The client, the servers behind Envoy and the authorization servers are the
//! crate `load`: one thread each, answers prepared beforehand. A variant in
//! which one request has another status than it should makes the run fail.

mod budgets;
mod chart;
mod filters;
mod jwt;
mod machine;
mod peers;
mod report;
mod rounds;
mod scale;
mod variants;

use std::path::PathBuf;

use crate::module;

/// What is to be measured how.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often each variant gets its turn.
    pub rounds: usize,
    /// Whether the pages in `envoy/` are written anew.
    pub write: bool,
    /// Whether the figures that need floods of tokens are measured, too.
    pub scale: bool,
    /// Another module, to be measured beside the one that is built. Then these
    /// two and no filter are all that is, and nothing is written.
    pub against: Option<PathBuf>,
}

impl Options {
    /// By `BENCH_ROUNDS` (15), `BENCH_WRITE`, `BENCH_SCALE` (1) and
    /// `BENCH_AGAINST`.
    ///
    /// # Errors
    /// When one of them is not a number.
    pub fn from_environment() -> Result<Self, String> {
        let number = |name: &str, default: usize| match std::env::var(name) {
            Ok(text) => text
                .parse()
                .map_err(|_| format!("{name}={text} is not a number.")),
            Err(_) => Ok(default),
        };
        Ok(Self {
            rounds: number("BENCH_ROUNDS", 15)?.max(1),
            write: number("BENCH_WRITE", 0)? != 0,
            scale: number("BENCH_SCALE", 1)? != 0,
            against: std::env::var_os("BENCH_AGAINST").map(PathBuf::from),
        })
    }
}

/// Measures, and prints what came of it.
///
/// # Errors
/// When a variant does not do what it should. A budget that is missed is said
/// and is no error.
pub fn run(options: &Options) -> Result<(), String> {
    let machine = machine::Machine::look();
    let peers =
        peers::Peers::start().map_err(|error| format!("a server did not start: {error}."))?;
    if let Some(other) = &options.against {
        let mut lineup = variants::Lineup::pair(&peers, other)?;
        let measured = rounds::measure(&mut lineup, options.rounds)?;
        println!("\n{}", report::table(&measured));
        return Ok(());
    }
    let mut lineup = variants::Lineup::start(&peers)?;
    let version = lineup.envoy_version();
    let measured = rounds::measure(&mut lineup, options.rounds)?;
    drop(lineup);
    let scale = if options.scale {
        Some(scale::measure(&peers, options.rounds)?)
    } else {
        None
    };
    let budgets = budgets::judge(&measured, scale.as_ref());
    let page = report::page(&report::Run {
        machine: &machine,
        version: &version,
        rounds: options.rounds,
        measured: &measured,
        scale: scale.as_ref(),
        budgets: &budgets,
    });
    println!("\n{page}");
    if options.write {
        let folder = module::project().join("envoy");
        let put = |name: &str, text: &str| {
            std::fs::write(folder.join(name), text)
                .map_err(|error| format!("envoy/{name} cannot be written: {error}."))
        };
        put("BENCHMARK.md", &page)?;
        put("benchmark.svg", &chart::draw(&measured))?;
    }
    Ok(())
}
