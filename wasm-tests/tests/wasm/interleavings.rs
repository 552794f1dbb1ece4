//! Every order of up to four requests with two tokens, answers, faults,
//! departures, ticks and a change of the configuration, in the module itself.
//!
//! The host ends the test where a request is both let go and answered, or either
//! of them twice. The oracle here keeps its own history: which call was about
//! which token under which configuration, and what was said. From that it knows
//! who may be let go, that nothing changes for a stream that is over, and that
//! nobody is left waiting.

use core::time::Duration;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mcp_token_guard_tests::host::{Answer, CallId, Host, State, Status, StreamId};
use mcp_token_guard_tests::scenario::base;
use serde_json::json;

use crate::bench::{answer_all, good, host, inactive, request};

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request with this token.
    Request(Token),
    /// The same, and the host does not take its call.
    NotSent(Token),
    /// The call made first of those that are open is answered.
    First(Said),
    /// The one made last.
    Last(Said),
    /// The request that came first of those waiting is gone.
    Leave,
    /// The one that came last.
    LeaveLast,
    /// Content and trailers of the one that waits longest come.
    Body,
    /// Timers fire.
    Tick,
    /// Another configuration comes, once.
    Reconfigure,
}

/// One of two tokens of a sequence, each with tokens of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    A,
    B,
}

/// What is said about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Good,
    Bad,
    Nothing,
}

use Event::{Body, First, Last, Leave, LeaveLast, NotSent, Reconfigure, Request, Tick};
use Said::{Bad, Good, Nothing};
use Token::{A, B};

/// All events of short sequences.
const EVENTS: [Event; 14] = [
    Request(A),
    Request(B),
    NotSent(A),
    First(Good),
    First(Bad),
    First(Nothing),
    Last(Good),
    Last(Bad),
    Last(Nothing),
    Leave,
    LeaveLast,
    Body,
    Tick,
    Reconfigure,
];

/// Of short sequences.
const LENGTH: usize = 4;

/// Most requests in a sequence.
const REQUESTS: usize = 4;

/// Bags of events, of which every order is tried.
const BAGS: [&[Event]; 3] = [
    &[
        Request(A),
        Request(A),
        Request(B),
        First(Good),
        Last(Bad),
        Leave,
        Tick,
        Reconfigure,
    ],
    &[
        Request(A),
        Request(A),
        Request(B),
        Request(B),
        First(Nothing),
        Last(Good),
        LeaveLast,
        Reconfigure,
    ],
    &[
        Request(A),
        Request(A),
        Request(A),
        First(Good),
        First(Bad),
        Leave,
        Body,
        Tick,
        Reconfigure,
    ],
];

/// Of the beginnings that orders of bags can have one of so many is run, and
/// others each time.
const STEP: usize = 12;

/// How long a beginning is.
const BEGINNING: usize = 4;

/// One request.
#[derive(Debug)]
struct Stream {
    id: StreamId,
    token: Token,
    generation: usize,
    /// How it ended, once it has; then it stays so.
    over: Option<State>,
    gone: bool,
    /// Whether its content has been sent.
    sent: bool,
}

/// One sequence, and what has come of it so far.
struct Run<'a> {
    host: &'a mut Host,
    /// Makes tokens of this sequence its own.
    serial: usize,
    generation: usize,
    streams: Vec<Stream>,
    /// By root context: the generation.
    roots: BTreeMap<u32, usize>,
    /// Which calls are about what.
    calls: BTreeMap<CallId, (Token, usize)>,
    /// How many calls there were before this sequence.
    before: usize,
    /// What was said about which token to which generation.
    said: Vec<(Token, usize, Said)>,
}

impl<'a> Run<'a> {
    fn new(host: &'a mut Host, serial: usize) -> Self {
        let before = host.calls().len();
        Self {
            host,
            serial,
            generation: 0,
            streams: Vec::new(),
            roots: BTreeMap::new(),
            calls: BTreeMap::new(),
            before,
            said: Vec::new(),
        }
    }

    fn text(&self, token: Token) -> String {
        format!("interleaved-{token:?}-{:08}", self.serial)
    }

