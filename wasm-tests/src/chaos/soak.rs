//! A soak: tokens that are issued, expire and are revoked, streams, and faults
//! now and then, for as long as is asked for.
//!
//! The truth about each verdict is what the authorization server issued and
//! revoked, plus what a cache may keep. Nothing of it comes from the guard.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Client, Got, Tally};
use super::memory::{self, NOISE, Watch, mean};
use super::wild::{Asked, Move};
use super::world::{
    CANARY, SLACK, TIMEOUT, World, configuration, echo, good_claims, inactive, json_response, with,
};
use super::{Extent, Row};
use crate::client::Http1;
use crate::envoy::now;
use crate::scenario::{Request, get, post};

/// `cache.ttl`.
const TTL: Duration = Duration::from_secs(2);

/// `cache.recheck_streams`.
const RECHECK: Duration = Duration::from_secs(2);

/// How long after its token has ended a stream may go on: noticing takes two
/// seconds.
const NOTICE: Duration = Duration::from_secs(2);

/// Clients that send requests, and those that hold streams.
const CLIENTS: usize = 4;
const LISTENERS: usize = 3;

/// How often a client sends a request.
const EVERY: Duration = Duration::from_millis(40);

/// Calls of which one fails, while faults are on.
const ONE_FAILS: usize = 5;

/// What is known of a token. Expiry is in whole seconds, as it is in answers.
#[derive(Clone, Copy, Debug)]
struct Life {
    expires: Instant,
    expires_at: i64,
    revoked: Option<Instant>,
}

/// All tokens that were ever issued, and when calls about them failed.
#[derive(Debug, Default)]
struct Registry {
    tokens: Mutex<BTreeMap<String, Life>>,
    failures: Mutex<Vec<Instant>>,
    faults: AtomicBool,
    serial: std::sync::atomic::AtomicUsize,
}

/// The part.
pub(super) fn run(extent: Extent) -> Result<Vec<Row>, String> {
    let time = match std::env::var("SOAK_SECONDS") {
        Ok(text) => text
            .parse()
            .map(Duration::from_secs)
            .map_err(|_| format!("SOAK_SECONDS={text} is not a number."))?,
        Err(_) => Duration::from_secs(extent.of(12, 1_800)),
    };
    let registry = Arc::new(Registry::default());
    let world = start(&registry)?;
    let to = world.envoy.address();
    let stop = Arc::new(AtomicBool::new(false));
    let begin = |act: fn(SocketAddr, usize, &Registry, &AtomicBool) -> Tally, count: usize| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let (registry, stop) = (Arc::clone(&registry), Arc::clone(&stop));
                thread::spawn(move || act(to, number, &registry, &stop))
            })
            .collect();
        threads
    };
    let (clients, listeners) = (begin(call, CLIENTS), begin(listen, LISTENERS));
    let watch = Watch::start(&world.envoy, time / 80);
    let end = Instant::now() + time;
    // Faults in every fourth second.
    let mut second = 0_u64;
    while Instant::now() < end {
        second += 1;
        registry
            .faults
            .store(second.is_multiple_of(4), Ordering::SeqCst);
        thread::sleep(Duration::from_secs(1).min(end.saturating_duration_since(Instant::now())));
    }
    registry.faults.store(false, Ordering::SeqCst);
    stop.store(true, Ordering::SeqCst);
    let collect = |threads: Vec<thread::JoinHandle<Tally>>| {
        let mut all = Tally::default();
        for thread in threads {
            all.merge(thread.join().expect("a client"));
        }
        all
    };
    let (calls, streams) = (collect(clients), collect(listeners));
    let resident = watch.stop();
    world.come_to_rest()?;
    let leaks = world.leaks();
    let reloads = world.envoy.stat("wasm.mcp_token_guard.vm_reload_success");
    let issued = lock(&registry.tokens).len();
    let failed = lock(&registry.failures).len();
    let quarter = resident.len() / 4;
    let early = mean(&resident[quarter..(quarter * 2).max(quarter + 1)]);
    let late = mean(&resident[quarter * 3..]);
    Ok(vec![
        Row::of(format!("soak of {} s: calls", time.as_secs()), &calls)
            .note(format!(
                "{issued} tokens, {failed} introspections failed on purpose"
            ))
            .within(TIMEOUT + SLACK)
            .expect(leaks == 0, || {
                format!("{leaks} tokens reached the upstream")
            })
            .expect(reloads == 0, || format!("the VM died {reloads} times"))
            .expect(calls.count(Got::Status(200)) > calls.sent() / 4, || {
                "hardly anything was let through".to_owned()
            }),
        Row::of("soak: streams, to their end", &streams).expect(streams.sent() > LISTENERS, || {
            "hardly any stream ended".to_owned()
        }),
        Row {
            what: "soak: memory in the second quarter, and in the last".to_owned(),
            sent: format!("{} looks", resident.len()),
            came: format!(
                "{early} MB, {late} MB; {} MB at the end",
                memory::now(&world.envoy)?
            ),
            ..Row::default()
        }
        .expect(late <= early + NOISE, || "it grows".to_owned()),
    ])
}

