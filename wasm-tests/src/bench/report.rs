//! The page: what was measured, where, and how sure it is.

use std::fmt::Write as _;

use super::budgets::{Budget, piece};
use super::machine::Machine;
use super::peers::PIECES;
use super::rounds::{Measured, find};
use super::scale::Scale;
use super::variants::CONNECTIONS;

/// All that a page says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    /// Where.
    pub(super) machine: &'a Machine,
    /// With which Envoy.
    pub(super) version: &'a str,
    /// How often.
    pub(super) rounds: usize,
    /// The variants.
    pub(super) measured: &'a [Measured],
    /// The figures of growth.
    pub(super) scale: Option<&'a Scale>,
    /// The budgets.
    pub(super) budgets: &'a [Budget],
}

/// Figures of another run that are shown beside ours: name, CPU time, ratio,
/// throughput, p99. Rust's agentgateway is a proxy of its own and not measured
/// here.
const ELSEWHERE: [(&str, f64, f64, &str, f64); 3] = [
    ("agentgateway, no policy", 35.8, 0.72, "26,800", 1.4),
    ("agentgateway, JWT check", 85.9, 1.70, "11,200", 2.5),
    ("agentgateway, ext_authz", 91.6, 1.80, "10,500", 3.2),
];

/// The page as Markdown. Writing to a string does not fail.
pub(super) fn page(run: &Run<'_>) -> String {
    let mut page = String::new();
    let machine = run.machine;
    let _ = write!(
        page,
        "# What the guard costs\n\n\
         `make bench`, {date}: Envoy {version}, one worker, on {cores} cores of {cpu} (load average \
         before the run {load}). {CONNECTIONS} connections of HTTP/1.1, POST of a small JSON-RPC \
         message, upstream and authorization server with canned answers on the same machine. \
         {rounds} rounds in which each variant has a turn, in another order each time; all Envoys are \
         started anew some times in between, because one start is some percent faster than another. CPU is the \
         time of the Envoy process, user and system, for one request; medians of all rounds, and of \
         the ratios within a round, with their quartiles. The guard is the module as shipped with \
         the configuration of `envoy/envoy.yaml`: search for the token, metrics, audit record and \
         checks of the answer are on.\n\n\
         ![CPU time for a request](benchmark.svg)\n\n",
        date = machine.date,
        version = run.version,
        cores = machine.cores,
        cpu = machine.cpu,
        load = machine.load,
        rounds = run.rounds,
    );
    let none = find(run.measured, "none");
    page.push_str(&table(run.measured));
    for (name, cpu, ratio, rate, p99) in ELSEWHERE {
        let _ = writeln!(
            page,
            "| *{name}* | *{cpu}* | *{ratio:.2}* | | *{rate}* | | *{p99}* |"
        );
    }
    let noise = none.against(none, |own, _| own.cpu);
    let _ = write!(
        page,
        "\nIn italics: another run on a machine of this kind, 2026-11-23, not measured here. Noise: \
         half of the rounds without a filter were between {:.1} and {:.1} µs.\n\n\
         `ext_authz` asks a server that answers at once and sets the credential, and has nobody to \
         ask itself. Lua and `jwt_authn` check less than the guard: no audience or expiry of a policy \
         in Lua, no revocation in `jwt_authn`, no search for the token and no look at the answer in \
         either. The module that decides nothing makes the guard's calls into Envoy for a cached token \
         and has no code besides: what it costs no filter with these calls can go below. An answer of \
         the guard's is used for 2 s here, so its cached figures have the calls \
         for that in them. A refused request has no content: Envoy closes a connection of HTTP/1.1 \
         on which it answers before all of a request is there.\n\n\
         ## Event streams\n\n\
         {PIECES} events a millisecond apart, Envoy's CPU time for one event: {:.1} µs without a filter, \
         {:.1} µs with the guard. The guard adds {:+.2} µs ({:+.2} to {:+.2}): it is not entered for \
         them.\n",
        noise.low,
        noise.high,
        per_piece(find(run.measured, "none_stream")),
        per_piece(find(run.measured, "guard_stream")),
        piece(run.measured).median,
        piece(run.measured).low,
        piece(run.measured).high,
    );
    if let Some(scale) = run.scale {
        growth(&mut page, scale, machine.cores);
    }
    page.push_str("\n## Budgets\n\n| what | budget | measured | |\n| --- | --- | --- | --- |\n");
    for budget in run.budgets {
        let verdict = if budget.met { "met" } else { "**missed**" };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {verdict} |",
            budget.what, budget.bound, budget.figure
        );
    }
    page.push_str(
        "\nAgain: `make bench`, or `BENCH_ROUNDS=3 make bench` for a short look. `BENCH_WRITE=1` \
         writes this page anew, `BENCH_VARIANTS=guard,lua_cached` measures some variants only, \
         `BENCH_TURN_MS`, `BENCH_STARTS` and `BENCH_SCALE=0` make it shorter.\n",
    );
    page
}

