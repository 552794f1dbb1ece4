//! `make bench`: what the guard costs, beside what else could do its work.
//!
//! Every variant has an Envoy of its own with one worker; all are started anew
//! some times, and measured in turns of a second, in another order each round. What
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
pub(crate) mod machine;
mod peers;
mod report;
mod rounds;
mod scale;
mod variants;

use std::path::PathBuf;
use std::time::Duration;

use variants::Lineup;

use crate::module;

/// What is to be measured how.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often each variant gets its turn.
    pub rounds: usize,
    /// How long a turn lasts.
    pub turn: Duration,
    /// How often all Envoys are started anew: how fast one is differs by some
    /// percent from start to start, by where its memory happens to lie.
    pub starts: usize,
    /// Names of the variants that are measured, besides the one without a
    /// filter. All where it is empty; else nothing is written.
    pub only: Vec<String>,
    /// Whether the page in `wasm-tests/bench/` is written anew.
    pub write: bool,
    /// Whether the figures that need floods of tokens are measured, too.
    pub scale: bool,
    /// Another module, to be measured beside the one that is built. Then these
    /// two and no filter are all that is, and nothing is written.
    pub against: Option<PathBuf>,
}

impl Options {
    /// By `BENCH_ROUNDS` (15), `BENCH_TURN_MS` (1000), `BENCH_STARTS` (3),
    /// `BENCH_VARIANTS`, `BENCH_WRITE`, `BENCH_SCALE` (1) and `BENCH_AGAINST`.
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
            starts: number("BENCH_STARTS", 3)?.max(1),
            only: std::env::var("BENCH_VARIANTS")
                .map(|names| names.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
            turn: Duration::from_millis(
                u64::try_from(number("BENCH_TURN_MS", 1_000)?)
                    .unwrap_or(1_000)
                    .max(50),
            ),
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
    let start = || match &options.against {
        Some(other) => Lineup::pair(&peers, other),
        None => Lineup::start(&peers, &options.only),
    };
    let (measured, version) = rounds::measure(&start, options)?;
    if options.against.is_some() || !options.only.is_empty() {
        println!("\n{}", report::short(&measured));
        return Ok(());
    }
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
        let folder = module::project().join("wasm-tests/bench");
        let put = |name: &str, text: &str| {
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(folder.join(name), text))
                .map_err(|error| format!("wasm-tests/bench/{name} cannot be written: {error}."))
        };
        put("README.md", &page)?;
        put("benchmark.svg", &chart::draw(&measured))?;
    }
    Ok(())
}
