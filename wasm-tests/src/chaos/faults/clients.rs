//! Clients that leave, reset, half-close, dawdle and crowd, before, while and
//! after their token is asked about.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::super::client::{Got, Tally};
use super::super::wild::Seen;
use super::super::world::{CANARY, SLACK, World, with};
use super::{Ledger, Row};
use crate::client::{Http1, encode};

/// How long the authorization server thinks about a token that is to be held.
pub(super) const HELD: Duration = Duration::from_millis(400);

/// One way to behave.
struct Behaviour {
    what: &'static str,
    /// Behaves so. The number makes its token and path its own.
    run: fn(&World, usize) -> Result<Got, String>,
    /// What it may get.
    right: &'static [Got],
    /// Whether the guard lets it through, and counts that.
    allowed: usize,
    /// Whether the guard refuses it for having no token.
    no_token: usize,
}

/// All of them.
const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        what: "leaves in its head",
        run: |world, _| {
            let mut client = resetting(world)?;
            client
                .write(b"POST /github/mcp HTTP/1.1\r\nHost: x\r\nAuthoriz")
                .map_err(failed)?;
            Ok(Got::Nothing)
        },
        right: &[Got::Nothing],
        allowed: 0,
        no_token: 0,
    },
    Behaviour {
        what: "resets while it is asked about",
        run: |world, number| leave(world, resetting(world)?, &format!("slow-r-{number}")),
        right: &[Got::Nothing],
        allowed: 0,
        no_token: 0,
    },
    Behaviour {
        what: "closes while it is asked about",
        run: |world, number| leave(world, plain(world)?, &format!("slow-c-{number}")),
        right: &[Got::Nothing],
        allowed: 0,
        no_token: 0,
    },
    Behaviour {
        what: "resets in its content while it is asked about",
        run: |world, number| {
            let mut client = resetting(world)?;
            let token = format!("slow-m-{number}");
            asked_about(world, || {
                client.write(&unfinished(&token, "mid")).map_err(failed)
            })?;
            Ok(Got::Nothing)
        },
        right: &[Got::Nothing],
        allowed: 0,
        no_token: 0,
    },
    Behaviour {
        what: "resets in its content, half of which is upstream",
        run: |world, number| {
            let mut client = resetting(world)?;
            let bytes = unfinished(&format!("good-u-{number}"), "half");
            upstream(world, "half", || client.write(&bytes).map_err(failed))?;
            Ok(Got::Nothing)
        },
        right: &[Got::Nothing],
        allowed: 1,
        no_token: 0,
    },
    Behaviour {
        what: "leaves while the upstream works",
        run: |world, number| {
            let mut client = resetting(world)?;
            let request = with(&format!("good-w-{number}"), "hang");
            upstream(world, "hang", || client.send(&request).map_err(failed))?;
            Ok(Got::Nothing)
        },
        right: &[Got::Nothing],
        allowed: 1,
        no_token: 0,
    },
    Behaviour {
        what: "sends its content by and by",
        run: |world, number| {
            let mut client = plain(world)?;
            let bytes = encode(&with(&format!("good-s-{number}"), "slow"));
            for piece in bytes.chunks(bytes.len() / 20) {
                client.write(piece).map_err(failed)?;
                thread::sleep(Duration::from_millis(10));
            }
            Ok(Got::of(&client.response(false)))
        },
        right: &[Got::Status(200)],
        allowed: 1,
        no_token: 0,
    },
    Behaviour {
        what: "sends two requests at once, one of them without a token",
        run: |world, number| {
            let mut client = plain(world)?;
            let mut both = encode(&with(&format!("good-p-{number}"), "pipelined"));
            both.extend(b"GET /github/mcp HTTP/1.1\r\nHost: x\r\n\r\n");
            client.write(&both).map_err(failed)?;
            let first = client.response(false);
            if Got::of(&first) != Got::Status(200) {
                return Ok(Got::of(&first));
            }
            Ok(Got::of(&client.response(false)))
        },
        right: &[Got::Status(401)],
        allowed: 1,
        no_token: 1,
    },
];

