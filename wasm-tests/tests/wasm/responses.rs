//! The way back, and streams that outlive their token.

use core::time::Duration;

use mcp_token_guard_tests::host::{End, Host, State, StreamId};
use mcp_token_guard_tests::scenario::base;
use serde_json::json;

use crate::bench::{answer_all, good, host, host_with, inactive, replied, request, settle};

/// A request that was let through.
fn let_through(host: &mut Host, token: &str, method: &str) -> StreamId {
    let mut head = vec![(":method", method), (":path", "/github/mcp")];
    head.extend([(":scheme", "https"), (":authority", "gateway.example.com")]);
    let authorization = format!("Bearer {token}");
    head.push(("authorization", authorization.as_str()));
    let stream = host.request(mcp_token_guard_tests::host::Request::new(head).to("alpha"));
    let answer = good(host);
    answer_all(host, &answer);
    assert!(matches!(host.state(stream), State::Forwarded(_)));
    stream
}

#[test]
fn a_refusal_of_our_credential_is_502_without_the_upstreams_words() {
    for status in [401, 407] {
        let mut host = host();
        let stream = let_through(&mut host, "fine", "POST");
        let fields = [("www-authenticate", "Bearer realm=\"upstream\"")];
        host.response(stream, status, fields, false);
        host.response_body(stream, b"words of the upstream", true);
        let response = replied(&host, stream);
        assert_eq!(response.status, 502);
        assert_eq!(response.headers.get("www-authenticate"), None);
        assert!(!response.body.starts_with(b"words"));
    }
}

#[test]
fn a_response_from_another_cluster_than_the_credentials_is_502() {
    let mut host = host();
    let stream = let_through(&mut host, "routed", "POST");
    host.set_property(stream, &["xds", "cluster_name"], "beta");
    host.response(stream, 200, [("content-type", "text/plain")], false);
    assert_eq!(replied(&host, stream).status, 502);
}

#[test]
fn an_event_stream_is_closed_soon_after_its_token_expires() {
    let mut host = host();
    let stream = let_through(&mut host, "short", "GET");
    let call = let_through(&mut host, "short", "POST");
    for open in [stream, call] {
        host.response(open, 200, [("content-type", "text/event-stream")], false);
    }
    host.run(Duration::from_secs(299));
    assert_eq!(host.end(stream), None, "closed too early");
    host.run(Duration::from_secs(3));
    assert_eq!(host.end(stream), Some(End::Reset));
    assert_eq!(host.end(call), None, "the answer to a call may go on");
    host.run(Duration::from_secs(601));
    assert_eq!(host.end(call), Some(End::Reset), "but not for ever");
}

#[test]
fn two_hundred_event_streams_are_closed_a_few_at_a_time() {
    let mut host = host();
    let streams: Vec<StreamId> = (0..200)
        .map(|_| {
            let stream = let_through(&mut host, "crowded", "GET");
            host.response(stream, 200, [("content-type", "text/event-stream")], false);
            stream
        })
        .collect();
    host.run(Duration::from_secs(302));
    for stream in streams {
        assert_eq!(host.end(stream), Some(End::Reset));
    }
}

#[test]
fn a_stream_whose_token_is_revoked_is_closed_where_that_is_asked_for() {
    let mut configuration = base();
    configuration["cache"] = json!({"recheck_streams": "10s"});
    let mut host = host_with(&configuration);
    let stream = let_through(&mut host, "revoked", "GET");
    host.response(stream, 200, [("content-type", "text/event-stream")], false);
    host.run(Duration::from_secs(11));
    assert_eq!(host.open_calls().len(), 1, "nobody asked again");
    let answer = good(&host);
    answer_all(&mut host, &answer);
    settle(&mut host);
    assert_eq!(host.end(stream), None);
    host.run(Duration::from_secs(10));
    assert_eq!(host.open_calls().len(), 1, "nobody asked a third time");
    answer_all(&mut host, &inactive());
    host.run(Duration::from_secs(2));
    assert_eq!(host.end(stream), Some(End::Reset));
}

#[test]
fn a_token_in_a_trailer_goes_no_further() {
    let mut host = host();
    let stream = let_through(&mut host, "trailing", "POST");
    host.disconnect(stream);
    let held = host.request(request("trailing").more_follows());
    host.body(held, b"{}", false);
    host.trailers(held, [("x-note", "trailing"), ("authorization", "x")]);
    if let State::Forwarded(left) = host.state(held) {
        assert_eq!(left.trailers, None, "{left:?}");
    }
    assert!(host.end(held).is_some());
}
