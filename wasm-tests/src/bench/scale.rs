//! What changes with the number of tokens and of workers.

use std::time::{Duration, Instant};

use load::{Load, Request, Until};
use serde_json::{Value, json};

use super::filters;
use super::machine::resident;
use super::peers::{Peers, token};
use super::rounds::{Measured, Turn, turn};
use super::variants::{CONNECTIONS, request, setup};
use crate::envoy::{Envoy, Setup};
use crate::module;

/// Tokens of a flood, and of the largest cache.
const FLOOD: u64 = 100_000;

/// The figures.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// Cached requests by number of cached tokens: 1, 10,000 and 100,000.
    pub(super) tokens: Vec<Cached>,
    /// RSS in megabytes of an Envoy without a filter, and with the guard: at
    /// rest, and after one and two floods.
    pub(super) resident: [u64; 4],
    /// One worker, and two.
    pub(super) workers: [Turn; 2],
    /// Whether client, servers and workers have a core each, without which
    /// the throughput of two workers says nothing.
    pub(super) cores_for_all: bool,
    /// How much longer Envoy takes to be ready with the guard in it.
    pub(super) startup: Duration,
    /// Bytes of the module.
    pub(super) module: u64,
}

/// Requests with a number of tokens in the cache.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    /// With the guard.
    pub(super) with: Measured,
    /// Without a filter, in turns with it.
    without: Measured,
}

impl Cached {
    /// CPU time as a multiple of that without a filter.
    pub(super) fn ratio(&self) -> f64 {
        self.with.ratio(&self.without).median
    }
}

/// A cached request with so many tokens in turn.
fn rotating(tokens: u64) -> Result<Request, String> {
    let mut request = request(&token(true, 43));
    let digits = memchr::memmem::find(&request.bytes, b"00000000").ok_or("no digits")?;
    request.numbers = Some((digits, tokens));
    Ok(request)
}

fn load(envoy: &Envoy, until: Until, tokens: u64) -> Result<Load, String> {
    Ok(Load {
        to: envoy.address(),
        connections: CONNECTIONS,
        until,
        request: rotating(tokens)?,
        status: 200,
    })
}

/// Measures all of it.
pub(super) fn measure(peers: &Peers, rounds: usize) -> Result<Scale, String> {
    eprintln!("tokens, memory, workers, start");
    let plain = || setup(&peers.strict, &peers.introspection[0]);
    let guarded = |change: &Value| {
        let mut configuration = filters::sample();
        if let Value::Object(cache) = change {
            configuration["cache"] = change.clone();
            configuration["limits"] = json!({"cache_bytes": "256MiB"});
            assert!(!cache.is_empty());
        }
        plain().filter(filters::guard(&configuration))
    };
    let open = setup(&peers.open, &peers.introspection[0]);
    let large = guarded(&json!({"ttl": "3600s", "max_entries": FLOOD}));
    let (startup, resident) = floods(peers, &guarded(&Value::Null))?;
    Ok(Scale {
        tokens: tokens(&large, &open, rounds)?,
        resident,
        workers: workers(&guarded(&Value::Null))?,
        cores_for_all: std::thread::available_parallelism().map_or(1, usize::from) >= 6,
        startup,
        module: std::fs::metadata(module::path())
            .map_err(|error| format!("the module is not there: {error}."))?
            .len(),
    })
}

fn start(setup: &Setup) -> Result<Envoy, String> {
    setup.try_start().map_err(|not| not.to_string())
}

/// CPU time with more and more tokens in the cache of one Envoy, beside that of
/// one without a filter: how fast an Envoy is differs from start to start by
/// more than what is looked for.
fn tokens(setup: &Setup, bare: &Setup, rounds: usize) -> Result<Vec<Cached>, String> {
    let (bare, envoy) = (start(bare)?, start(setup)?);
    let mut all = Vec::new();
    for (key, name, tokens) in [
        ("tokens_1", "1 cached token", 1),
        ("tokens_10000", "10,000 cached tokens", 10_000),
        ("tokens_100000", "100,000 cached tokens", FLOOD),
    ] {
        let measured = |key| Measured {
            key,
            name,
            turns: Vec::with_capacity(rounds),
        };
        let (mut with, mut without) = (measured(key), measured("none"));
        let fill = load(&envoy, Until::Requests(tokens), tokens)?;
        turn(&fill, envoy.id(), name)?;
        for _ in 0..rounds {
            for (envoy, measured) in [(&bare, &mut without), (&envoy, &mut with)] {
                let until = Until::Elapsed(Duration::from_millis(500));
                let turn: Turn = turn(&load(envoy, until, tokens)?, envoy.id(), name)?;
                measured.turns.push(turn);
            }
        }
        all.push(Cached { with, without });
    }
    // That they were cached is seen by what was asked.
    let asked = envoy.stat("cluster.authorization-server.upstream_rq_total");
    if asked != FLOOD {
        return Err(format!("{FLOOD} tokens were asked about {asked} times."));
    }
    Ok(all)
}

/// Start-up and memory under the sample's configuration, which keeps 8,192
/// answers.
fn floods(peers: &Peers, guarded: &Setup) -> Result<(Duration, [u64; 4]), String> {
    let took = |setup: &Setup| -> Result<(Duration, Envoy), String> {
        let begin = Instant::now();
        let envoy = start(setup)?;
        Ok((begin.elapsed(), envoy))
    };
    let mut differences = Vec::new();
    for _ in 0..3 {
        let (without, _) = took(&setup(&peers.open, &peers.introspection[0]))?;
        let (with, _) = took(guarded)?;
        differences.push(with.saturating_sub(without));
    }
    differences.sort_unstable();
    let (_, bare) = took(&setup(&peers.open, &peers.introspection[0]))?;
    turn(
        &load(&bare, Until::Requests(FLOOD / 10), FLOOD)?,
        bare.id(),
        "memory",
    )?;
    let mut memory = [resident(bare.id())?, 0, 0, 0];
    drop(bare);
    let (_, envoy) = took(guarded)?;
    for (place, megabytes) in memory.iter_mut().enumerate().skip(1) {
        if place > 1 {
            turn(
                &load(&envoy, Until::Requests(FLOOD), FLOOD)?,
                envoy.id(),
                "flood",
            )?;
        }
        *megabytes = resident(envoy.id())?;
    }
    Ok((differences[1], memory))
}

/// One worker, and two.
fn workers(guarded: &Setup) -> Result<[Turn; 2], String> {
    let measured = |workers| {
        let envoy = start(&guarded.clone().workers(workers))?;
        let warm = load(&envoy, Until::Elapsed(Duration::from_millis(300)), 1)?;
        turn(&warm, envoy.id(), "workers")?;
        let load = load(&envoy, Until::Elapsed(Duration::from_secs(3)), 1)?;
        turn(&load, envoy.id(), "workers")
    };
    Ok([measured(1)?, measured(2)?])
}

impl Scale {
    /// CPU time with many tokens as a multiple of that with one.
    pub(super) fn growth(&self) -> f64 {
        let one = self.tokens.first().map_or(f64::NAN, Cached::ratio);
        self.tokens
            .iter()
            .map(|tokens| tokens.ratio() / one)
            .fold(f64::NAN, f64::max)
    }
}