/// A line for each variant.
pub(super) fn table(all: &[Measured]) -> String {
    let mut table = String::from(
        "| variant | CPU µs | of no filter | quartiles | req/s | p50 ms | p99 ms |\n\
         | --- | ---: | ---: | --- | ---: | ---: | ---: |\n",
    );
    let none = find(all, "none");
    for one in all.iter().filter(|one| !one.is_stream()) {
        let ratio = one.ratio(none);
        let _ = writeln!(
            table,
            "| {} | {:.1} | {:.2} | {:.2} to {:.2} | {} | {:.1} | {:.1} |",
            one.name,
            one.spread(|turn| turn.cpu).median,
            ratio.median,
            ratio.low,
            ratio.high,
            thousands(one.spread(|turn| turn.rate).median),
            one.spread(|turn| turn.p50).median,
            one.spread(|turn| turn.p99).median,
        );
    }
    table
}

/// The table of some variants, with the least that a turn took: on a busy
/// machine nothing else is as steady.
pub(super) fn short(all: &[Measured]) -> String {
    let mut lines = table(all);
    lines.push('\n');
    for one in all {
        let cpu = one.turns.iter().map(|turn| turn.cpu);
        let least = cpu.fold(f64::INFINITY, f64::min);
        let quarter = one.spread(|turn| turn.cpu).low;
        let _ = writeln!(
            lines,
            "{:40} least {least:.1} µs, a quarter below {quarter:.1}",
            one.name
        );
    }
    lines
}

fn growth(page: &mut String, scale: &Scale, cores: usize) {
    let _ = write!(
        page,
        "\n## How far it scales\n\n| cached tokens | CPU µs | of no filter |\n| --- | ---: | ---: |\n"
    );
    for tokens in &scale.tokens {
        let _ = writeln!(
            page,
            "| {} | {:.1} | {:.2} |",
            tokens.with.name,
            tokens.with.spread(|turn| turn.cpu).median,
            tokens.ratio()
        );
    }
    let [bare, rest, floods @ ..] = scale.resident;
    let _ = write!(
        page,
        "\nMemory of the Envoy process: {bare} MB without the guard, {rest} MB with it at rest, {} MB \
         after one and two floods of 100,000 distinct tokens, of which 8,192 are kept. Envoy is \
         ready {} ms later with the guard than without. The module has {} bytes. ",
        floods.map(|megabytes| megabytes.to_string()).join(", "),
        scale.startup.as_millis(),
        thousands_of(scale.module),
    );
    let [one, two] = scale.workers;
    let _ = writeln!(
        page,
        "A request takes {:.1} µs with one worker and {:.1} µs with two.",
        one.cpu, two.cpu
    );
    if scale.cores_for_all {
        let _ = writeln!(
            page,
            "One worker answers {} requests a second, two {}.",
            thousands(one.rate),
            thousands(two.rate)
        );
    } else {
        let _ = writeln!(
            page,
            "Their throughput is not compared: client, servers and two workers need six cores, and \
             here are {cores}."
        );
    }
}

impl Measured {
    /// Whether its requests are answered by streams that take their time.
    pub(super) fn is_stream(&self) -> bool {
        self.key.ends_with("_stream")
    }
}

/// CPU time of a stream for each of its pieces.
fn per_piece(stream: &Measured) -> f64 {
    let pieces = f64::from(u32::try_from(PIECES).unwrap_or(u32::MAX));
    stream.spread(|turn| turn.cpu).median / pieces
}

fn thousands(number: f64) -> String {
    // Three digits are all that is meant.
    let rounded = (number / 100.0).round() * 100.0;
    format!("{rounded:.0}")
        .parse()
        .map_or_else(|_| "?".to_owned(), thousands_of)
}

fn thousands_of(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(19_449.6), "19,400");
        assert_eq!(thousands_of(1_234_567), "1,234,567");
        assert_eq!(thousands_of(12), "12");
    }
}