/// Lets each behave so many times, all side by side, and then those that
/// half-close, whose outcome is theirs to race for.
pub(super) fn run(world: &World, times: usize, ledger: &mut Ledger) -> Result<Vec<Row>, String> {
    let leaks = world.leaks.load(Ordering::SeqCst);
    let mut rows = Vec::new();
    // One kind after the other: they count what the servers see.
    for behaviour in BEHAVIOURS {
        let mut tally = Tally::default();
        for number in 0..times {
            let begun = Instant::now();
            let got = (behaviour.run)(world, number)?;
            tally.add(got, begun.elapsed());
            if !behaviour.right.contains(&got) {
                tally.complain(|| format!("a client got {got}"));
            }
        }
        *ledger.entry("allowed").or_default() += behaviour.allowed * times;
        *ledger.entry("no_token").or_default() += behaviour.no_token * times;
        let row = Row::of(format!("client {}", behaviour.what), &tally);
        rows.push(row.within(HELD + SLACK));
    }
    rows.push(half_close(world, times, ledger));
    let leaks = world.leaks.load(Ordering::SeqCst) - leaks;
    Ok(rows
        .into_iter()
        .map(|row| row.expect(leaks == 0, || "a token reached an upstream".to_owned()))
        .collect())
}

/// Envoy takes a half-closed connection for one that is over.
fn half_close(world: &World, times: usize, ledger: &mut Ledger) -> Row {
    let mut tally = Tally::default();
    for number in 0..times {
        let begun = Instant::now();
        let got = plain(world).and_then(|mut client| {
            asked_about(world, || {
                client
                    .send(&with(&format!("slow-h-{number}"), "half-closed"))
                    .map_err(failed)
            })?;
            client.half_close().map_err(failed)?;
            Ok(Got::of(&client.response(false)))
        });
        match got {
            Ok(got) => {
                tally.add(got, begun.elapsed());
                match got {
                    Got::Nothing => {}
                    Got::Status(200) => *ledger.entry("allowed").or_default() += 1,
                    other => tally.complain(|| format!("a client got {other}")),
                }
            }
            Err(sentence) => tally.complain(|| sentence),
        }
    }
    Row::of("client half-closes while it is asked about", &tally).within(HELD + SLACK)
}

/// Goes away while its token is asked about.
fn leave(world: &World, mut client: Http1, token: &str) -> Result<Got, String> {
    asked_about(world, || client.send(&with(token, "gone")).map_err(failed))?;
    drop(client);
    Ok(Got::Nothing)
}

/// Sends, and waits until the authorization server thinks about one token more.
fn asked_about(world: &World, send: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let seen = world.authorization_server.seen();
    // Those of bystanders are answered at once.
    seen.wait("no call under way", |seen| Seen::get(&seen.in_flight) == 0)?;
    send()?;
    seen.wait("the call", |seen| Seen::get(&seen.in_flight) > 0)
}

/// Sends, and waits until the upstream has got one more request for this path,
/// which is nobody else's.
fn upstream(
    world: &World,
    path: &str,
    send: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let path = format!("/github/mcp/{path}");
    let seen = world.upstream.seen();
    let before = seen.of(&path);
    send()?;
    seen.wait("the request upstream", |seen| seen.of(&path) > before)
}

/// A request whose content is not all there.
fn unfinished(token: &str, path: &str) -> Vec<u8> {
    let head = format!(
        "POST /github/mcp/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CANARY}{token}\r\nContent-Length: 100000\r\n\r\n"
    );
    [head.as_bytes(), &[b'x'; 10_000]].concat()
}

fn plain(world: &World) -> Result<Http1, String> {
    Http1::connect(world.envoy.address()).map_err(failed)
}

fn resetting(world: &World) -> Result<Http1, String> {
    Http1::connect_resetting(world.envoy.address()).map_err(failed)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
fn failed(error: std::io::Error) -> String {
    format!("a client failed: {error}")
}