    /// Lets it happen; false where it cannot now.
    fn step(&mut self, event: Event) -> bool {
        let open = self.host.open_calls();
        let waiting: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|stream| stream.over.is_none() && !stream.gone)
            .map(|stream| stream.id)
            .collect();
        match event {
            Request(token) | NotSent(token) => {
                if self.streams.len() >= REQUESTS {
                    return false;
                }
                if event == NotSent(token) {
                    self.host
                        .fail("proxy_http_call", 0, Status::InternalFailure);
                }
                let id = self.host.request(request(&self.text(token)).more_follows());
                self.host.clear_faults();
                self.streams.push(Stream {
                    id,
                    token,
                    generation: self.generation,
                    over: None,
                    gone: false,
                    sent: false,
                });
            }
            First(said) | Last(said) => {
                let last = matches!(event, Last(_));
                let call = if last { open.last() } else { open.first() };
                let Some(call) = call.copied().filter(|_| !last || open.len() > 1) else {
                    return false;
                };
                let answer = match said {
                    Good => good(self.host),
                    Bad => inactive(),
                    Nothing => Answer::Reset,
                };
                let (token, generation) = self.calls[&call];
                self.said.push((token, generation, said));
                self.host.answer(call, answer);
            }
            Leave | LeaveLast => {
                let last = event == LeaveLast;
                let one = if last {
                    waiting.last()
                } else {
                    waiting.first()
                };
                let Some(id) = one.copied().filter(|_| !last || waiting.len() > 1) else {
                    return false;
                };
                let stream = self.streams.iter_mut().find(|stream| stream.id == id);
                stream.expect("one of ours").gone = true;
                self.host.disconnect(id);
            }
            Body => {
                let unsent = |stream: &&mut Stream| waiting.contains(&stream.id) && !stream.sent;
                let Some(stream) = self.streams.iter_mut().find(unsent) else {
                    return false;
                };
                stream.sent = true;
                self.host.body(stream.id, b"{}", true);
            }
            Tick => {
                self.host.run(Duration::from_millis(20));
            }
            Reconfigure => {
                if self.generation > 0 {
                    return false;
                }
                self.generation = 1;
                self.host.take_on(rules(1)).expect("a good configuration");
            }
        }
        self.look(event);
        true
    }

    /// Learns of new calls, and judges what has become of each request.
    fn look(&mut self, event: Event) {
        for call in &self.host.calls()[self.before..] {
            let generation = match event {
                Request(_) | NotSent(_) => *self.roots.entry(call.root).or_insert(self.generation),
                _ => self.roots[&call.root],
            };
            let form = String::from_utf8_lossy(&call.body);
            let token = if form.contains("-A-") { A } else { B };
            let own = form.contains(&format!("interleaved-{token:?}-{:08}&", self.serial));
            assert!(own, "a call about a token of another sequence");
            self.calls.insert(call.id, (token, generation));
        }
        for stream in &mut self.streams {
            let state = self.host.state(stream.id);
            if let Some(over) = &stream.over {
                assert_eq!(state, *over, "a stream that was over has changed");
                continue;
            }
            let said = |wanted: Said| {
                self.said
                    .contains(&(stream.token, stream.generation, wanted))
            };
            match &state {
                State::Paused => continue,
                State::Closed => assert!(stream.gone, "closed without need"),
                State::Forwarded(forwarded) => {
                    assert!(!stream.gone, "let go after it had gone");
                    assert!(said(Good), "let go without a good answer under its rules");
                    let credential = credential(stream.generation);
                    let values = forwarded.headers.all("authorization");
                    assert_eq!(
                        values,
                        [credential.as_bytes()],
                        "the credential of other rules"
                    );
                }
                State::Replied(response) => {
                    assert!(!stream.gone, "answered after it had gone");
                    match response.status {
                        401 => assert!(said(Bad), "refused without a bad answer"),
                        503 => {}
                        other => panic!("{other} came"),
                    }
                }
            }
            // The rest of a request may still follow its head.
            if matches!(state, State::Forwarded(_)) && !stream.sent {
                stream.sent = true;
                self.host.body(stream.id, b"{}", true);
            }
            stream.over = Some(self.host.state(stream.id));
        }
    }

    /// All that is under way comes to its end: nobody may be left.
    fn finish(&mut self) {
        for _ in 0..8 {
            answer_all(self.host, &Answer::Reset);
            self.look(Tick);
            if self.streams.iter().all(|stream| stream.over.is_some()) {
                break;
            }
            self.host.run(Duration::from_millis(700));
            self.look(Tick);
        }
        for stream in &self.streams {
            assert!(stream.over.is_some(), "{stream:?} is left waiting");
        }
        for stream in &self.streams {
            if self.host.end(stream.id).is_none() {
                self.host.disconnect(stream.id);
            }
        }
        if self.generation > 0 {
            self.host.take_on(rules(0)).expect("a good configuration");
        }
    }
}

