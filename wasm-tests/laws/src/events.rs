//! Whatever happens, in whatever order: nobody is let in whom no answer lets
//! in, every request ends once, and in the end nothing is left.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use mcp_token_guard::{
    Answer, Ask, CallId, Field, Guard, Now, Reply, Step, StreamId, Task, TrailersStep, Wake,
};

use crate::world::{NOW_MS, RESOURCE, check_audit, fields, guard, holds, says};

const CONFIGURATION: &str = r#"{
    "authorization_server": {
        "issuer": "https://auth.example.com",
        "introspection": {
            "url": "https://auth.example.com/introspect",
            "cluster": "authorization-server",
            "client_id": "gw",
            "client_secret": "s"
        }
    },
    "cache": {"ttl": "10s", "negative_ttl": "3s", "max_entries": 2, "recheck_streams": "5s", "call_grace": "2s"},
    "limits": {"in_flight": 2, "waiting": 3},
    "servers": {
        "files": {
            "resource": "https://gateway.example.com/mcp",
            "default_headers": {"Authorization": "Bearer kanarie-credential"}
        }
    }
}"#;

const TTL_MS: u64 = 10_000;
const TIMEOUT_MS: u64 = 2_000;
const GRACE_MS: u64 = 2_000;
const IN_FLIGHT: usize = 2;

const TOKENS: [&str; 3] = [
    "kanarie-T-first-token-abc",
    "kanarie-T-second-token-ab",
    "kanarie-T-third-token-abc",
];

/// What has happened.
#[derive(Default)]
struct History {
    now_ms: u64,
    next: u32,
    /// Requests without a verdict: whose token, and since when.
    waiting: BTreeMap<StreamId, (usize, u64)>,
    /// Requests that went on, by their token, and whether they are calls.
    open: BTreeMap<StreamId, (usize, bool)>,
    ended: BTreeSet<StreamId>,
    calls: Vec<Call>,
    /// What was said of each token.
    said: Vec<Said>,
}

struct Call {
    id: CallId,
    token: usize,
    by: Option<StreamId>,
    made_ms: u64,
}

struct Said {
    token: usize,
    /// Until when it is good; none is inactive.
    good_until: Option<u64>,
    at_ms: u64,
}

/// Two bytes are one event.
pub(crate) fn law(bytes: &[u8]) {
    // One that has come to its end is as good as new, a good while later.
    let (mut guard, now_ms, next) = QUIET
        .take()
        .unwrap_or_else(|| (guard(CONFIGURATION), NOW_MS, 0));
    let mut history = History {
        now_ms,
        next,
        ..History::default()
    };
    for event in bytes.chunks_exact(2).take(64) {
        history.run(&mut guard, event[0], event[1]);
        history.check(&guard);
    }
    history.finish(&mut guard);
    let later = history.now_ms + 600_000;
    QUIET.set(Some((guard, later, history.next)));
}

thread_local! {
    static QUIET: RefCell<Option<(Guard, u64, u32)>> = const { RefCell::new(None) };
}

impl History {
    fn now(&self) -> Now {
        Now {
            wall_ms: self.now_ms,
            steady_ms: self.now_ms,
        }
    }

    fn run(&mut self, guard: &mut Guard, what: u8, how: u8) {
        let which = usize::from(how);
        match what % 12 {
            0..=2 => self.request(guard, which),
            3 | 4 => self.answer(guard, how),
            5 => while self.settle(guard) && how.is_multiple_of(2) {},
            6 => self.tick(guard, how.is_multiple_of(4)),
            7 => self.now_ms += [1, 700, 2_000, 3_001, 10_000, 60_000][which % 6],
            8 => self.leave(guard, which),
            9 => self.body(guard, which),
            10 => self.trailers(guard, which),
            _ => self.upstream(guard, which),
        }
        guard.tally().counts.clear();
        guard.tally().introspection_ms.clear();
    }

    fn request(&mut self, guard: &mut Guard, how: usize) {
        self.next += 1;
        let stream = StreamId(self.next);
        let token = how % 3;
        let is_call = how & 4 == 0;
        let value = format!("Bearer {}", TOKENS[token]);
        let mut head = fields(b"/mcp", &[("authorization", value.as_bytes())]);
        if !is_call {
            head[0].1 = b"GET".to_vec();
        }
        if how & 8 != 0 {
            head.push(("x-note".to_owned(), TOKENS[token].as_bytes().to_vec()));
        }
        self.waiting.insert(stream, (token, self.now_ms));
        let step = guard.request(stream, &head, Some("files"), self.now());
        match &step {
            Step::Ask(ask) => {
                assert_eq!(asked(ask), token, "another token is asked about");
                self.make(guard, ask, Some(stream), how & 16 != 0);
            }
            Step::Wait => {}
            Step::Forward(..) | Step::Reply(..) | Step::Ignore => {
                self.end(stream, is_call, &step);
            }
        }
    }

