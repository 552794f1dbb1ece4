//! Every short sequence of events, against an oracle that keeps its own
//! history: which token was asked about in which call, and what came of it.
//!
//! The oracle says *Forward ⇒ the history allows it*, *at most one end for a
//! request*, *nothing after the end*, *one call per token while somebody who
//! made it waits*, and *when all calls are answered nobody is left waiting*.

use std::collections::{HashMap, HashSet};

use mcp_token_guard::{
    CallId, Config, Field, Guard, LocalReply, Now, Reply, Step, StreamId, Task, TrailersStep,
};

const DEPTH: usize = 5;
const TTL_MS: u64 = 30_000;
const NEGATIVE_TTL_MS: u64 = 5_000;

const CONFIG: &str = r#"{
    "authorization_server": {
        "issuer": "https://auth.example.com",
        "introspection": {
            "url": "https://auth.example.com/introspect",
            "cluster": "authorization-server",
            "client_id": "gw",
            "client_secret": "a-secret-of-the-gateway"
        }
    },
    "limits": {"in_flight": 2, "waiting": 4},
    "servers": {
        "github": {
            "resource": "https://gw.example.com/mcp",
            "default_headers": {"Authorization": "Bearer upstream-credential"}
        }
    }
}"#;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A request with this token; whether the host takes the call for it.
    Request(Token, Host),
    /// The call made first, or last, of those under way is answered.
    Answer(Which, Said),
    /// The request that came first, or last, of those waiting is gone.
    Leave(Which),
    /// The body and the trailers of the one that waits longest come.
    Body,
    /// One that is ready is settled.
    Settle,
    /// The root context is woken.
    Tick(Host),
    /// Time passes, past every kept answer.
    Later,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    A,
    B,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Takes,
    Refuses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    First,
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Active,
    Foreign,
    Inactive,
    Nothing,
}

const EVENTS: [Event; 18] = [
    Event::Request(Token::A, Host::Takes),
    Event::Request(Token::A, Host::Refuses),
    Event::Request(Token::B, Host::Takes),
    Event::Answer(Which::First, Said::Active),
    Event::Answer(Which::First, Said::Foreign),
    Event::Answer(Which::First, Said::Inactive),
    Event::Answer(Which::First, Said::Nothing),
    Event::Answer(Which::Last, Said::Active),
    Event::Answer(Which::Last, Said::Inactive),
    Event::Leave(Which::First),
    Event::Leave(Which::Last),
    Event::Body,
    Event::Settle,
    Event::Tick(Host::Takes),
    Event::Tick(Host::Refuses),
    Event::Later,
    Event::Request(Token::B, Host::Refuses),
    Event::Answer(Which::Last, Said::Foreign),
];

impl Token {
    fn text(self) -> &'static str {
        match self {
            Self::A => "token-a-0123456789abcdef",
            Self::B => "token-b-0123456789abcdef",
        }
    }

    /// The token that a call asks about, read from the form that is sent.
    fn asked(body: &[u8]) -> Self {
        let body = std::str::from_utf8(body).unwrap();
        let token = body.split('&').find_map(|pair| pair.strip_prefix("token="));
        [Self::A, Self::B]
            .into_iter()
            .find(|known| Some(known.text()) == token)
            .expect("a call asks about a token that came")
    }
}

/// The oracle's own record.
#[derive(Default)]
struct History {
    now_ms: u64,
    /// Requests that wait, in the order in which they came.
    waiting: Vec<(StreamId, Token, u64)>,
    ended: HashSet<StreamId>,
    forwarded: HashSet<StreamId>,
    calls: Vec<Call>,
    /// What was said of each token, and when.
    said: HashMap<Token, Vec<(Said, u64)>>,
    next: u32,
}

impl History {
    fn now(&self) -> Now {
        let ms = 1_000_000 + self.now_ms;
        Now {
            wall_ms: ms,
            steady_ms: ms,
        }
    }

    fn call(&mut self, token: Token, by: Option<StreamId>) -> CallId {
        self.next += 1;
        let id = CallId(self.next);
        self.calls.push(Call {
            id,
            token,
            by,
            made_ms: self.now_ms,
            given_up: false,
        });
        id
    }

    /// Whether an answer to a call can still reach somebody.
    fn counts(&self, call: &Call) -> bool {
        !call.given_up && call.by.is_none_or(|by| !self.ended.contains(&by))
    }

