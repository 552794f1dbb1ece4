//! The whole machine without a host, by what leaves and what comes back.

mod answers;
mod bodies;
mod fetching;
mod issuers;
mod leaving;
mod lives;
mod renewed;

use super::*;
use crate::flight::CallId;
use crate::introspection::Reply;

const TOKEN: &str = "kanarie-T-0123456789.abc";

const ACTIVE: &[u8] =
    br#"{"active":true,"aud":"https://gateway.example.com/mcp","sub":"user-1","exp":1800000600,
    "scope":"base one"}"#;

const INACTIVE: &[u8] = br#"{"active":false}"#;

/// An answer of a token endpoint.
const FETCHED: &[u8] =
    br#"{"access_token":"kanarie-fetched","token_type":"Bearer","expires_in":300,
    "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;

const NOW: Now = Now {
    wall_ms: 1_800_000_000_000,
    steady_ms: 5_000,
};

/// What a verifier says to its injector.
const MARK: Option<&[u8]> = Some(b"files");

const STREAM: StreamId = StreamId(7);

/// Another request with the same token.
const OTHER: StreamId = StreamId(8);

const STATIC: &str =
    r#""default_headers": {"Authorization": "Bearer kanarie-credential", "X-Region": "eu"}"#;

const RULES: &str = r#""required_scopes": ["base"],
    "default_headers": {"Authorization": "Bearer kanarie-credential"},
    "rules": [
        {"methods": ["tools/call"], "names": ["a*"], "required_scopes": ["one"]},
        {"methods": ["tools/call"], "names": ["b"], "deny": true},
        {"methods": ["tools/call"], "required_scopes": ["two"]}
    ]"#;

/// In this role, with these members for the server besides.
fn guard(role: &str, server: &str) -> Guard {
    configured(role, server, r#""audit_log": "all""#)
}

/// With this member at the top as well.
fn configured(role: &str, server: &str, top: &str) -> Guard {
    let text = format!(
        r#"{{
        "role": "{role}",
        "authorization_server": {{
            "issuer": "https://auth.example.com",
            "introspection": {{
                "url": "https://auth.example.com/introspect", "cluster": "authorization-server",
                "client_id": "gw", "client_secret": "kanarie-client-secret"
            }}
        }},
        "servers": {{
            "files": {{"resource": "https://gateway.example.com/mcp", {server}}},
            "other": {{"resource": "https://gateway.example.com/other", "default_headers": {{}}}}
        }},
        "allowed_origins": ["https://app.example.com"],
        "identity_headers": {{"x-mcp-subject": "sub"}},
        {top}
    }}"#
    );
    Guard::new(Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|e| panic!("{e}")))
}

/// A credential that is fetched by this grant.
fn fetched(grant: &str) -> String {
    format!(
        r#""default_headers": {{"X-Region": "eu"}},
        "credential": {{"grant": "{grant}", "url": "https://auth.example.com/token",
            "cluster": "authorization-server", "client_id": "gw", "client_secret": "s"}}"#
    )
}

/// This much later.
fn after(ms: u64) -> Now {
    Now {
        wall_ms: NOW.wall_ms.saturating_add(ms),
        steady_ms: NOW.steady_ms.saturating_add(ms),
    }
}

/// A request with the client's token, and with what is never let by.
fn head() -> Vec<Field> {
    let bearer = format!("Bearer {TOKEN}");
    [
        (":method", "POST"),
        (":path", "/mcp"),
        (":authority", "gateway.example.com"),
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("x-access-token", "kanarie-other"),
        ("x-region", "us"),
        ("x-mcp-subject", "user-1"),
        ("x-note", "stays"),
    ]
    .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
    .into()
}

/// The same with these fields besides, or in place of its own.
fn head_with(more: &[(&str, &str)]) -> Vec<Field> {
    let mut head = head();
    for (name, value) in more {
        head.retain(|(known, _)| known != name);
        head.push(((*name).to_owned(), value.as_bytes().to_vec()));
    }
    head
}

/// A call of this tool.
fn call(name: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}"}}}}"#)
        .into()
}

/// A whole answer.
fn whole(status: u16, body: &[u8]) -> Reply<'_> {
    Reply::Whole {
        status,
        content_type: Some(b"application/json"),
        retry_after: None,
        body,
    }
}

/// The call is made, and replied to so.
fn replied(guard: &mut Guard, ask: &Ask, reply: &Reply<'_>, now: Now) {
    guard.asked(ask, CallId(1), now);
    guard.answered(CallId(1), reply, now);
}

/// The one call that is to be made next, by a tick or by this step, is answered
/// so. What becomes of its request.
fn answer(guard: &mut Guard, step: Step, body: &[u8], now: Now) -> (StreamId, Step) {
    let mut tasks = match step {
        Step::Wait => guard.tick(now),
        step @ (Step::Forward(..) | Step::Ignore | Step::Reply(..)) => panic!("{step:?}"),
        Step::Ask(ask) => vec![Task::Ask(ask)],
    };
    let Some(Task::Ask(ask)) = tasks.pop() else {
        panic!("nobody is asked");
    };
    assert!(tasks.is_empty(), "{tasks:?}");
    replied(guard, &ask, &whole(200, body), now);
    guard.settle(now).expect("it has been answered")
}

/// What becomes of [`STREAM`], now.
fn answer_now(guard: &mut Guard, step: Step, body: &[u8]) -> Step {
    let (id, step) = answer(guard, step, body, NOW);
    assert_eq!(id, STREAM);
    step
}

/// What becomes of this request when its token is found to be good.
fn sent_with(guard: &mut Guard, head: &[Field]) -> Step {
    let step = guard.request(STREAM, head, Some("files"), NOW);
    answer_now(guard, step, ACTIVE)
}

/// The same of the plain one.
fn sent(guard: &mut Guard) -> Step {
    sent_with(guard, &head())
}

/// At an injector, with this mark.
fn injected(guard: &mut Guard, mark: Option<&[u8]>) -> Step {
    guard.inject(STREAM, &head(), Some("files"), mark, Some(NOW))
}

/// What is done to the head of a request that goes on.
fn changes(step: &Step) -> Vec<(String, Option<String>)> {
    let Step::Forward(forward, _) = step else {
        panic!("{step:?}");
    };
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("text");
    forward
        .changes()
        .map(|(name, value)| (name.to_owned(), value.map(text)))
        .collect()
}

/// Its mark.
fn mark(step: &Step) -> Option<&str> {
    let Step::Forward(forward, _) = step else {
        panic!("{step:?}");
    };
    forward.mark()
}

/// What leaves of [`head`], without what nobody touches.
fn left(step: &Step) -> Vec<(String, String)> {
    let untouched = |name: &str| name.starts_with(':') || name == "content-type";
    let mut left: Vec<(String, String)> = head()
        .into_iter()
        .filter(|(name, value)| !untouched(name) && value != b"stays")
        .map(|(name, value)| (name, String::from_utf8(value).expect("text")))
        .collect();
    for (name, value) in changes(step) {
        // Routes that match on its presence stay where they are.
        let replaced = mark(step).is_none() && ["authorization", "x-region"].contains(&&*name);
        assert!(value.is_some() || !replaced, "{name} is removed first");
        left.retain(|(known, _)| *known != name);
        left.extend(value.map(|value| (name, value)));
    }
    left.sort();
    left
}

fn with(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    all.iter().map(owned).collect()
}

/// The status of the answer, and the record.
fn refused(step: &Step) -> (u16, &str) {
    let Step::Reply(reply, audit) = step else {
        panic!("{step:?}");
    };
    (reply.status, &audit.json)
}
