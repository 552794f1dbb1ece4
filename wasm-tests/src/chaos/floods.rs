//! Floods: of junk tokens, of connections that wait for one token, of content
//! behind a pause.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use load::{Load, Outcome, Request, Until};
use serde_json::json;

use super::bystanders::{Bystanders, Weather};
use super::client::{Got, send};
use super::memory::{self, NOISE, Watch};
use super::wild::{Move, Seen};
use super::world::{CANARY, SLACK, TIMEOUT, World, configuration, echo, good, inactive, with};
use super::{Extent, Row};
use crate::client::Http1;
use crate::envoy::pieces::stopping_iteration;
use crate::peers::PATIENCE;

/// `limits.in_flight` of the flood: the default.
const IN_FLIGHT: usize = 256;

/// Connections of a flood; more than may be in flight.
const CONNECTIONS: usize = 500;

/// Requests that Envoy has begun and not ended.
const ACTIVE: &str = "http.guarded.downstream_rq_active";

/// The part.
pub(super) fn run(extent: Extent) -> Result<Vec<Row>, String> {
    let mut rows = junk(extent)?;
    rows.push(crowd(extent)?);
    rows.push(content(extent)?);
    rows.push(buffered()?);
    Ok(rows)
}

/// Floods of tokens that nobody has issued, at full speed.
fn junk(extent: Extent) -> Result<Vec<Row>, String> {
    let answers = |token: &str| {
        let kind = token.strip_prefix(CANARY).unwrap_or_default();
        if kind.starts_with("good-") {
            vec![Move::Send(good())]
        } else if kind.starts_with("hang-") {
            vec![Move::Hang]
        } else {
            vec![
                Move::Wait(Duration::from_millis(500)),
                Move::Send(inactive()),
            ]
        }
    };
    let mut configuration = configuration();
    configuration["limits"] = json!({"in_flight": IN_FLIGHT});
    // Each flood is of tokens that the one before may have left in the cache.
    configuration["cache"]["max_entries"] = 1_000.into();
    let world = World::start(&configuration, answers, echo, |_, _| ())?;
    let (response, _) = send(world.envoy.address(), &with("good-known", "prime"));
    if Got::of(&response) != Got::Status(200) {
        return Err("without a flood nobody is let in.".to_owned());
    }
    let requests = extent.of(8_000, 100_000);
    let mut rows = Vec::new();
    let mut resident = vec![memory::now(&world.envoy)?];
    for (what, kind, refusals) in [
        (
            "junk tokens, authorization server takes 500 ms",
            "junk",
            "inactive",
        ),
        ("as many again", "more", "inactive"),
        (
            "junk tokens, authorization server hangs",
            "hang",
            "introspection_failed",
        ),
    ] {
        let counted = [world.counted("overloaded"), world.counted(refusals)];
        world
            .authorization_server
            .seen()
            .most
            .store(0, Ordering::SeqCst);
        let others = Bystanders::start(
            world.envoy.address(),
            2,
            Duration::from_millis(10),
            Weather::Flood,
        );
        let flood = Load {
            to: world.envoy.address(),
            connections: CONNECTIONS,
            until: Until::Requests(requests),
            request: numbered(kind),
            // Where nobody can be asked this is the same status.
            status: 503,
        };
        let outcome = flood
            .run_or(Some(401))
            .map_err(|error| format!("the flood broke: {error}."))?;
        let others = others.stop();
        world.come_to_rest()?;
        resident.push(memory::now(&world.envoy)?);
        let most = Seen::get(&world.authorization_server.seen().most);
        let counted = [
            world.counted("overloaded") - counted[0],
            world.counted(refusals) - counted[1],
        ];
        rows.push(flooded(what, &outcome, counted, most));
        rows.push(
            Row::of("known tokens meanwhile", &others.tally)
                .within(SLACK)
                .expect(others.tally.sent() >= 20, || {
                    "hardly anybody was there".to_owned()
                }),
        );
    }
    rows.push(flat("memory before and after each flood", &resident));
    Ok(rows)
}

/// What came of a flood.
fn flooded(what: &str, outcome: &Outcome, counted: [u64; 2], most: usize) -> Row {
    // Refusals that had to wait for the authorization server are as many as
    // were counted, and are the slowest.
    let [overloaded, asked] = counted;
    let quick = if outcome.others.is_empty() {
        let place = usize::try_from(overloaded).unwrap_or(usize::MAX);
        outcome.latencies[..place.min(outcome.latencies.len())].to_vec()
    } else {
        outcome.latencies.clone()
    };
    let at = |percent: usize| {
        let place = quick.len().saturating_sub(1) * percent / 100;
        Duration::from_micros(quick.get(place).copied().unwrap_or_default().into())
    };
    let total = outcome.latencies.len() + outcome.others.len();
    let (median, most_of_them) = (at(50), at(99));
    Row {
        what: format!("{what}, {CONNECTIONS} connections"),
        sent: total.to_string(),
        worst: Duration::from_micros(
            outcome
                .percentile(100)
                .max(outcome.percentile_of_others(100))
                .into(),
        ),
        ..Row::default()
    }
    .note(format!(
        "{overloaded} × 503 at once (half of them within {median:.0?}, 99 of 100 within \
         {most_of_them:.0?}), {asked} after a call; at most {most} calls in flight"
    ))
    .within(TIMEOUT + SLACK)
    .expect(outcome.unexpected.is_none(), || {
        format!("{:?} came", outcome.unexpected)
    })
    .expect(overloaded + asked == total as u64, || {
        format!("{overloaded} and {asked} were counted")
    })
    .expect(most <= IN_FLIGHT, || format!("{most} calls were in flight"))
    .expect(most > IN_FLIGHT / 2, || "there was no flood".to_owned())
    // Not one of them may have waited for the authorization server.
    .expect(most_of_them < TIMEOUT, || "refusals are slow".to_owned())
}

