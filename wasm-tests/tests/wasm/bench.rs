//! What the tests of the module share.

use core::time::Duration;
use std::sync::OnceLock;

use mcp_token_guard_tests::host::{Answer, Host, Request, Response, State, StreamId};
use mcp_token_guard_tests::module;
use mcp_token_guard_tests::scenario::{ENVIRONMENT, base};
use serde_json::{Value, json};

/// The module's bytes.
pub fn module() -> &'static [u8] {
    static MODULE: OnceLock<Vec<u8>> = OnceLock::new();
    MODULE.get_or_init(|| std::fs::read(module::path()).expect("a module that can be read"))
}

/// A worker under this configuration.
pub fn host_with(configuration: &Value) -> Host {
    let configuration = configuration.to_string();
    Host::load(module(), ENVIRONMENT, configuration, "mcp_token_guard")
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A worker under the base configuration.
pub fn host() -> Host {
    host_with(&base())
}

/// A POST to the first server of the base configuration, without a body.
pub fn bare_request() -> Request {
    Request::new([
        (":method", "POST"),
        (":path", "/github/mcp"),
        (":scheme", "https"),
        (":authority", "gateway.example.com"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("user-agent", "client/1.0"),
        ("x-request-id", "00000000-0000-4000-8000-000000000000"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("content-length", "0"),
    ])
    .to("alpha")
}

/// The same with a token.
pub fn request(token: &str) -> Request {
    bare_request().with("authorization", format!("Bearer {token}"))
}

/// An answer by which a token is good for that server.
pub fn good(host: &Host) -> Answer {
    let expiry = host.now().as_secs().saturating_add(300);
    let body = json!({
        "active": true,
        "token_type": "Bearer",
        "iss": "https://auth.example.com",
        "aud": "https://gateway.example.com/github/mcp",
        "scope": "mcp:read",
        "sub": "user-1",
        "client_id": "client-1",
        "exp": expiry,
    });
    Answer::json(200, body.to_string())
}

/// An answer by which a token is good for nothing.
pub fn inactive() -> Answer {
    Answer::json(200, r#"{"active":false}"#)
}

/// Lets timers work until nothing more happens soon.
pub fn settle(host: &mut Host) {
    host.run(Duration::from_millis(200));
}

/// The reply to a stream, which must be one of the guard's own.
pub fn replied(host: &Host, stream: StreamId) -> Response {
    match host.state(stream) {
        State::Replied(response) => response,
        other => panic!("a local reply was expected: {other:?}"),
    }
}

/// Whether a stream has been let through.
pub fn forwarded(host: &Host, stream: StreamId) -> bool {
    matches!(host.state(stream), State::Forwarded(_))
}

/// Answers every call that waits, in order.
pub fn answer_all(host: &mut Host, answer: &Answer) {
    for call in host.open_calls() {
        host.answer(call, answer.clone());
    }
}
