//! Every scenario of the table through the core alone: no module, no host, no
//! proxy. The same list runs in the module and in Envoy; here it takes
//! milliseconds, and a debugger can follow it.

use std::collections::BTreeMap;
use std::time::Duration;

use mcp_token_guard::{
    self as core_api, Answer, CallId, Config, Field, Forward, Guard, LocalReply, Now, StreamId,
    TrailersStep,
};
use mcp_token_guard_tests::scenario::{
    self, ENVIRONMENT, Message, Observed, ROUTES, Reach, Reply, Request, Scenario, Step, To, Vars,
    scenarios,
};

/// One worker, with the clock that the test turns.
struct Worker {
    guard: Guard,
    longest_answer: usize,
    now_ms: u64,
    next: u32,
}

/// A moment like any other.
const START_MS: u64 = 1_800_000_000_000;

#[test]
fn every_scenario_holds_in_the_core() {
    let mut workers: BTreeMap<&str, Worker> = BTreeMap::new();
    let mut broken = Vec::new();
    let mut count = 0;
    for scenario in scenarios() {
        if scenario.reach != Reach::Everywhere {
            continue;
        }
        count += 1;
        let worker = workers
            .entry(scenario.configuration.name)
            .or_insert_with(|| Worker::new(&scenario));
        let mut vars = scenario.vars();
        for (number, step) in scenario.steps.iter().enumerate() {
            let seen = worker.run(step, &vars);
            for complaint in step.complaints(&vars, &seen) {
                broken.push(format!("{} step {number}: {complaint}", scenario.name));
            }
            step.keep(&mut vars, &seen);
        }
    }
    println!("{count} scenarios");
    assert!(count > 200, "only {count} scenarios were run");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

impl Worker {
    fn new(scenario: &Scenario) -> Self {
        let text = scenario.configuration.value().to_string();
        let env = |name: &str| {
            let found = ENVIRONMENT.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::parse(text.as_bytes(), &env).unwrap();
        Self {
            longest_answer: config.longest_answer(),
            guard: Guard::new(config),
            now_ms: START_MS,
            next: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            wall_ms: self.now_ms,
            steady_ms: self.now_ms,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now_ms += u64::try_from(time.as_millis()).unwrap();
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Plays one step.
    fn run(&mut self, step: &Step, vars: &Vars) -> Observed {
        self.pass(step.after);
        let request = vars.request(&step.request);
        let stream = StreamId(self.number());
        let mut seen = Observed::default();
        let mut head = head(&request);
        let now = self.now();
        let mut decided = self.guard.request(stream, &head, request.cluster(), now);
        if let core_api::Step::Ask(ask) = &decided {
            seen.introspections.push(called(ask));
            decided = self.settle(ask, stream, &step.introspection, vars);
        }
        let reply = match decided {
            core_api::Step::Reply(reply, _) => Some(reply),
            core_api::Step::Ignore => self.upstream(stream, &request, &head, step, vars, &mut seen),
            core_api::Step::Forward(forward, _) => {
                apply(&forward, &mut head);
                self.upstream(stream, &request, &head, step, vars, &mut seen)
            }
            core_api::Step::Ask(_) | core_api::Step::Wait => panic!("nobody else asks"),
        };
        if let Some(reply) = reply {
            local(&reply, &request, &mut seen);
        }
        self.guard.gone(stream);
        seen
    }

    /// The authorization server deals with the call; what becomes of the
    /// request.
    fn settle(
        &mut self,
        ask: &core_api::Ask,
        stream: StreamId,
        answer: &scenario::Answer,
        vars: &Vars,
    ) -> core_api::Step {
        let call = CallId(self.number());
        let now = self.now();
        self.guard.asked(ask, call, now);
        let seconds = Duration::from_millis(self.now_ms).as_secs_f64();
        let (reply, body);
        let answer = match vars.answer(answer, seconds) {
            scenario::Answer::Reply(whole) => {
                reply = whole;
                body = reply.body.bytes();
                let find = |name: &[u8]| {
                    let mut fields = reply.headers.iter();
                    fields
                        .find(|field| field.name.eq_ignore_ascii_case(name))
                        .map(|field| field.value.as_slice())
                };
                if body.len() > self.longest_answer {
                    core_api::Reply::TooLarge
                } else {
                    core_api::Reply::Whole {
                        status: reply.status,
                        content_type: find(b"content-type"),
                        retry_after: find(b"retry-after"),
                        body: &body,
                    }
                }
            }
            scenario::Answer::Refused | scenario::Answer::ResetBeforeHeaders => by_envoy(503),
            scenario::Answer::ResetAfterHeaders => core_api::Reply::Broken,
            scenario::Answer::Hang => {
                self.pass(ask.callout.timeout);
                by_envoy(504)
            }
            scenario::Answer::Trickle => {
                self.pass(ask.callout.timeout);
                core_api::Reply::Broken
            }
        };
        let now = self.now();
        self.guard.answered(call, &answer, now);
        let (settled, step) = self.guard.settle(now).expect("who waited is settled");
        assert_eq!(settled, stream);
        assert!(self.guard.settle(now).is_none(), "nobody else waited");
        step
    }

    /// The request has left, with this head; a reply of the guard's that takes
    /// the place of the answer.
    fn upstream(
        &mut self,
        stream: StreamId,
        request: &Request,
        head: &[Field],
        step: &Step,
        vars: &Vars,
        seen: &mut Observed,
    ) -> Option<LocalReply> {
        let to = ROUTES
            .iter()
            .find(|route| request.path.starts_with(route.prefix.as_bytes()))
            .map(|route| route.to);
        let mut arrived = message(head);
        arrived.body.clone_from(&request.body);
        assert!(self.guard.body(stream, request.trailers.is_empty()));
        let trailers: Vec<Field> = request.trailers.iter().map(field).collect();
        if !trailers.is_empty() {
            match self.guard.trailers(stream, &trailers) {
                TrailersStep::Continue(names) => {
                    arrived.trailers = trailers
                        .iter()
                        .filter(|(name, _)| !names.contains(name))
                        .map(pair)
                        .collect();
                }
                TrailersStep::Reply(reply, _) => return Some(reply),
                other => panic!("{other:?} after the verdict"),
            }
        }
        let seconds = Duration::from_millis(self.now_ms).as_secs_f64();
        let reply = match to {
            Some(To::Cluster(cluster)) => {
                cluster.clone_into(&mut arrived.cluster);
                seen.upstream.push(arrived);
                vars.reply(&step.upstream, seconds)
            }
            Some(To::Direct) => plain(200, b"direct"),
            Some(To::Redirect) => plain(301, b""),
            None => plain(404, b""),
        };
        let mut fields: Vec<Field> = vec![(":status".into(), reply.status.to_string().into())];
        fields.extend(reply.headers.iter().map(field));
        let answer = if self.guard.looks_at_answer(stream) {
            self.guard.answer(stream, &fields, request.cluster())
        } else {
            Answer::Pass(Vec::new())
        };
        match answer {
            Answer::Replace(reply, _) => return Some(reply),
            Answer::Pass(edits) => {
                for (name, value) in &edits {
                    set(&mut fields, name, value.as_deref());
                }
            }
        }
        seen.status = reply.status;
        seen.headers = fields.iter().skip(1).map(pair).collect();
        if request.method != b"HEAD" {
            seen.body = reply.body.bytes();
        }
        None
    }
}

/// An answer that Envoy makes itself where none comes.
fn by_envoy(status: u16) -> core_api::Reply<'static> {
    core_api::Reply::Whole {
        status,
        content_type: Some(b"text/plain"),
        retry_after: None,
        body: b"upstream connect error",
    }
}

fn plain(status: u16, body: &[u8]) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: scenario::Body::Bytes(body.to_vec()),
        trailers: Vec::new(),
    }
}

/// Fields that Envoy keeps once, their values joined by commas.
const INLINE: [&str; 2] = ["authorization", "content-type"];

/// The head as Envoy hands it over: names in lower case, and joined what it
/// joins.
fn head(request: &Request) -> Vec<Field> {
    let mut fields: Vec<Field> = vec![
        (":method".into(), request.method.clone()),
        (":path".into(), request.path.clone()),
        (":scheme".into(), b"http".to_vec()),
        (":authority".into(), request.authority.clone()),
    ];
    for (name, value) in request.headers.iter().map(field) {
        let joined = fields
            .iter_mut()
            .find(|(known, _)| *known == name && INLINE.contains(&name.as_str()));
        match joined {
            Some((_, first)) => {
                first.push(b',');
                first.extend(value);
            }
            None => fields.push((name, value)),
        }
    }
    fields.push((
        "x-request-id".into(),
        b"00000000-0000-4000-8000-000000000000".to_vec(),
    ));
    fields
}

/// Names in lower case, values without the white space around them.
fn field(field: &scenario::Field) -> Field {
    let name = String::from_utf8(field.name.to_ascii_lowercase()).unwrap();
    (name, field.value.trim_ascii().to_vec())
}

fn pair((name, value): &Field) -> (Vec<u8>, Vec<u8>) {
    (name.clone().into_bytes(), value.clone())
}

/// As the host does it: one value in place of all, or none.
fn set(fields: &mut Vec<Field>, name: &str, value: Option<&[u8]>) {
    fields.retain(|(known, _)| known != name);
    if let Some(value) = value {
        fields.push((name.to_owned(), value.to_vec()));
    }
}

fn apply(forward: &Forward, head: &mut Vec<Field>) {
    for (name, value) in forward.changes() {
        set(head, name, value);
    }
}

fn called(ask: &core_api::Ask) -> Message {
    let fields: Vec<Field> = ask
        .callout
        .headers
        .iter()
        .filter(|(name, _)| !name.starts_with("x-envoy-"))
        .map(|(name, value)| ((*name).to_owned(), value.expose().to_vec()))
        .collect();
    Message {
        cluster: ask.callout.cluster.clone(),
        body: ask.callout.body.expose().to_vec(),
        ..message(&fields)
    }
}

/// A head as it is on the wire.
fn message(head: &[Field]) -> Message {
    let pseudo = |name: &str| {
        let found = head.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let mut headers: Vec<_> = head
        .iter()
        .filter(|(name, _)| !name.starts_with(':'))
        .map(pair)
        .collect();
    headers.push((b"host".to_vec(), pseudo(":authority")));
    Message {
        method: pseudo(":method"),
        path: pseudo(":path"),
        headers,
        ..Message::default()
    }
}

/// A reply of the guard's, as Envoy sends it.
fn local(reply: &LocalReply, request: &Request, seen: &mut Observed) {
    seen.status = reply.status;
    seen.headers = reply
        .headers
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.clone().into_bytes()))
        .collect();
    if request.method != b"HEAD" {
        seen.body = reply.body.clone().into_bytes();
    }
}