    /// Makes a call, or says that it could not be made.
    fn make(&mut self, guard: &mut Guard, ask: &Ask, by: Option<StreamId>, refused: bool) {
        if refused {
            guard.not_sent(ask, self.now());
            return;
        }
        let under_way = self.calls.iter();
        let under_way = under_way.filter(|call| self.now_ms < call.made_ms + TIMEOUT_MS);
        assert!(under_way.count() < IN_FLIGHT, "too many calls");
        self.next += 1;
        let id = CallId(self.next);
        self.calls.push(Call {
            id,
            token: asked(ask),
            by,
            made_ms: self.now_ms,
        });
        guard.asked(ask, id, self.now());
    }

    fn answer(&mut self, guard: &mut Guard, how: u8) {
        let now = self.now();
        if self.calls.is_empty() {
            // One that nobody knows changes nothing.
            guard.answered(CallId(u32::MAX), &Reply::Broken, now);
            return;
        }
        let call = self.calls.remove(usize::from(how >> 4) % self.calls.len());
        if call.by.is_some_and(|by| self.ended.contains(&by)) {
            // The host drops the answer to a stream that has gone.
            return;
        }
        let seconds = self.now_ms / 1_000 + [1, 4, 3_600][usize::from(how) % 3];
        let active = format!(r#"{{"active":true,"aud":"{RESOURCE}","exp":{seconds}}}"#);
        let reply = match how % 8 {
            0..=3 => says(active.as_bytes()),
            4 => says(br#"{"active":false}"#),
            5 => says(br#"{"active":true,"aud":"https://other.example.com/"}"#),
            6 => says(b"{"),
            _ => Reply::Broken,
        };
        let said = |good_until| Said {
            token: call.token,
            good_until,
            at_ms: self.now_ms,
        };
        match how % 8 {
            0..=3 => self.said.push(said(Some(seconds * 1_000))),
            4 => self.said.push(said(None)),
            _ => {}
        }
        guard.answered(call.id, &reply, now);
    }

    fn settle(&mut self, guard: &mut Guard) -> bool {
        let Some((stream, step)) = guard.settle(self.now()) else {
            return false;
        };
        self.end(stream, true, &step);
        true
    }

    /// A verdict has been reached.
    fn end(&mut self, stream: StreamId, is_call: bool, step: &Step) {
        let waiting = self.waiting.remove(&stream);
        let (token, since) = waiting.expect("only what waits is settled, once");
        let secret = TOKENS[token].as_bytes();
        match step {
            Step::Forward(forward, audit) => {
                check_audit(audit, Some(secret));
                let let_in = self.said.iter().any(|said| {
                    said.token == token
                        && said.good_until.is_some_and(|until| until > self.now_ms)
                        && said.at_ms + TTL_MS > since
                });
                assert!(let_in, "no answer lets {stream:?} in");
                let credential = Some(&b"Bearer kanarie-credential"[..]);
                let mut changes = forward.changes();
                assert!(changes.any(|change| change == ("authorization", credential)));
                self.open.insert(stream, (token, is_call));
            }
            Step::Reply(reply, audit) => {
                check_audit(audit, Some(secret));
                assert!(matches!(reply.status, 400 | 401 | 503), "{reply:?}");
                self.ended.insert(stream);
            }
            Step::Ask(_) | Step::Ignore | Step::Wait => panic!("{step:?}"),
        }
    }

    fn tick(&mut self, guard: &mut Guard, refused: bool) {
        for task in guard.tick(self.now()) {
            match task {
                Task::Ask(ask) => self.make(guard, &ask, None, refused),
                Task::Close(stream, audit) => {
                    let (token, _) = self.open.remove(&stream).expect("an open stream");
                    check_audit(&audit, Some(TOKENS[token].as_bytes()));
                    let mut said = self.said.iter().filter(|said| said.token == token);
                    let ended = said.any(|said| {
                        let until = said.good_until.map(|until| until + GRACE_MS);
                        until.is_none_or(|until| until - GRACE_MS <= self.now_ms)
                    });
                    assert!(ended, "{stream:?} is closed without need");
                    self.ended.insert(stream);
                    guard.gone(stream);
                }
            }
        }
    }

    fn leave(&mut self, guard: &mut Guard, which: usize) {
        let all: Vec<StreamId> = self
            .waiting
            .keys()
            .chain(self.open.keys())
            .copied()
            .collect();
        if all.is_empty() {
            guard.gone(StreamId(u32::MAX));
            return;
        }
        let stream = all[which % all.len()];
        self.waiting.remove(&stream);
        self.open.remove(&stream);
        self.ended.insert(stream);
        guard.gone(stream);
    }

    fn some(&self, which: usize) -> StreamId {
        let ended = self.ended.iter();
        let all = self.waiting.keys().chain(self.open.keys()).chain(ended);
        let all: Vec<StreamId> = all.copied().collect();
        all.get(which % all.len().max(1))
            .copied()
            .unwrap_or(StreamId(0))
    }

    fn body(&mut self, guard: &mut Guard, which: usize) {
        let stream = self.some(which / 2);
        let goes_on = guard.body(stream, which.is_multiple_of(2));
        assert_eq!(goes_on, self.open.contains_key(&stream), "{stream:?}");
    }

    fn trailers(&mut self, guard: &mut Guard, which: usize) {
        let stream = self.some(which / 4);
        let token = self
            .open
            .get(&stream)
            .or(self.waiting.get(&stream).map(|_| &(0, true)));
        let text = token.map_or("none", |(token, _)| TOKENS[*token]);
        let note = if which.is_multiple_of(4) {
            text
        } else {
            "plain"
        };
        let fields: [Field; 2] = [
            ("x-note".to_owned(), note.as_bytes().to_vec()),
            ("x-access-token".to_owned(), b"x".to_vec()),
        ];
        match guard.trailers(stream, &fields) {
            TrailersStep::Continue(names) => {
                assert!(self.open.contains_key(&stream), "{stream:?} goes on");
                assert!(names.iter().any(|name| name == "x-access-token"));
            }
            TrailersStep::Hold(_) => assert!(!self.open.contains_key(&stream)),
            TrailersStep::Reply(_, audit) | TrailersStep::Reset(audit) => {
                check_audit(&audit, Some(text.as_bytes()));
                assert!(self.open.remove(&stream).is_some(), "{stream:?} ends twice");
                assert!(
                    holds(note.as_bytes(), text.as_bytes()),
                    "refused for nothing"
                );
                self.ended.insert(stream);
                guard.gone(stream);
            }
        }
    }

    fn upstream(&mut self, guard: &mut Guard, which: usize) {
        let stream = self.some(which / 4);
        if !guard.looks_at_answer(stream) {
            assert!(
                !self.open.contains_key(&stream),
                "an answer is not looked at"
            );
            return;
        }
        let status = if which.is_multiple_of(4) {
            "401"
        } else {
            "200"
        };
        let cluster = if which % 4 == 1 { "elsewhere" } else { "files" };
        let fields: [Field; 2] = [
            (":status".to_owned(), status.as_bytes().to_vec()),
            ("x-echo".to_owned(), b"kanarie-credential".to_vec()),
        ];
        match guard.answer(stream, &fields, Some(cluster)) {
            Answer::Pass(edits) => {
                assert!(status == "200" && cluster == "files", "a challenge goes on");
                assert!(edits.contains(&("x-echo".to_owned(), None)));
            }
            Answer::Replace(reply, audit) => {
                check_audit(&audit, None);
                assert_eq!(reply.status, 502);
                assert!(self.open.remove(&stream).is_some());
                self.ended.insert(stream);
            }
        }
    }

    /// What holds after each event.
    fn check(&self, guard: &Guard) {
        if !self.waiting.is_empty() {
            assert_ne!(
                guard.wake(),
                Wake::Never,
                "somebody waits, and nobody looks"
            );
        }
    }

    /// All comes to its end, and then there is nothing left to wake for.
    fn finish(&mut self, guard: &mut Guard) {
        for _ in 0..64 {
            self.tick(guard, true);
            while self.settle(guard) {}
            if self.waiting.is_empty() {
                break;
            }
            self.calls.clear();
            self.now_ms += TIMEOUT_MS;
        }
        assert!(self.waiting.is_empty(), "somebody is left waiting");
        while !self.open.is_empty() {
            self.leave(guard, 0);
        }
        for _ in 0..64 {
            if guard.wake() == Wake::Never {
                return;
            }
            self.now_ms += TIMEOUT_MS;
            self.tick(guard, true);
            while self.settle(guard) {}
        }
        panic!("something is left: {:?}", guard.wake());
    }
}

/// The token that a call asks about.
fn asked(ask: &Ask) -> usize {
    let body = ask.callout.body.expose();
    let place = TOKENS
        .iter()
        .position(|token| holds(body, token.as_bytes()));
    place.expect("one of our tokens")
}
