//! The fault matrix: authorization server, upstream and clients, each failing
//! in every way there is, while other requests go well.

mod authorization_server;
mod clients;
mod upstream;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::bystanders::{Bystanders, Sent, Weather};
use super::client::{Got, Tally, send};
use super::wild::Move;
use super::world::{CANARY, SLACK, World, configuration, echo, good, inactive, with};
use super::{Extent, Row};

/// One way to fail.
struct Fault {
    /// What happens.
    what: &'static str,
    /// In moves.
    moves: fn() -> Vec<Move>,
    /// What a client may get.
    right: &'static [Got],
}

/// A table of faults, and who fails.
struct Faults {
    /// Who.
    who: &'static str,
    /// How its tokens and paths begin.
    key: &'static str,
    /// The outcome that the guard counts for each.
    outcome: fn(&Fault) -> &'static str,
    /// How long a client may have to wait.
    bound: Duration,
    /// The table.
    table: &'static [Fault],
}

/// All that the guard has to have counted.
type Ledger = BTreeMap<&'static str, usize>;

/// The part.
pub(super) fn run(extent: Extent) -> Result<Vec<Row>, String> {
    let world = World::start(&configuration(), answers, serves, |_, _| ())?;
    let mut ledger = Ledger::new();
    let mut rows = Vec::new();
    prime(&world, &mut ledger)?;

    let others = start(&world, Weather::Calm);
    for faults in [&authorization_server::FAULTS, &upstream::FAULTS] {
        rows.extend(faults.run(&world, extent.of(2, 40), &mut ledger));
    }
    rows.extend(clients::run(&world, extent.of(2, 20), &mut ledger)?);
    rows.push(stop(others, "everyone else meanwhile", &mut ledger));

    for (what, flaps) in [
        ("the authorization server refuses connections", false),
        ("the authorization server comes and goes", true),
    ] {
        let others = start(&world, Weather::Storm);
        let time = extent.of(Duration::from_secs(2), Duration::from_secs(20));
        break_down(&world, flaps, time);
        let row = stop(others, what, &mut ledger);
        rows.push(row.within(super::world::TIMEOUT + SLACK));
    }
    let others = start(&world, Weather::Calm);
    thread::sleep(Duration::from_millis(500));
    rows.push(stop(others, "afterwards", &mut ledger));
    rows.push(counters(&world, &ledger)?);
    Ok(rows)
}

/// What the authorization server does: tokens say what they are.
fn answers(token: &str) -> Vec<Move> {
    let kind = token.strip_prefix(CANARY).unwrap_or_default();
    if kind.starts_with("good-") {
        return vec![Move::Send(good())];
    }
    if kind.starts_with("slow-") {
        return vec![Move::Wait(clients::HELD), Move::Send(good())];
    }
    match authorization_server::FAULTS.find(kind) {
        Some(fault) => (fault.moves)(),
        None => vec![Move::Send(inactive())],
    }
}

/// What the upstream does: paths say what is wanted.
fn serves(path: &str, asked: &super::wild::Asked) -> Vec<Move> {
    let name = path.strip_prefix("/github/mcp/").unwrap_or_default();
    match upstream::FAULTS.find(name) {
        Some(fault) => (fault.moves)(),
        None if name.starts_with("hang") => vec![Move::Hang],
        None => echo(path, asked),
    }
}

/// Lets the tokens be known that have to go on while nobody can be asked.
fn prime(world: &World, ledger: &mut Ledger) -> Result<(), String> {
    let (response, _) = send(world.envoy.address(), &with("good-known", "prime"));
    *ledger.entry("allowed").or_default() += 1;
    match Got::of(&response) {
        Got::Status(200) => Ok(()),
        other => Err(format!("without any fault a client got {other}.")),
    }
}

fn start(world: &World, weather: Weather) -> Bystanders {
    Bystanders::start(world.envoy.address(), 2, Duration::from_millis(15), weather)
}

fn stop(others: Bystanders, what: &str, ledger: &mut Ledger) -> Row {
    let sent: Sent = others.stop();
    for (outcome, count) in [
        ("allowed", sent.allowed),
        ("inactive", sent.inactive),
        ("no_token", sent.no_token),
        ("introspection_failed", sent.unavailable),
    ] {
        *ledger.entry(outcome).or_default() += count;
    }
    Row::of(what, &sent.tally).expect(sent.tally.sent() >= 10, || {
        "hardly anybody was there".to_owned()
    })
}

/// The authorization server does not listen, all the time or by turns.
fn break_down(world: &World, flaps: bool, time: Duration) {
    let end = std::time::Instant::now() + time;
    world.authorization_server.refuse();
    while std::time::Instant::now() < end {
        thread::sleep(Duration::from_millis(100));
        if flaps {
            world.authorization_server.listen();
            thread::sleep(Duration::from_millis(150));
            world.authorization_server.refuse();
        }
    }
    world.authorization_server.listen();
}

/// The guard has counted what was sent, and nobody has got a token.
fn counters(world: &World, ledger: &Ledger) -> Result<Row, String> {
    world.come_to_rest()?;
    let mut row = Row {
        what: "the guard's counters".to_owned(),
        sent: ledger.values().sum::<usize>().to_string(),
        ..Row::default()
    };
    for (outcome, count) in ledger {
        let counted = world.counted(outcome);
        row = row
            .note(format!("{counted} × {outcome}"))
            .expect(counted == *count as u64, || {
                format!("{count} × {outcome} were sent")
            });
    }
    let leaks = world.leaks();
    Ok(row.expect(leaks == 0, || format!("{leaks} tokens reached an upstream")))
}

impl Faults {
    /// The fault that a token or a path is for.
    fn find(&self, name: &str) -> Option<&'static Fault> {
        let rest = name.strip_prefix(self.key)?;
        let number: usize = rest.split('-').next()?.parse().ok()?;
        self.table.get(number)
    }

    /// Lets each of them happen so many times, all of them side by side.
    fn run(&'static self, world: &World, times: usize, ledger: &mut Ledger) -> Vec<Row> {
        let to = world.envoy.address();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.table.len())
                .map(|number| {
                    let fault = &self.table[number];
                    scope.spawn(move || {
                        let mut tally = Tally::default();
                        for time in 0..times {
                            let name = format!("{}{number}-{time}", self.key);
                            let token = self.token(&name);
                            let (response, took) = send(to, &with(&token, &name));
                            let got = Got::of(&response);
                            tally.add(got, took);
                            if !fault.right.contains(&got) {
                                tally.complain(|| format!("a client got {got}"));
                            }
                        }
                        tally
                    })
                })
                .collect();
            threads
                .into_iter()
                .zip(self.table)
                .map(|(thread, fault)| {
                    let tally = thread.join().expect("a client");
                    *ledger.entry((self.outcome)(fault)).or_default() += tally.sent();
                    Row::of(format!("{} {}", self.who, fault.what), &tally).within(self.bound)
                })
                .collect()
        })
    }

    /// The token for a fault: one of its own where the authorization server
    /// fails, a good one elsewhere.
    fn token(&self, name: &str) -> String {
        if self.key == authorization_server::FAULTS.key {
            name.to_owned()
        } else {
            format!("good-{name}")
        }
    }
}
