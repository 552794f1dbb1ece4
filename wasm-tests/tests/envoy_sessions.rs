//! Sessions across replicas and across a change of keys (contract section 4).

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::Bench;
use mcp_token_guard_tests::scenario::{Answer, Request, base, post, status};
use serde_json::{Value, json};

/// What the upstream calls the session.
const RAW: &str = "raw-session";

/// A replica with these session keys; `null` for the default.
fn replica(keys: &Value) -> Bench {
    let mut configuration = base();
    if !keys.is_null() {
        configuration["session_key"] = keys.clone();
    }
    let mut bench = Bench::start(&configuration);
    bench.admit("/github/mcp");
    let begun = status(200).header("Mcp-Session-Id", RAW);
    for upstream in &mut bench.upstreams {
        upstream.answer(Answer::Reply(begun.clone()));
    }
    bench
}

/// A request with a good token.
fn request() -> Request {
    post("/github/mcp").header("Authorization", "Bearer kanarie-sessions")
}

/// Begins a session.
fn begun(bench: &Bench) -> Vec<u8> {
    let response = bench.send(Protocol::Http1, &request());
    bench.arrived();
    response.header("mcp-session-id").unwrap().to_vec()
}

/// Uses a session. The status, and the session id that the upstream got.
fn used(bench: &Bench, session: &[u8]) -> (u16, Option<Vec<u8>>) {
    let request = request().header("Mcp-Session-Id", session);
    let response = bench.send(Protocol::Http1, &request);
    let arrived = bench.arrived();
    let id = arrived.first().and_then(|message| {
        let found = message
            .headers
            .iter()
            .find(|(name, _)| name == b"mcp-session-id")?;
        Some(found.1.clone())
    });
    (response.status, id)
}

#[test]
fn replicas_and_rotated_keys_agree_on_sessions() {
    let old = json!("${env:SESSION_KEY_OLD}");
    let new = json!("${env:SESSION_KEY}");
    let both = json!(["${env:SESSION_KEY}", "${env:SESSION_KEY_OLD}"]);
    let good = (200, Some(RAW.as_bytes().to_vec()));

    let one = replica(&old);
    let of_old = begun(&one);
    assert_ne!(of_old, RAW.as_bytes());
    assert_eq!(used(&one, &of_old), good);
    drop(one);

    let rotating = replica(&both);
    let of_both = begun(&rotating);
    assert_eq!(
        used(&rotating, &of_old),
        good,
        "the former key still verifies"
    );
    assert_eq!(used(&rotating, &of_both), good);
    drop(rotating);

    let rotated = replica(&new);
    assert_eq!(used(&rotated, &of_both), good, "the first key signs");
    assert_eq!(
        used(&rotated, &of_old),
        (404, None),
        "the former key is gone"
    );
    drop(rotated);

    let other = replica(&old);
    assert_eq!(used(&other, &of_old), good, "another replica, the same key");
    assert_eq!(used(&other, &of_both), (404, None));
    drop(other);

    let default = replica(&Value::Null);
    let of_default = begun(&default);
    assert_eq!(used(&default, &of_old), (404, None));
    drop(default);
    assert_eq!(
        used(&replica(&Value::Null), &of_default),
        good,
        "the same client secret"
    );
}