/// The configuration of a generation.
fn rules(generation: usize) -> String {
    // As little as possible: it is read for every sequence.
    let mut rules = json!({
        "authorization_server": base()["authorization_server"],
        "servers": {"github": base()["servers"]["github"]},
        "audit_log": "off",
    });
    let header = credential(generation);
    rules["servers"]["github"]["default_headers"]["Authorization"] = header.into();
    rules.to_string()
}

/// What it sets.
fn credential(generation: usize) -> String {
    format!("Bearer credential-of-generation-{generation}")
}

/// A worker under the first of these.
fn fresh() -> Host {
    let mut host = host();
    host.reconfigure(rules(0)).expect("a good configuration");
    host.reconfigure(rules(1)).expect("a good configuration");
    host.take_on(rules(0)).expect("a good configuration");
    host
}

/// Runs one sequence. The place of the first event that cannot happen there.
fn run(host: &mut Host, serial: usize, sequence: &[Event]) -> Option<usize> {
    let mut run = Run::new(host, serial);
    let stuck = sequence.iter().position(|event| !run.step(*event));
    run.finish();
    stuck
}

/// Workers, sequences and what came of them.
struct Trial {
    host: Host,
    serial: usize,
    possible: usize,
}

impl Trial {
    fn new() -> Self {
        Self {
            host: fresh(),
            serial: 0,
            possible: 0,
        }
    }

    /// Runs a sequence, and says after which one it went wrong. The place of the
    /// first event that cannot happen there.
    fn run(&mut self, sequence: &[Event]) -> Option<usize> {
        self.serial += 1;
        if self.serial.is_multiple_of(1_000) {
            self.host = fresh();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            run(&mut self.host, self.serial, sequence)
        }));
        let stuck = outcome.unwrap_or_else(|_| panic!("after {sequence:?}"));
        self.possible += usize::from(stuck.is_none());
        stuck
    }
}

/// The next order of these that differs up to and with this place; false after
/// the last one.
fn next_order(events: &mut [Event], place: usize) -> bool {
    // The last of all that begin alike comes right before it.
    events[place + 1..].sort_unstable_by(|one, other| other.cmp(one));
    let Some(at) = (1..events.len())
        .rev()
        .find(|at| events[at - 1] < events[*at])
    else {
        return false;
    };
    let after = events.iter().rposition(|event| *event > events[at - 1]);
    events.swap(at - 1, after.expect("the one at `at`"));
    events[at..].reverse();
    true
}

#[test]
fn every_short_sequence_keeps_the_rules() {
    let mut trial = Trial::new();
    let mut places = [0; LENGTH];
    loop {
        let sequence = places.map(|place| EVENTS[place]);
        // Nothing happens before a request, and with which token does not matter.
        let stuck = match sequence[0] {
            Request(A) | NotSent(A) => trial.run(&sequence),
            _ => Some(0),
        };
        let mut place = stuck.unwrap_or(LENGTH - 1);
        places[place + 1..].fill(0);
        places[place] += 1;
        while places[place] == EVENTS.len() && place > 0 {
            places[place] = 0;
            place -= 1;
            places[place] += 1;
        }
        if places[0] == EVENTS.len() {
            break;
        }
    }
    let possible = trial.possible;
    println!("{possible} sequences of {LENGTH} events");
    assert!(possible > 500, "only {possible} are possible");
}

/// `INTERLEAVINGS=all` runs every order of every bag.
#[test]
fn every_order_of_a_bag_keeps_the_rules() {
    let all = std::env::var("INTERLEAVINGS").is_ok_and(|text| text == "all");
    let step = if all { 1 } else { STEP };
    // Others each time.
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let offset = since.map_or(0, |since| since.subsec_nanos() as usize) % step;
    let mut trial = Trial::new();
    let mut beginnings = 0;
    for bag in BAGS {
        let mut events = bag.to_vec();
        events.sort_unstable();
        let mut beginning = Vec::new();
        loop {
            if events[..BEGINNING] != beginning {
                beginning = events[..BEGINNING].to_vec();
                beginnings += 1;
            }
            let place = if beginnings % step == offset {
                trial.run(&events).unwrap_or(events.len() - 1)
            } else {
                BEGINNING - 1
            };
            if !next_order(&mut events, place) {
                break;
            }
        }
    }
    let possible = trial.possible;
    println!("{possible} orders, with an offset of {offset} of {step}");
    assert!(possible > 20, "only {possible} are possible");
}
