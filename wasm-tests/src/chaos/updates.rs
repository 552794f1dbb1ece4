//! New configurations while requests go on: each listener update is followed on
//! the wire, by what answers say about the rules that made them.
//!
//! An accepted request says so by a header that its configuration sets and the
//! upstream gives back, a refused one by the scopes of its challenge. The first
//! answer by new rules is the switch. From then on no connection that was opened
//! later may get an answer by older ones, nor any once the time for draining is
//! over.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memmem::find;
use serde_json::{Value, json};

use super::client::{Got, Tally};
use super::memory::{self, NOISE};
use super::wild::{Asked, Move, Wild};
use super::world::{self, CANARY, SLACK, configuration, good_claims, json_response, with};
use super::{Extent, Row};
use crate::client::{Http1, Response};
use crate::envoy::pieces::guard;
use crate::envoy::{Envoy, Setup};
use crate::module;
use crate::peers::{PATIENCE, runtime, socket};
use crate::scenario::{Request, post};

/// Clients, each with a connection.
const CLIENTS: usize = 10;

/// How often each sends a request: 500 a second, all together.
const EVERY: Duration = Duration::from_millis(20);

/// After so many requests the first client opens a new connection, the second
/// after twice as many, and so on.
const KEPT: usize = 10;

/// `--drain-time-s`.
const DRAIN: Duration = Duration::from_secs(1);

/// Live VMs of Envoy.
const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";

/// An answer, and when things were.
#[derive(Clone, Copy, Debug)]
struct Seen {
    opened: Instant,
    sent: Instant,
    answered: Instant,
    /// Whose rules it was made by.
    generation: usize,
}

/// An Envoy whose listener is in a file.
struct Place {
    envoy: Envoy,
    setup: Setup,
    authorization_server: Wild,
    upstream: Wild,
    address: SocketAddr,
    leaks: Arc<std::sync::atomic::AtomicUsize>,
}

