//! A client can take its time over a body that is read for the rules of a
//! server. What was said of its token must not be older for that.

use std::thread::sleep;
use std::time::Duration;

use mcp_token_guard_tests::client::{Http1, Protocol, Response, encode};
use mcp_token_guard_tests::envoy::{Bench, Surroundings, pieces};
use mcp_token_guard_tests::scenario::{
    Answer, Request, Vars, active, base, default_claims, inactive, post,
};
use serde_json::{Value, json};

/// A little more than `cache.ttl`, and than an answer is good for the request
/// that it was asked for.
const LATER: Duration = Duration::from_millis(1_300);

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn start(ttl: &str, holding: bool) -> Bench {
    let mut configuration = base();
    configuration["cache"] = json!({"ttl": ttl});
    configuration["servers"]["github"]["rules"] =
        json!([{"methods": ["tools/*"], "required_scopes": []}]);
    let change: fn(Value) -> Value = if holding {
        pieces::stopping_iteration
    } else {
        |guard| guard
    };
    let mut bench = Surroundings::new().start_with(&configuration, change);
    bench.answer(&Vars::default(), &good());
    // Which of the two it is, is known from here on.
    let first = bench.send(Protocol::Http1, &request("first"));
    assert_eq!(first.status, 200);
    bench.arrived();
    bench.authorization_server.take();
    bench
}

fn good() -> Answer {
    active(default_claims(b"/github/mcp"))
}

fn request(client: &str) -> Request {
    post("/github/mcp")
        .header(
            "Authorization",
            format!("Bearer kanarie-slow-body-{client}"),
        )
        .body(BODY)
}

/// Sends the head and half of the body, and the rest when the call about the
/// token has been answered and `then` has returned.
fn slowly(bench: &mut Bench, client: &str, then: impl FnOnce(&mut Bench)) -> Response {
    let bytes = encode(&request(client));
    let (start, rest) = bytes.split_at(bytes.len() - BODY.len() / 2);
    let answered = "wasmcustom.mcp_token_guard_introspections.result.active";
    let before = bench.envoy.stat(answered);
    let mut client = Http1::connect(bench.envoy.address()).unwrap();
    client.write(start).unwrap();
    bench.envoy.wait_stat(answered, |count| count > before);
    then(bench);
    client.write(rest).unwrap();
    client.response(false).unwrap()
}

/// How often the authorization server was asked.
fn asked(bench: &Bench) -> usize {
    bench.authorization_server.take().messages.len()
}

#[test]
fn a_token_that_is_revoked_before_its_body_is_whole_lets_nothing_in() {
    for ttl in ["1s", "0s"] {
        let mut bench = start(ttl, true);
        let response = slowly(&mut bench, "revoked", |bench| {
            bench.answer(&Vars::default(), &inactive());
            // Time is part of the rule.
            sleep(LATER);
        });
        assert_eq!(response.status, 401, "{ttl}");
        assert_eq!(bench.arrived().len(), 0);
        assert_eq!(asked(&bench), 2);
    }
}

#[test]
fn a_token_that_is_still_good_is_asked_about_again_and_goes_on() {
    for ttl in ["1s", "0s"] {
        let mut bench = start(ttl, true);
        let response = slowly(&mut bench, "good", |_| sleep(LATER));
        assert_eq!(response.status, 200, "{ttl}");
        let arrived = bench.arrived();
        assert_eq!(arrived.len(), 1);
        assert_eq!(arrived[0].body, BODY.as_bytes());
        assert_eq!(asked(&bench), 2);
    }
}

#[test]
fn an_answer_that_is_not_too_old_will_do() {
    let mut bench = start("60s", true);
    let response = slowly(&mut bench, "kept", |_| sleep(LATER));
    assert_eq!(response.status, 200);
    assert_eq!(asked(&bench), 1);
    let mut bench = start("0s", true);
    let response = slowly(&mut bench, "quick", |_| ());
    assert_eq!(response.status, 200);
    assert_eq!(asked(&bench), 1);
}

/// Where its head has gone before it, the body of a token that is known to be
/// bad stays behind.
#[test]
fn a_body_behind_its_head_is_held_back_if_its_token_is_known_to_be_bad() {
    let mut bench = start("1s", false);
    let response = slowly(&mut bench, "behind", |bench| {
        bench.answer(&Vars::default(), &inactive());
        sleep(LATER);
        let other = bench.send(Protocol::Http1, &request("behind"));
        assert_eq!(other.status, 401);
    });
    assert_eq!(response.status, 401);
    assert!(bench.arrived().iter().all(|one| one.body.is_empty()));
}