    /// Whether some answer, no older than it may be, let this token in.
    fn allows(&self, token: Token, since: u64) -> bool {
        let said = self.said.get(&token).map_or(&[][..], Vec::as_slice);
        said.iter()
            .any(|(said, at)| *said == Said::Active && at + TTL_MS > since)
    }

    /// Whether the last word on this token is a fresh no.
    fn is_known_bad(&self, token: Token) -> bool {
        let definite = self.said.get(&token).and_then(|said| {
            let mut last = said.iter().rev();
            last.find(|(said, _)| *said != Said::Nothing)
        });
        definite
            .is_some_and(|(said, at)| *said == Said::Inactive && at + NEGATIVE_TTL_MS > self.now_ms)
    }

    /// A request is let through or answered.
    fn end(&mut self, stream: StreamId, step: &Step) {
        let place = self
            .waiting
            .iter()
            .position(|(waiting, _, _)| *waiting == stream);
        let (_, token, since) = self
            .waiting
            .remove(place.expect("only what waits is settled"));
        assert!(self.ended.insert(stream), "{stream:?} ends twice");
        match step {
            Step::Forward(forward, _) => {
                self.forwarded.insert(stream);
                assert!(self.allows(token, since), "{token:?} was not let in");
                let changes: Vec<_> = forward.changes().collect();
                let credential = Some(&b"Bearer upstream-credential"[..]);
                assert!(
                    changes.contains(&("authorization", credential)),
                    "{changes:?}"
                );
            }
            Step::Reply(reply, _) => check_refusal(reply),
            other => panic!("{stream:?} is settled by {other:?}"),
        }
    }
}

/// A call under way.
struct Call {
    id: CallId,
    token: Token,
    /// The request that made it, where one did.
    by: Option<StreamId>,
    made_ms: u64,
    /// Whether it is so old that the guard has given it up.
    given_up: bool,
}

/// The timeout of a call.
const TIMEOUT_MS: u64 = 2_000;

/// When the guard gives a call up that the host has forgotten.
const GIVEN_UP_MS: u64 = TIMEOUT_MS + 1_000;

/// `limits.in_flight`.
const IN_FLIGHT: usize = 2;

fn check_refusal(reply: &LocalReply) {
    assert!(matches!(reply.status, 401 | 503), "{reply:?}");
    let challenged = reply
        .headers
        .iter()
        .any(|(name, _)| *name == "www-authenticate");
    assert_eq!(challenged, reply.status == 401, "{reply:?}");
}

fn request(token: Token) -> Vec<Field> {
    [
        (":method", "POST"),
        (":path", "/mcp"),
        (":authority", "gw.example.com"),
        ("authorization", &format!("Bearer {}", token.text())),
    ]
    .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
    .into()
}