/// Memory after something is what it was after the first time.
fn flat(what: &str, resident: &[u64]) -> Row {
    let first = resident.get(1).copied().unwrap_or_default();
    let last = resident.last().copied().unwrap_or_default();
    let all: Vec<_> = resident
        .iter()
        .map(|megabytes| format!("{megabytes} MB"))
        .collect();
    Row {
        what: what.to_owned(),
        sent: "–".to_owned(),
        came: all.join(", "),
        ..Row::default()
    }
    .expect(last <= first + NOISE, || "it grows".to_owned())
}

/// Requests with tokens that count up.
fn numbered(kind: &str) -> Request {
    let begin = format!(
        "GET /github/mcp HTTP/1.1\r\nhost: gateway.example.com\r\nauthorization: Bearer {CANARY}{kind}-"
    );
    Request {
        bytes: format!("{begin}00000000\r\n\r\n").into_bytes(),
        numbers: Some((begin.len(), 100_000_000)),
    }
}

/// Connections that wait for one token: those above the bound are turned away
/// at once, and the rest is served by one call.
fn crowd(extent: Extent) -> Result<Row, String> {
    let connections: usize = extent.of(1_500, 10_000);
    let bound: usize = extent.of(500, 4_096);
    enough_files(connections + bound + 500)?;
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let mut configuration = configuration();
    configuration["authorization_server"]["introspection"]["timeout"] = "30s".into();
    configuration["limits"] = json!({"waiting": bound});
    let answers = move |_: &str| vec![Move::Until(Arc::clone(&gate)), Move::Send(good())];
    let world = World::start(&configuration, answers, echo, |setup, _| {
        setup.stream_idle_timeout = "60s";
        setup.routes[0]["route"]["idle_timeout"] = "60s".into();
    })?;
    let to = world.envoy.address();
    let before = memory::now(&world.envoy)?;
    let crowd = thread::spawn(move || {
        Load {
            to,
            connections,
            until: Until::Requests(connections as u64),
            request: Request {
                bytes: format!(
                    "GET /github/mcp HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {CANARY}good-crowd\r\n\r\n"
                )
                .into_bytes(),
                numbers: None,
            },
            status: 200,
        }
        .run_or(Some(503))
    });
    let turned_away = (connections - bound) as u64;
    wait("the rest to be turned away", || {
        world.counted("overloaded") >= turned_away
    })?;
    wait("the others to wait", || {
        world.envoy.stat(ACTIVE) == bound as u64
    })?;
    let during = memory::now(&world.envoy)?;
    open.store(true, Ordering::SeqCst);
    let outcome = crowd
        .join()
        .expect("the crowd")
        .map_err(|error| format!("the crowd broke: {error}."))?;
    world.come_to_rest()?;
    let after = memory::now(&world.envoy)?;
    let calls = Seen::get(&world.authorization_server.seen().heads);
    let quick = Duration::from_micros(outcome.percentile_of_others(99).into());
    let (served, refused) = (outcome.latencies.len(), outcome.others.len());
    Ok(Row {
        what: format!("connections with one token, of which {bound} may wait"),
        sent: connections.to_string(),
        worst: Duration::from_micros(outcome.percentile(100).into()),
        ..Row::default()
    }
    .note(format!(
        "{refused} × 503 (99 of 100 within {quick:.0?}), {served} × 200 after {calls} call; \
         {before}, {during}, {after} MB"
    ))
    .expect(outcome.unexpected.is_none(), || {
        format!("{:?} came", outcome.unexpected)
    })
    .expect(served == bound, || format!("{served} were served"))
    .expect(refused as u64 == turned_away, || {
        format!("{refused} were turned away")
    })
    .expect(calls == 1, || format!("{calls} calls were made"))
    .expect(quick <= SLACK, || "refusals are slow".to_owned()))
}