fn start(registry: &Arc<Registry>) -> Result<World, String> {
    let mut configuration = configuration();
    let seconds = |time: Duration| format!("{}s", time.as_secs());
    configuration["cache"] = json!({
        "ttl": seconds(TTL), "negative_ttl": "1s", "recheck_streams": seconds(RECHECK),
        "call_grace": "0s",
    });
    let truth = Arc::clone(registry);
    World::start(
        &configuration,
        move |token| truth.answer(token),
        serve,
        |_, _| (),
    )
}

/// The upstream: streams for those who listen, faults for those who ask.
fn serve(path: &str, asked: &Asked) -> Vec<Move> {
    if asked.head.starts_with(b"GET ") {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let event = b"b\r\ndata: {}\n\n\r\n".to_vec();
        return vec![
            Move::Send(head.into()),
            Move::Repeat(event, Duration::from_millis(100)),
        ];
    }
    match path.rsplit('/').next() {
        Some("reset") => vec![Move::Reset],
        Some("cut") => vec![
            Move::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_vec()),
            Move::Wait(Duration::from_millis(30)),
            Move::Reset,
        ],
        _ => echo(path, asked),
    }
}

impl Registry {
    /// A new token, which lives for so many seconds or a part of one less.
    fn issue(&self, seconds: u32) -> String {
        let serial = self.serial.fetch_add(1, Ordering::SeqCst);
        let token = format!("soak-{serial:06}");
        let (at, wall) = (Instant::now(), now());
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        let expires_at = wall as i64 + i64::from(seconds);
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
        let left = Duration::from_secs_f64((expires_at as f64 - wall).max(0.0));
        let life = Life {
            expires: at + left,
            expires_at,
            revoked: None,
        };
        lock(&self.tokens).insert(token.clone(), life);
        token
    }

    /// From now on it is not good.
    fn revoke(&self, token: &str) {
        if let Some(life) = lock(&self.tokens).get_mut(token) {
            life.revoked = Some(Instant::now());
        }
    }

    fn life(&self, token: &str) -> Option<Life> {
        lock(&self.tokens).get(token).copied()
    }

    /// Whether every cache must have forgotten it for a while.
    fn is_long_dead(&self, token: &str) -> bool {
        let ended = |life: Life| life.revoked.map_or(life.expires, |at| at.min(life.expires));
        let life = self.life(token);
        life.is_none_or(|life| ended(life) + TTL * 4 < Instant::now())
    }

    /// What the authorization server says.
    fn answer(&self, token: &str) -> Vec<Move> {
        let serial = self.serial.fetch_add(1, Ordering::SeqCst);
        if self.faults.load(Ordering::SeqCst) && serial.is_multiple_of(ONE_FAILS) {
            lock(&self.failures).push(Instant::now());
            return match serial % 3 {
                0 => vec![Move::Reset],
                1 => vec![Move::Send(json_response("500 No", &json!({})))],
                _ => vec![Move::Send(b"HTTP/1.1 200 OK\r\ncont".to_vec()), Move::Close],
            };
        }
        let life = self.life(token.strip_prefix(CANARY).unwrap_or_default());
        match life {
            Some(life) if life.revoked.is_none() && Instant::now() < life.expires => {
                let mut claims = good_claims();
                claims["exp"] = life.expires_at.into();
                vec![Move::Send(json_response("200 OK", &claims))]
            }
            _ => vec![Move::Send(inactive())],
        }
    }

    /// Whether a call failed on purpose between these.
    fn failed(&self, from: Instant, to: Instant) -> bool {
        lock(&self.failures)
            .iter()
            .any(|at| from <= *at && *at <= to)
    }

