//! What changes with the number of tokens and of workers.

use std::time::{Duration, Instant};

use load::{Load, Request, Until};
use serde_json::{Value, json};

use super::filters;
use super::machine::resident;
use super::peers::{Peers, token};
use super::rounds::{Measured, Turn, find, turn};
use super::variants::{CONNECTIONS, request, setup};
use crate::envoy::{Envoy, Setup};
use crate::module;

/// Tokens of a flood, and of the largest cache.
const FLOOD: u64 = 100_000;

/// The figures.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// Cached requests by number of cached tokens: 1, 10,000 and 100,000.
    pub(super) tokens: Vec<Measured>,
    /// RSS in megabytes of an Envoy without a filter, and with the guard: at
    /// rest, and after one and two floods.
    pub(super) resident: [u64; 4],
    /// Answers a second from one worker and from two, with the cores to tell.
    pub(super) workers: Option<[f64; 2]>,
    /// How much longer Envoy takes to be ready with the guard in it.
    pub(super) startup: Duration,
    /// Bytes of the module.
    pub(super) module: u64,
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
    let large = guarded(&json!({"ttl": "3600s", "max_entries": FLOOD}));
    let (startup, resident) = floods(peers, &guarded(&Value::Null))?;
    Ok(Scale {
        tokens: tokens(&large, rounds)?,
        resident,
        workers: workers(&guarded(&Value::Null))?,
        startup,
        module: std::fs::metadata(module::path())
            .map_err(|error| format!("the module is not there: {error}."))?
            .len(),
    })
}

fn start(setup: &Setup) -> Result<Envoy, String> {
    setup.try_start().map_err(|not| not.to_string())
}

/// CPU time with more and more tokens in the cache.
fn tokens(setup: &Setup, rounds: usize) -> Result<Vec<Measured>, String> {
    let mut envoys = Vec::new();
    let mut measured = Vec::new();
    for (key, name, tokens) in [
        ("tokens_1", "1 cached token", 1),
        ("tokens_10000", "10,000 cached tokens", 10_000),
        ("tokens_100000", "100,000 cached tokens", FLOOD),
    ] {
        let envoy = start(setup)?;
        turn(
            &load(&envoy, Until::Requests(tokens), tokens)?,
            envoy.id(),
            name,
        )?;
        envoys.push((envoy, tokens));
        let turns = Vec::with_capacity(rounds);
        measured.push(Measured { key, name, turns });
    }
    for round in 0..rounds {
        for place in 0..envoys.len() {
            let place = (place + round) % envoys.len();
            let (envoy, tokens) = &envoys[place];
            let until = Until::Elapsed(Duration::from_millis(700));
            let name = measured[place].name;
            let turn: Turn = turn(&load(envoy, until, *tokens)?, envoy.id(), name)?;
            measured[place].turns.push(turn);
        }
    }
    // That they were cached is seen by what was asked.
    for (envoy, tokens) in &envoys {
        let asked = envoy.stat("cluster.authorization-server.upstream_rq_total");
        if asked != *tokens {
            return Err(format!("{tokens} tokens were asked about {asked} times."));
        }
    }
    Ok(measured)
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

/// Throughput of one worker and of two, where client, servers and workers have
/// a core each.
fn workers(guarded: &Setup) -> Result<Option<[f64; 2]>, String> {
    if std::thread::available_parallelism().map_or(1, usize::from) < 6 {
        return Ok(None);
    }
    let mut rates = [0.0; 2];
    for (workers, rate) in (1..).zip(&mut rates) {
        let envoy = start(&guarded.clone().workers(workers))?;
        let load = load(&envoy, Until::Elapsed(Duration::from_secs(3)), 1)?;
        *rate = turn(&load, envoy.id(), "workers")?.rate;
    }
    Ok(Some(rates))
}

impl Scale {
    /// CPU time with 100,000 tokens as a multiple of that with one.
    pub(super) fn growth(&self) -> f64 {
        let one = find(&self.tokens, "tokens_1");
        let most = |key| find(&self.tokens, key).ratio(one).median;
        most("tokens_10000").max(most("tokens_100000"))
    }
}
