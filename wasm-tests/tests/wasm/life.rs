//! Configurations that come and go, and what is held until a verdict is in.

use core::time::Duration;

use mcp_token_guard_tests::host::{Host, LoadError, State, Status};
use mcp_token_guard_tests::scenario::{ENVIRONMENT, base};
use serde_json::json;

use crate::bench::{answer_all, forwarded, good, host, inactive, module, replied, request, settle};

#[test]
fn a_new_configuration_never_uses_what_the_old_one_kept() {
    let mut host = host();
    let first = host.request(request("kept"));
    let answer = good(&host);
    answer_all(&mut host, &answer);
    assert!(forwarded(&host, first));
    let cached = host.request(request("kept"));
    assert!(forwarded(&host, cached) && host.calls().len() == 1);

    let mut stricter = base();
    stricter["servers"]["github"]["required_scopes"] = json!(["mcp:write"]);
    host.reconfigure(stricter.to_string()).unwrap();
    let again = host.request(request("kept").undecided());
    assert_eq!(host.calls().len(), 2, "the new configuration did not ask");
    let answer = good(&host);
    answer_all(&mut host, &answer);
    settle(&mut host);
    assert_eq!(replied(&host, again).status, 403);
}

#[test]
fn requests_that_wait_when_the_configuration_changes_are_served_under_theirs() {
    let mut host = host();
    let old = host.request(request("both"));
    let follower = host.request(request("both"));
    let mut stricter = base();
    stricter["servers"]["github"]["required_scopes"] = json!(["mcp:write"]);
    host.reconfigure(stricter.to_string()).unwrap();
    let new = host.request(request("both").undecided());
    assert_eq!(
        host.open_calls().len(),
        2,
        "one call for each configuration"
    );
    let answer = good(&host);
    answer_all(&mut host, &answer);
    settle(&mut host);
    assert!(forwarded(&host, old) && forwarded(&host, follower));
    assert_eq!(replied(&host, new).status, 403);
    host.disconnect(old);
    host.disconnect(follower);
    host.run(Duration::from_secs(2));
    assert_eq!(host.tick_period(), None);
}

#[test]
fn the_last_stream_of_a_configuration_takes_it_along() {
    let mut host = host();
    let old = host.request(request("leaving"));
    let call = host.open_calls()[0];
    host.reconfigure(base().to_string()).unwrap();
    host.disconnect(old);
    let answer = good(&host);
    assert!(!host.answer(call, answer), "the call outlived its root");
    settle(&mut host);
    let new = host.request(request("leaving").undecided());
    answer_all(&mut host, &inactive());
    settle(&mut host);
    assert_eq!(replied(&host, new).status, 401);
}

#[test]
fn a_bad_configuration_is_refused_and_the_old_one_goes_on() {
    let mut host = host();
    let error = host.reconfigure(r#"{"servers": {}, "surprise": 1}"#);
    assert!(matches!(error, Err(LoadError::Refused(_))), "{error:?}");
    let stream = host.request(request("goes-on"));
    let answer = good(&host);
    answer_all(&mut host, &answer);
    settle(&mut host);
    assert!(forwarded(&host, stream));
    assert!(Host::load(module(), &[], base().to_string(), "x").is_err());
    assert!(Host::load(module(), ENVIRONMENT, "", "x").is_err());
}

#[test]
fn body_and_trailers_are_held_where_envoy_delivers_them_early() {
    let mut host = host();
    host.stop_iteration_only();
    let stream = host.request(request("early").undecided().more_follows());
    host.body(stream, b"{", false);
    host.body(stream, b"}", false);
    host.trailers(stream, [("x-checksum", "1")]);
    assert_eq!(host.state(stream), State::Paused);
    host.decide(stream);
    let answer = good(&host);
    answer_all(&mut host, &answer);
    settle(&mut host);
    let State::Forwarded(left) = host.state(stream) else {
        panic!("{:?}", host.state(stream));
    };
    assert_eq!(left.body, b"{}");
    assert!(left.complete && left.trailers.is_some());
}

#[test]
fn entries_expire_by_the_steady_clock_and_by_exp() {
    let mut host = host();
    let request_at = |host: &mut Host| host.request(request("ageing"));
    request_at(&mut host);
    let answer = good(&host);
    answer_all(&mut host, &answer);
    host.run(Duration::from_secs(29));
    request_at(&mut host);
    assert_eq!(host.calls().len(), 1, "29 s of 30 s");
    // The wall clock steps back an hour: that keeps nothing alive.
    let past = host.now().saturating_sub(Duration::from_secs(3600));
    host.set_wall_clock(past);
    host.run(Duration::from_secs(2));
    request_at(&mut host);
    assert_eq!(host.calls().len(), 2, "31 s of 30 s");
}

#[test]
fn a_call_that_cannot_be_made_is_503() {
    for status in [Status::BadArgument, Status::InternalFailure] {
        let mut host = host();
        host.fail("proxy_http_call", 0, status);
        let stream = host.request(request("nobody").undecided());
        settle(&mut host);
        let response = replied(&host, stream);
        assert_eq!(response.status, 503);
        assert!(response.headers.get("retry-after").is_some());
        // Nothing is kept of it.
        let next = host.request(request("nobody"));
        let answer = good(&host);
        answer_all(&mut host, &answer);
        settle(&mut host);
        assert!(forwarded(&host, next));
    }
}