    /// What is wrong with this verdict on a token, by the truth.
    fn judge(&self, token: &str, got: Got, sent: Instant, right: &[Got]) -> Option<String> {
        let answered = Instant::now();
        let life = self.life(token);
        // What an answer may take to get to the guard, on a busy machine.
        let way = Duration::from_secs(1);
        match got {
            Got::Status(401) => {
                let good = life.is_some_and(|life| {
                    life.revoked.is_none() && answered + Duration::from_secs(1) < life.expires
                });
                good.then(|| "a good token was refused".to_owned())
            }
            Got::Status(503) if self.failed(sent.checked_sub(way).unwrap_or(sent), answered) => {
                None
            }
            got if right.contains(&got) => {
                let Some(life) = life else {
                    return Some("a token that nobody issued was let in".to_owned());
                };
                if life.expires < sent {
                    return Some(format!(
                        "let in {:.1?} after it expired",
                        sent - life.expires
                    ));
                }
                let kept = TTL + way;
                let revoked = life.revoked.filter(|revoked| *revoked + kept < sent);
                revoked.map(|revoked| format!("let in {:.1?} after it was revoked", sent - revoked))
            }
            other => Some(format!("{other} came")),
        }
    }
}

/// A client that sends requests with tokens of its own, old and new.
fn call(to: SocketAddr, number: usize, registry: &Registry, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut client = Client::new(to);
    let mut tokens: Vec<String> = Vec::new();
    let mut turn = number * 7;
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        if tokens.len() < 12 {
            // Some live for two seconds, some for a minute.
            tokens.push(registry.issue(2 + u32::try_from(turn * 13 % 60).unwrap_or_default()));
        }
        let place = turn * 5 % tokens.len();
        // A token is sent for eight seconds more when it has ended: were more
        // revoked than this, most of those that are sent would be dead.
        if turn.is_multiple_of(67) {
            registry.revoke(&tokens[place]);
        }
        if registry.is_long_dead(&tokens[place]) {
            tokens.remove(place);
            continue;
        }
        let token = if turn.is_multiple_of(11) {
            format!("junk-{number}-{turn}")
        } else {
            tokens[place].clone()
        };
        let (path, right) = match turn % 23 {
            3 => ("reset", Got::Status(503)),
            7 => ("cut", Got::Cut(200)),
            _ => ("soak", Got::Status(200)),
        };
        let sent = Instant::now();
        let (response, took) = client.send(&with(&token, path));
        let got = Got::of(&response);
        tally.add(got, took);
        if let Some(wrong) = registry.judge(&token, got, sent, &[right]) {
            tally.complain(|| format!("{path} {token}: {wrong}"));
        }
        if turn.is_multiple_of(29) {
            let (response, took) = client.send(&post("/github/mcp"));
            let got = Got::of(&response);
            tally.add(got, took);
            if got != Got::Status(401) {
                tally.complain(|| format!("{got} without a token"));
            }
        }
        thread::sleep(EVERY.saturating_sub(sent.elapsed()));
    }
    tally
}

/// A client that holds a stream until its token ends it.
fn listen(to: SocketAddr, number: usize, registry: &Registry, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut turn = number;
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        let revoked = turn.is_multiple_of(2);
        let token = registry.issue(if revoked { 60 } else { 4 });
        let request =
            get("/github/mcp/listen").header("Authorization", format!("Bearer {CANARY}{token}"));
        let begun = Instant::now();
        match stream(to, &request, || {
            if revoked && begun.elapsed() > Duration::from_secs(2) {
                let none = registry
                    .life(&token)
                    .is_some_and(|life| life.revoked.is_none());
                if none {
                    registry.revoke(&token);
                }
            }
        }) {
            Ok(Got::Cut(200)) => {
                let over = Instant::now();
                tally.add(Got::Cut(200), begun.elapsed());
                let Some(life) = registry.life(&token) else {
                    continue;
                };
                let due = life.revoked.unwrap_or(life.expires);
                let late = match life.revoked {
                    // A failed call about it is made again at the next time.
                    Some(_) => TTL + RECHECK * 3 + NOTICE,
                    None => NOTICE,
                } + Duration::from_secs(2);
                if over > due + late {
                    tally.complain(|| format!("{token} streamed for {:.1?} more", over - due));
                }
                if over + Duration::from_secs(1) < due {
                    tally.complain(|| format!("{token} ended {:.1?} too soon", due - over));
                }
            }
            Ok(got) => {
                tally.add(got, begun.elapsed());
                if let Some(wrong) = registry.judge(&token, got, begun, &[]) {
                    tally.complain(|| format!("stream {token}: {wrong}"));
                }
            }
            Err(error) => tally.complain(|| format!("stream {token}: {error}")),
        }
    }
    tally
}

/// Reads a stream to its end.
fn stream(to: SocketAddr, request: &Request, mut meanwhile: impl FnMut()) -> std::io::Result<Got> {
    let mut client = Http1::connect(to)?;
    client.send(request)?;
    let head = client.head()?;
    if head.status != 200 {
        return Ok(Got::Status(head.status));
    }
    // The end of the chunks, or of the connection.
    while client.chunk().is_ok_and(|chunk| !chunk.is_empty()) {
        meanwhile();
    }
    Ok(Got::Cut(200))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