/// Runs one event; false where it cannot happen now.
fn run(event: Event, guard: &mut Guard, history: &mut History) -> bool {
    let now = history.now();
    match event {
        Event::Request(token, host) => {
            history.next += 1;
            let stream = StreamId(history.next);
            let known_bad = history.is_known_bad(token);
            let since = history.now_ms;
            history.waiting.push((stream, token, since));
            let step = guard.request(stream, &request(token), Some("github"), now);
            match &step {
                Step::Ask(ask) => {
                    assert!(!known_bad, "{token:?} is asked about again too soon");
                    let second = history
                        .calls
                        .iter()
                        .any(|call| call.token == token && history.counts(call));
                    assert!(!second, "two calls about {token:?}");
                    assert_eq!(Token::asked(ask.callout.body.expose()), token);
                    if host == Host::Refuses {
                        guard.not_sent(ask, now);
                    } else {
                        guard.asked(ask, history.call(token, Some(stream)), now);
                    }
                }
                Step::Wait => assert!(!known_bad),
                Step::Forward(..) | Step::Reply(..) => {
                    assert!(!known_bad || matches!(step, Step::Reply(..)));
                    history.end(stream, &step);
                }
                Step::Ignore => panic!("{stream:?} is for a listed cluster"),
            }
        }
        Event::Answer(which, said) => {
            if history.calls.is_empty() {
                return false;
            }
            let place = match which {
                Which::First => 0,
                Which::Last => history.calls.len() - 1,
            };
            if which == Which::Last && place == 0 {
                return false;
            }
            let call = history.calls.remove(place);
            // The host drops an answer whose stream is gone.
            if call.by.is_some_and(|by| history.ended.contains(&by)) {
                return true;
            }
            let body: &[u8] = match said {
                Said::Active => br#"{"active":true,"aud":"https://gw.example.com/mcp"}"#,
                Said::Foreign => br#"{"active":true,"aud":"https://other.example.com/"}"#,
                Said::Inactive => br#"{"active":false}"#,
                Said::Nothing => b"",
            };
            let reply = match said {
                Said::Nothing => Reply::Broken,
                Said::Active | Said::Foreign | Said::Inactive => Reply::Whole {
                    status: 200,
                    content_type: Some(b"application/json"),
                    retry_after: None,
                    body,
                },
            };
            guard.answered(call.id, &reply, now);
            let at = history.now_ms;
            if history.counts(&call) {
                history.said.entry(call.token).or_default().push((said, at));
            }
        }
        Event::Leave(which) => {
            let place = match which {
                Which::First => 0,
                Which::Last => history.waiting.len().saturating_sub(1),
            };
            if history.waiting.is_empty() || (which == Which::Last && place == 0) {
                return false;
            }
            let (stream, _, _) = history.waiting.remove(place);
            history.ended.insert(stream);
            guard.gone(stream);
        }
        Event::Body => {
            let Some((stream, _, _)) = history.waiting.first().copied() else {
                return false;
            };
            assert!(
                !guard.body(stream, false),
                "a body goes on before the verdict"
            );
            let trailers = guard.trailers(stream, &[("x-a".into(), b"b".to_vec())]);
            assert!(matches!(trailers, TrailersStep::Hold(_)), "{trailers:?}");
        }
        Event::Settle => {
            let Some((stream, step)) = guard.settle(now) else {
                return false;
            };
            history.end(stream, &step);
        }
        Event::Tick(host) => {
            let now_ms = history.now_ms;
            for call in &mut history.calls {
                call.given_up |= now_ms >= call.made_ms + GIVEN_UP_MS;
            }
            for task in guard.tick(now) {
                match task {
                    Task::Ask(ask) if host == Host::Refuses => guard.not_sent(&ask, now),
                    Task::Ask(ask) => {
                        let token = Token::asked(ask.callout.body.expose());
                        guard.asked(&ask, history.call(token, None), now);
                    }
                    Task::Close(stream, _) => panic!("{stream:?} is closed without need"),
                }
            }
        }
        Event::Later => history.now_ms += TTL_MS,
    }
    let under_way = |call: &&Call| history.now_ms < call.made_ms + TIMEOUT_MS;
    let calls = history.calls.iter().filter(under_way).count();
    assert!(calls <= IN_FLIGHT, "{calls} calls are under way");
    // Nothing of a request goes on after its end, unless it was let through.
    let refused = history.ended.difference(&history.forwarded);
    for stream in refused {
        assert!(
            !guard.body(*stream, true),
            "{stream:?} goes on after its end"
        );
    }
    true
}

/// All that is under way comes to its end: then nobody may be left.
fn finish(guard: &mut Guard, history: &mut History) {
    for _ in 0..64 {
        run(Event::Tick(Host::Takes), guard, history);
        while run(Event::Answer(Which::First, Said::Nothing), guard, history) {}
        while run(Event::Settle, guard, history) {}
        if history.waiting.is_empty() {
            return;
        }
        // Calls whose answer is lost are over some time.
        history.now_ms += TIMEOUT_MS;
    }
    panic!("{:?} are left waiting", history.waiting);
}

fn fresh() -> Guard {
    Guard::new(Config::parse(CONFIG.as_bytes(), &|_| None).unwrap())
}

fn replay(sequence: &[Event]) -> Option<(Guard, History)> {
    let (mut guard, mut history) = (fresh(), History::default());
    for event in sequence {
        if !run(*event, &mut guard, &mut history) {
            return None;
        }
    }
    Some((guard, history))
}

fn explore(sequence: &mut Vec<Event>, sequences: &mut u64) {
    for event in EVENTS {
        sequence.push(event);
        let outcome = std::panic::catch_unwind(|| {
            replay(sequence).map(|(mut guard, mut history)| finish(&mut guard, &mut history))
        });
        let Ok(outcome) = outcome else {
            panic!("after {sequence:?}");
        };
        if outcome.is_some() {
            *sequences += 1;
            if sequence.len() < DEPTH {
                explore(sequence, sequences);
            }
        }
        sequence.pop();
    }
}

/// LOCAL-reply
#[test]
fn every_short_sequence_of_events_keeps_the_rules() {
    let mut sequences = 0;
    explore(&mut Vec::new(), &mut sequences);
    println!("{sequences} sequences of up to {DEPTH} events");
    assert!(
        sequences > 100_000,
        "only {sequences} sequences are possible"
    );
}
