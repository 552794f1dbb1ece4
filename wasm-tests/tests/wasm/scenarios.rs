//! Every scenario of the table, in one worker for each configuration.

use core::time::Duration;
use std::collections::BTreeMap;

use mcp_token_guard_tests::host::{self, Forwarded, Headers, Host, State, StreamId};
use mcp_token_guard_tests::scenario::{
    Answer, Field, INTROSPECTION_CLUSTER, Message, Observed, ROUTES, Reach, Reply, Request,
    Scenario, Step, To, Vars, scenarios,
};

use crate::bench::{host_with, settle};

/// A field of any map.
type Pair = (Vec<u8>, Vec<u8>);

#[test]
fn every_scenario_holds_in_the_module() {
    let mut hosts: BTreeMap<&str, Host> = BTreeMap::new();
    let mut broken = Vec::new();
    let mut count = 0;
    for scenario in scenarios() {
        if scenario.reach != Reach::Everywhere {
            continue;
        }
        count += 1;
        let host = hosts
            .entry(scenario.configuration.name)
            .or_insert_with(|| host_with(&scenario.configuration.value()));
        broken.extend(complaints(host, &scenario));
    }
    assert!(count > 0, "no scenario was run");
    assert!(
        broken.is_empty(),
        "{} complaints in {count} scenarios:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// What is wrong with a scenario.
fn complaints(host: &mut Host, scenario: &Scenario) -> Vec<String> {
    let mut vars = scenario.vars();
    let mut found = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        let (_, seen) = run(host, step, &vars);
        for complaint in step.complaints(&vars, &seen) {
            found.push(format!("{} step {number}: {complaint}", scenario.name));
        }
        step.keep(&mut vars, &seen);
    }
    found
}

/// Plays a scenario. All of its streams, with the status that the client got.
pub fn play(host: &mut Host, scenario: &Scenario) -> Vec<(StreamId, u16)> {
    let mut vars = scenario.vars();
    let mut played = Vec::new();
    for step in &scenario.steps {
        let (stream, seen) = run(host, step, &vars);
        step.keep(&mut vars, &seen);
        played.push((stream, seen.status));
    }
    played
}

/// Plays one step.
fn run(host: &mut Host, step: &Step, vars: &Vars) -> (StreamId, Observed) {
    host.run(step.after);
    let request = vars.request(&step.request);
    let calls_before = host.calls().len();
    let stream = send(host, &request);
    answer(host, &step.introspection, vars);
    let mut seen = Observed::default();
    if let State::Forwarded(forwarded) = host.state(stream) {
        let reply = vars.reply(&step.upstream, seconds(host));
        match route(&request.path) {
            Some(To::Cluster(_)) => respond(host, stream, &request, &reply),
            other => respond_itself(host, stream, other),
        }
        if let (Some(To::Cluster(cluster)), State::Forwarded(at_the_end)) =
            (route(&request.path), host.state(stream))
        {
            seen.upstream.push(arrived(cluster, &at_the_end));
        } else if let Some(To::Cluster(cluster)) = route(&request.path) {
            seen.upstream.push(arrived(cluster, &forwarded));
        }
    }
    if let Some(sent) = host.sent(stream) {
        seen.status = sent.status;
        seen.headers = fields(&sent.headers);
        seen.body.clone_from(&sent.body);
    }
    seen.introspections = host.calls()[calls_before..]
        .iter()
        .filter(|call| call.cluster == INTROSPECTION_CLUSTER)
        .map(|call| Message {
            cluster: call.cluster.clone(),
            body: call.body.clone(),
            ..message(&call.headers)
        })
        .collect();
    host.disconnect(stream);
    (stream, seen)
}

/// The client sends its request, to the end.
fn send(host: &mut Host, request: &Request) -> StreamId {
    let more = !request.body.is_empty() || !request.trailers.is_empty();
    let mut head = host::Request::new([
        (&b":method"[..], &request.method[..]),
        (b":path", &request.path),
        (b":scheme", b"http"),
        (b":authority", &request.authority),
    ]);
    for field in &request.headers {
        head = head.with(&field.name, &field.value);
    }
    if !request.body.is_empty() && request.trailers.is_empty() {
        head = head.with("content-length", request.body.len().to_string());
    }
    head = head.with("x-request-id", "00000000-0000-4000-8000-000000000000");
    if let Some(cluster) = request.cluster() {
        head = head.to(cluster);
    }
    if more {
        head = head.more_follows();
    }
    let stream = host.request(head);
    if !request.body.is_empty() {
        host.body(stream, &request.body, request.trailers.is_empty());
    }
    if !request.trailers.is_empty() {
        host.trailers(stream, pairs(&request.trailers));
    }
    stream
}

/// The authorization server deals with every call that comes.
fn answer(host: &mut Host, answer: &Answer, vars: &Vars) {
    for _ in 0..8 {
        let Some(call) = host.calls().iter().find(|call| call.open) else {
            break;
        };
        let (id, timeout) = (call.id, call.timeout);
        let answer = match vars.answer(answer, seconds(host)) {
            Answer::Reply(reply) => host::Answer::Response {
                headers: head_of(&reply),
                body: reply.body.bytes(),
                trailers: Headers::new(pairs(&reply.trailers)),
            },
            Answer::Refused | Answer::ResetBeforeHeaders => host::Answer::refused(),
            Answer::ResetAfterHeaders => host::Answer::Reset,
            Answer::Hang => {
                host.run(timeout);
                host::Answer::timed_out()
            }
            Answer::Trickle => {
                host.run(timeout);
                host::Answer::Reset
            }
        };
        host.answer(id, answer);
        settle(host);
    }
}

/// The upstream answers.
fn respond(host: &mut Host, stream: StreamId, request: &Request, reply: &Reply) {
    let body = if request.method == b"HEAD" {
        Vec::new()
    } else {
        reply.body.bytes()
    };
    let end = body.is_empty() && reply.trailers.is_empty();
    host.response(stream, reply.status, pairs(&reply.headers), end);
    if !body.is_empty() {
        host.response_body(stream, &body, reply.trailers.is_empty());
    }
    if !reply.trailers.is_empty() {
        host.response_trailers(stream, pairs(&reply.trailers));
    }
}

/// Envoy answers what goes to no cluster.
fn respond_itself(host: &mut Host, stream: StreamId, to: Option<To>) {
    let none: [(&str, &str); 0] = [];
    match to {
        Some(To::Direct) => {
            host.response(stream, 200, [("content-length", "6")], false);
            host.response_body(stream, b"direct", true);
        }
        Some(To::Redirect) => {
            host.response(stream, 301, [("location", "http://example.com/")], true);
        }
        Some(To::Cluster(_)) | None => host.response(stream, 404, none, true),
    }
}

/// Where the route table sends a path.
fn route(path: &[u8]) -> Option<To> {
    ROUTES
        .iter()
        .find(|route| path.starts_with(route.prefix.as_bytes()))
        .map(|route| route.to)
}

/// A request as the upstream has it.
fn arrived(cluster: &str, forwarded: &Forwarded) -> Message {
    Message {
        cluster: cluster.to_owned(),
        body: forwarded.body.clone(),
        trailers: forwarded.trailers.as_ref().map(fields).unwrap_or_default(),
        ..message(&forwarded.headers)
    }
}

/// A head as it is on the wire.
fn message(headers: &Headers) -> Message {
    let pseudo = |name: &str| headers.get(name).unwrap_or_default().to_vec();
    let mut fields = fields(headers);
    fields.push((b"host".to_vec(), pseudo(":authority")));
    Message {
        method: pseudo(":method"),
        path: pseudo(":path"),
        headers: fields,
        ..Message::default()
    }
}

/// Fields without pseudo fields.
fn fields(headers: &Headers) -> Vec<Pair> {
    headers
        .iter()
        .filter(|(name, _)| !name.starts_with(b":"))
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

/// The head of a response.
fn head_of(reply: &Reply) -> Headers {
    let mut headers = Headers::new([(":status", reply.status.to_string())]);
    for field in &reply.headers {
        headers.add(&field.name, &field.value);
    }
    headers
}

/// Fields as pairs.
fn pairs(fields: &[Field]) -> Vec<Pair> {
    fields
        .iter()
        .map(|field| (field.name.clone(), field.value.clone()))
        .collect()
}

/// The time, as scenarios count it.
fn seconds(host: &Host) -> f64 {
    Duration::as_secs_f64(&host.now())
}