/// The part.
pub(super) fn run(extent: Extent) -> Result<Vec<Row>, String> {
    let folder =
        std::env::temp_dir().join(format!("mcp-token-guard-updates-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("no folder for a listener: {error}."))?;
    let done = updates(&folder, extent);
    let _ = fs::remove_dir_all(&folder);
    done
}

fn updates(folder: &Path, extent: Extent) -> Result<Vec<Row>, String> {
    let (place, _reservation) = start(folder)?;
    let vms = place.envoy.stat(VMS);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (to, stop) = (place.address, Arc::clone(&stop));
            thread::spawn(move || go_on(to, number, &stop))
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let before = memory::now(&place.envoy)?;
    let count = extent.of(4, 60);
    let mut written = Vec::new();
    let result = change(&place, count, &mut written);
    thread::sleep(DRAIN * 2);
    stop.store(true, Ordering::SeqCst);
    let mut tally = Tally::default();
    let mut seen = Vec::new();
    for client in clients {
        let (one, answers) = client.join().expect("a client");
        tally.merge(one);
        seen.extend(answers);
    }
    result?;
    place.envoy.wait_stat(VMS, |now| now == vms);
    place
        .envoy
        .wait_stat("listener_manager.total_filter_chains_draining", |now| {
            now == 0
        });
    let after = memory::now(&place.envoy)?;
    let mut rows = vec![judge(&tally, &mut seen, &written)];
    let vms_after = place.envoy.stat(VMS);
    let leaks = place.leaks.load(Ordering::SeqCst);
    rows.push(
        Row {
            what: "memory after all updates are drained".to_owned(),
            sent: "–".to_owned(),
            came: format!(
                "{before} MB before, {after} MB after; {vms} VMs before, {vms_after} after"
            ),
            ..Row::default()
        }
        .expect(after <= before + NOISE, || "it grows".to_owned())
        .expect(leaks == 0, || {
            format!("{leaks} tokens reached the upstream")
        }),
    );
    rows.push(bad_update(&place, count)?);
    Ok(rows)
}

/// Envoy under the rules of generation 0.
fn start(folder: &Path) -> Result<(Place, tokio::net::TcpSocket), String> {
    let leaks = Arc::default();
    let authorization_server = world::authorization_server(|token| {
        if !token.starts_with(CANARY) {
            return vec![Move::Send(world::inactive())];
        }
        let mut claims = good_claims();
        let scopes: Vec<_> = (0..1_000).map(|number| format!("gen:{number}")).collect();
        claims["scope"] = format!("mcp:read {}", scopes.join(" ")).into();
        vec![Move::Send(json_response("200 OK", &claims))]
    });
    let upstream = world::upstream(&leaks, serve);
    let reservation = {
        let _inside = runtime().enter();
        socket()
    };
    // Listeners that come and go keep their port only if it is a fixed one.
    let address = reservation
        .bind(([127, 0, 0, 1], 0).into())
        .and_then(|()| reservation.local_addr())
        .map_err(|error| format!("no free port: {error}."))?;
    let mut setup = world::setup(&authorization_server, &upstream);
    setup.port = address.port();
    setup.listener_file = Some(folder.join("listener.json"));
    put(&mut setup, &rules(0), "0")?;
    let envoy = setup.try_start().map_err(|not| not.to_string())?;
    let place = Place {
        envoy,
        setup,
        authorization_server,
        upstream,
        address,
        leaks,
    };
    Ok((place, reservation))
}

/// The upstream says by whose rules a request came.
fn serve(_: &str, asked: &Asked) -> Vec<Move> {
    let name = b"\r\nx-generation: ";
    let generation = find(&asked.head, name).map(|at| {
        let rest = &asked.head[at + name.len()..];
        let end = find(rest, b"\r\n").unwrap_or(rest.len());
        String::from_utf8_lossy(&rest[..end]).into_owned()
    });
    let field = format!("x-generation: {}", generation.unwrap_or_default());
    vec![Move::Send(load::response("200 OK", &[&field], b"ok"))]
}

/// The configuration of a generation.
fn rules(generation: usize) -> Value {
    let mut rules = configuration();
    let server = &mut rules["servers"]["github"];
    server["required_scopes"] = json!(["mcp:read", format!("gen:{generation}")]);
    server["default_headers"]["X-Generation"] = json!(generation.to_string());
    rules
}

/// Writes the listener with these rules where Envoy looks.
fn put(setup: &mut Setup, rules: &Value, version: &str) -> Result<(), String> {
    setup.filters = vec![guard(module::path(), rules, &setup.environment)];
    setup
        .write_listener(version)
        .map_err(|error| format!("the listener cannot be written: {error}."))
}

/// New rules every second.
fn change(place: &Place, count: usize, written: &mut Vec<Instant>) -> Result<(), String> {
    let mut setup = place.setup.clone();
    for generation in 1..=count {
        let begun = Instant::now();
        written.push(begun);
        put(&mut setup, &rules(generation), &generation.to_string())?;
        let taken = generation as u64 + 1;
        place
            .envoy
            .wait_stat("listener_manager.lds.update_success", |now| now >= taken);
        // Another one would take the place of one that is not in use yet.
        until_in_use(place, generation)?;
        thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// Waits until new connections are under the rules of this generation.
fn until_in_use(place: &Place, generation: usize) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let (response, _) = super::client::send(place.address, &post("/github/mcp"));
        if response.ok().as_ref().and_then(self::generation) == Some(generation) {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("the rules of update {generation} are not in use."));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A client: its answers, and by whose rules they were.
fn go_on(to: SocketAddr, number: usize, stop: &AtomicBool) -> (Tally, Vec<Seen>) {
    let mut tally = Tally::default();
    let mut answers = Vec::new();
    let mut connection: Option<(Http1, Instant, usize)> = None;
    let mut turn = number;
    while !stop.load(Ordering::SeqCst) {
        let begun = Instant::now();
        turn += 1;
        let request = if turn.is_multiple_of(5) {
            post("/github/mcp")
        } else {
            with("good-known", "updates")
        };
        let (mut client, opened, used) = match connection.take() {
            Some(kept) => kept,
            None => match Http1::connect(to) {
                // Of a connection the beginning counts, when Envoy may have
                // taken it: after this.
                Ok(client) => (client, begun, 0),
                Err(error) => {
                    tally.complain(|| format!("no connection: {error}"));
                    continue;
                }
            },
        };
        let sent = Instant::now();
        let response = exchange(&mut client, &request);
        let got = Got::of(&response);
        tally.add(got, sent.elapsed());
        // A connection that Envoy drains is said to be closed.
        let stays = response.as_ref().is_ok_and(|response| {
            let close = response.header("connection");
            response.whole && close.is_none_or(|value| value != b"close")
        });
        match response {
            Ok(response) => match generation(&response) {
                Some(generation) => answers.push(Seen {
                    opened,
                    sent,
                    answered: Instant::now(),
                    generation,
                }),
                None => tally.complain(|| format!("{got} without rules")),
            },
            Err(error) => tally.complain(|| format!("request {used} of a connection: {error}")),
        }
        if stays && used + 1 < KEPT * (number + 1) {
            connection = Some((client, opened, used + 1));
        }
        thread::sleep(EVERY.saturating_sub(begun.elapsed()));
    }
    (tally, answers)
}

fn exchange(client: &mut Http1, request: &Request) -> std::io::Result<Response> {
    client.send(request)?;
    client.response(false)
}

/// By whose rules an answer was made.
fn generation(response: &Response) -> Option<usize> {
    let (text, marker) = match response.status {
        200 => (response.header("x-generation")?, &b""[..]),
        401 => (response.header("www-authenticate")?, &b"gen:"[..]),
        _ => return None,
    };
    let at = find(text, marker)? + marker.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let digits: Vec<u8> = digits.copied().collect();
    str::from_utf8(&digits).ok()?.parse().ok()
}

/// What the answers say about each switch.
fn judge(tally: &Tally, seen: &mut [Seen], written: &[Instant]) -> Row {
    seen.sort_by_key(|one| one.answered);
    let mut row = Row::of(
        format!("{} listener updates, one a second", written.len()),
        tally,
    )
    .within(SLACK);
    // By generation: the first answer by its rules, or by newer ones.
    let mut switches: Vec<Option<Instant>> = vec![None; written.len() + 1];
    for one in seen.iter() {
        for switch in switches.iter_mut().take(one.generation + 1) {
            switch.get_or_insert(one.answered);
        }
    }
    let mut longest = Duration::ZERO;
    for (generation, written) in (1..).zip(written) {
        let own = seen.iter().any(|one| one.generation == generation);
        match switches[generation].filter(|_| own) {
            Some(switch) => longest = longest.max(switch.saturating_duration_since(*written)),
            None => row
                .wrong
                .push(format!("nobody saw the rules of update {generation}")),
        }
    }
    let (mut late, mut lasting, mut old) = (0, Duration::ZERO, 0);
    for one in seen.iter() {
        let Some(Some(next)) = switches.get(one.generation + 1) else {
            continue;
        };
        if one.opened > *next {
            late += 1;
        }
        let after = one.sent.saturating_duration_since(*next);
        lasting = lasting.max(after);
        // The draining begins a little after the first answer can be seen.
        if after > DRAIN + Duration::from_secs(1) {
            old += 1;
        }
    }
    row.note(format!(
        "new rules {longest:.1?} after the file at the latest, old ones for {lasting:.1?} on open \
         connections at most"
    ))
    .expect(late == 0, || {
        format!("{late} answers by old rules on newer connections")
    })
    .expect(old == 0, || {
        format!("{old} answers by old rules after the time for draining")
    })
    .expect(seen.len() > written.len() * 100, || {
        "hardly anybody was there".to_owned()
    })
}

/// A bad update is refused, and the rules stay as they are.
fn bad_update(place: &Place, generation: usize) -> Result<Row, String> {
    let mut setup = place.setup.clone();
    let mut bad = rules(generation + 1);
    bad["surprise"] = json!(true);
    let vms = place.envoy.stat(VMS);
    put(&mut setup, &bad, "bad")?;
    place
        .envoy
        .wait_stat("listener_manager.lds.update_rejected", |now| now >= 1);
    let mut tally = Tally::default();
    let mut wrong = 0;
    for number in 0..50 {
        let request = if number % 2 == 0 {
            post("/github/mcp")
        } else {
            with("good-known", "updates")
        };
        let (response, took) = super::client::send(place.address, &request);
        let got = Got::of(&response);
        tally.add(got, took);
        let by = response.ok().as_ref().and_then(self::generation);
        wrong += usize::from(by != Some(generation));
    }
    place.envoy.wait_stat(VMS, |now| now == vms);
    // And the next good one is taken.
    put(&mut setup, &rules(generation + 2), "good again")?;
    until_in_use(place, generation + 2)?;
    let heads = super::wild::Seen::get(&place.upstream.seen().heads);
    let asked = super::wild::Seen::get(&place.authorization_server.seen().heads);
    Ok(Row::of("a bad update", &tally)
        .note(format!(
            "rejected, the rules before it go on, the next good one is taken; {heads} requests and \
             {asked} calls in all"
        ))
        .within(SLACK)
        .expect(wrong == 0, || format!("{wrong} answers by other rules")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of three generations, four hundred in all, the file of the second
    /// and third written after a second each; and one more.
    fn judged(opened: u64, sent: u64, generation: usize) -> Vec<String> {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let answer = |opened: u64, sent: u64, generation: usize| Seen {
            opened: at(opened),
            sent: at(sent),
            answered: at(sent + 1),
            generation,
        };
        let mut seen: Vec<_> = (0..400)
            .map(|number| number * 10)
            .map(|ms| answer(ms, ms, usize::try_from(ms / 1_020).unwrap().min(2)))
            .collect();
        seen.push(answer(opened, sent, generation));
        judge(&Tally::default(), &mut seen, &[at(1_000), at(2_000)]).wrong
    }

    #[test]
    fn old_rules_are_right_on_old_connections_until_they_are_drained() {
        assert_eq!(judged(900, 1_100, 0), [""; 0]);
        assert_eq!(judged(900, 2_900, 0), [""; 0]);
        assert_eq!(
            judged(900, 3_200, 0).len(),
            1,
            "after the time for draining"
        );
        assert_eq!(judged(1_100, 1_200, 0).len(), 1, "on a newer connection");
        assert_eq!(judged(1_100, 3_300, 0).len(), 2, "both");
    }

    #[test]
    fn an_update_that_nobody_sees_is_wrong() {
        let begin = Instant::now();
        let answer = |generation| Seen {
            opened: begin,
            sent: begin,
            answered: begin,
            generation,
        };
        let mut seen = vec![answer(0); 200];
        seen.push(answer(2));
        let row = judge(&Tally::default(), &mut seen, &[begin, begin]);
        assert_eq!(row.wrong, ["nobody saw the rules of update 1"]);
    }
}