/// Content behind a pause stays with its sender.
fn content(extent: Extent) -> Result<Row, String> {
    const SENDERS: usize = 4;
    let each: usize = extent.of(32 << 20, 256 << 20);
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let mut configuration = configuration();
    configuration["authorization_server"]["introspection"]["timeout"] = "30s".into();
    let answers = move |_: &str| vec![Move::Until(Arc::clone(&gate)), Move::Send(good())];
    let world = World::start(&configuration, answers, echo, |setup, _| {
        setup.stream_idle_timeout = "60s";
        setup.routes[0]["route"]["idle_timeout"] = "60s".into();
    })?;
    let to = world.envoy.address();
    let before = memory::now(&world.envoy)?;
    let watch = Watch::start(&world.envoy, Duration::from_millis(20));
    let written = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let written = Arc::clone(&written);
            thread::spawn(move || large(to, number, each, &written))
        })
        .collect();
    let seen = world.authorization_server.seen();
    seen.wait("the calls", |seen| Seen::get(&seen.in_flight) == SENDERS)?;
    let paused = until_still(&written);
    let early = Seen::get(&world.upstream.seen().content);
    let during = memory::now(&world.envoy)?;
    open.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let mut wrong = Vec::new();
    for sender in senders {
        match sender.join().expect("a sender") {
            Ok(Got::Status(200)) => {}
            Ok(other) => wrong.push(format!("a sender got {other}")),
            Err(error) => wrong.push(format!("a sender failed: {error}")),
        }
    }
    let most = watch.stop().into_iter().max().unwrap_or_default();
    let arrived = Seen::get(&world.upstream.seen().content);
    let megabytes = |bytes: usize| bytes >> 20;
    let row = Row {
        what: "content behind a pause".to_owned(),
        sent: format!("{SENDERS} × {} MB", megabytes(each)),
        worst: begun.elapsed(),
        wrong,
        ..Row::default()
    };
    Ok(row
        .note(format!(
            "{} kB taken while paused, {} MB upstream afterwards; memory {before}, {during} MB \
             while paused, at most {most}",
            paused >> 10,
            megabytes(arrived)
        ))
        .expect(early == 0, || {
            format!("{early} bytes went on before the verdict")
        })
        .expect(arrived == SENDERS * each, || {
            "not all of it arrived".to_owned()
        })
        .expect(paused < each, || "it was taken and stored".to_owned())
        .expect(most <= before + NOISE, || "it was stored".to_owned()))
}

/// Where Envoy delivers content to a filter that pauses it stores some, and then
/// refuses.
fn buffered() -> Result<Row, String> {
    let each: usize = 32 << 20;
    let mut configuration = configuration();
    configuration["authorization_server"]["introspection"]["timeout"] = "30s".into();
    let answers = |_: &str| vec![Move::Hang];
    let world = World::start(&configuration, answers, echo, |_, filter| {
        *filter = stopping_iteration(filter.clone());
    })?;
    let before = memory::now(&world.envoy)?;
    let begun = Instant::now();
    let got = large(world.envoy.address(), 0, each, &AtomicUsize::new(0));
    let after = memory::now(&world.envoy)?;
    let came = got.map_or_else(|error| format!("{error}"), |got| got.to_string());
    let through = Seen::get(&world.upstream.seen().heads);
    Ok(Row {
        what: "the same with allow_on_headers_stop_iteration".to_owned(),
        sent: format!("{} MB", each >> 20),
        came: format!("{came}; memory {before}, {after} MB"),
        worst: begun.elapsed(),
        ..Row::default()
    }
    .within(SLACK)
    .expect(came == "413", || "it was not refused".to_owned())
    .expect(through == 0, || "it was let through".to_owned())
    .expect(after <= before + NOISE, || "it was stored".to_owned()))
}

/// Sends one large request.
fn large(
    to: SocketAddr,
    number: usize,
    length: usize,
    written: &AtomicUsize,
) -> std::io::Result<Got> {
    let mut client = Http1::connect(to)?;
    let mut writer = client.writer()?;
    let head = format!(
        "POST /github/mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CANARY}good-large-{number}\r\nContent-Length: {length}\r\n\r\n"
    );
    writer.set_write_timeout(Some(PATIENCE * 3))?;
    writer.write_all(head.as_bytes())?;
    let piece = vec![b'x'; 64 << 10];
    let mut left = length;
    while left > 0 {
        let now = writer.write(&piece[..piece.len().min(left)]);
        match now {
            Ok(now) => {
                left -= now;
                written.fetch_add(now, Ordering::SeqCst);
            }
            // It has been refused, and the answer is there.
            Err(_) => break,
        }
    }
    Ok(Got::of(&client.response(false)))
}

/// How much was written when nothing more was for a while.
fn until_still(written: &AtomicUsize) -> usize {
    loop {
        let before = written.load(Ordering::SeqCst);
        thread::sleep(Duration::from_millis(700));
        let after = written.load(Ordering::SeqCst);
        if before == after && after > 0 {
            return after;
        }
    }
}

/// Waits until this is so.
fn wait(what: &str, so: impl Fn() -> bool) -> Result<(), String> {
    let end = Instant::now() + PATIENCE * 2;
    while !so() {
        if Instant::now() > end {
            return Err(format!("waited in vain for {what}."));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether a process may have so many files open.
fn enough_files(wanted: usize) -> Result<(), String> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let limit = line.and_then(|line| line.split_ascii_whitespace().nth(3)?.parse().ok());
    match limit {
        Some(limit) if wanted > limit => Err(format!(
            "{wanted} open files are needed, and the limit is {limit}: say `ulimit -n {wanted}` first."
        )),
        _ => Ok(()),
    }
}
