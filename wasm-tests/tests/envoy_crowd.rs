//! Many requests with one token: one call, whoever leaves; and the limits of
//! how many wait (contract sections 1 and 3, INTRO-timeout, CACHE-neg).

use mcp_token_guard_tests::client::{Http1, Response};
use mcp_token_guard_tests::envoy::Bench;
use mcp_token_guard_tests::scenario::{Answer, Request, base, inactive, post, status};

/// Requests that Envoy has begun and not ended.
const ACTIVE: &str = "http.guarded.downstream_rq_active";

/// A request with a token.
fn request(token: &str) -> Request {
    post("/github/mcp").header("Authorization", format!("Bearer kanarie-crowd-{token}"))
}

/// Sends `count` requests with one token, each on a connection of its own, while
/// the authorization server holds its answer back, then lets it go.
fn crowd(bench: &mut Bench, token: &str, count: usize) -> Vec<Response> {
    bench.authorization_server.close();
    let mut clients: Vec<Http1> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = Http1::connect(bench.envoy.address()).unwrap();
        client.send(&request(token)).unwrap();
        clients.push(client);
    }
    bench
        .envoy
        .wait_stat(ACTIVE, |active| active == count as u64);
    bench.authorization_server.open();
    clients
        .iter_mut()
        .map(|client| client.response(false).unwrap())
        .collect()
}

/// The statuses that came, each once, in order.
fn statuses(responses: &[Response]) -> Vec<u16> {
    let mut all: Vec<_> = responses.iter().map(|response| response.status).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn a_crowd_with_one_token_makes_one_call() {
    let mut configuration = base();
    // However long it takes to gather the crowd.
    configuration["authorization_server"]["introspection"]["timeout"] = "20s".into();
    let mut bench = Bench::start(&configuration);
    for count in [50, 1_500] {
        bench.admit("/github/mcp");
        let responses = crowd(&mut bench, &format!("good-{count}"), count);
        assert_eq!(statuses(&responses), [200], "{count} requests");
        assert_eq!(
            bench.authorization_server.take().messages.len(),
            1,
            "{count} requests"
        );
        assert_eq!(bench.arrived().len(), count);

        bench.authorization_server.answer(inactive());
        let responses = crowd(&mut bench, &format!("bad-{count}"), count);
        assert_eq!(statuses(&responses), [401], "{count} requests");
        assert_eq!(
            bench.authorization_server.take().messages.len(),
            1,
            "{count} requests"
        );
        assert_eq!(bench.arrived().len(), 0);

        bench
            .authorization_server
            .answer(Answer::Reply(status(500)));
        let responses = crowd(&mut bench, &format!("unknown-{count}"), count);
        assert_eq!(statuses(&responses), [503], "{count} requests");
        assert_eq!(
            bench.authorization_server.take().messages.len(),
            1,
            "{count} requests"
        );
        assert_eq!(bench.arrived().len(), 0);
    }
    // The VM has not been replaced: what was learned is still known.
    bench.authorization_server.take();
    let known = bench.send(
        mcp_token_guard_tests::client::Protocol::Http1,
        &request("good-50"),
    );
    assert_eq!(known.status, 200);
    assert_eq!(bench.authorization_server.count(), 0);
}

#[test]
fn when_the_one_that_asked_leaves_the_rest_is_served() {
    let mut bench = Bench::start(&base());
    for (leader_half_closes, token) in [(false, "leaves"), (true, "half-closes")] {
        bench.admit("/github/mcp");
        bench.authorization_server.close();
        let mut leader = Http1::connect(bench.envoy.address()).unwrap();
        leader.send(&request(token)).unwrap();
        bench
            .authorization_server
            .wait("the call of the leader", |seen| seen.complete == 1);
        let mut rest: Vec<Http1> = Vec::new();
        for _ in 0..20 {
            let mut client = Http1::connect(bench.envoy.address()).unwrap();
            client.send(&request(token)).unwrap();
            rest.push(client);
        }
        bench.envoy.wait_stat(ACTIVE, |active| active == 21);
        if leader_half_closes {
            leader.half_close().unwrap();
        }
        drop(leader);
        bench.envoy.wait_stat(ACTIVE, |active| active == 20);
        bench.authorization_server.open();
        let responses: Vec<_> = rest
            .iter_mut()
            .map(|c| c.response(false).unwrap())
            .collect();
        assert_eq!(statuses(&responses), [200]);
        // The answer to a caller that has gone may be lost, and asked for again.
        let calls = bench.authorization_server.take().messages.len();
        assert!(calls <= 2, "{calls} calls");
        assert_eq!(bench.arrived().len(), 20);
    }
}

#[test]
fn when_all_leave_nothing_goes_upstream_and_the_next_is_served() {
    let mut bench = Bench::start(&base());
    bench.admit("/github/mcp");
    bench.authorization_server.close();
    let mut clients: Vec<Http1> = Vec::new();
    for _ in 0..20 {
        let mut client = Http1::connect(bench.envoy.address()).unwrap();
        client.send(&request("all-leave")).unwrap();
        clients.push(client);
    }
    bench.envoy.wait_stat(ACTIVE, |active| active == 20);
    drop(clients);
    bench.envoy.wait_stat(ACTIVE, |active| active == 0);
    bench.authorization_server.open();
    let mut next = Http1::connect(bench.envoy.address()).unwrap();
    next.send(&request("all-leave")).unwrap();
    assert_eq!(next.response(false).unwrap().status, 200);
    assert_eq!(bench.arrived().len(), 1);
}

#[test]
fn more_than_may_wait_are_turned_away_at_once() {
    let mut configuration = base();
    configuration["limits"] = serde_json::json!({"waiting": 4, "in_flight": 2});
    let mut bench = Bench::start(&configuration);
    bench.admit("/github/mcp");
    bench.authorization_server.close();
    let mut waiting: Vec<Http1> = Vec::new();
    for _ in 0..4 {
        let mut client = Http1::connect(bench.envoy.address()).unwrap();
        client.send(&request("limited")).unwrap();
        waiting.push(client);
    }
    bench.envoy.wait_stat(ACTIVE, |active| active == 4);
    for _ in 0..3 {
        // While nobody has an answer yet.
        let mut client = Http1::connect(bench.envoy.address()).unwrap();
        client.send(&request("limited")).unwrap();
        let response = client.response(false).unwrap();
        assert_eq!(response.status, 503);
        assert!(response.header("retry-after").is_some());
        assert!(response.header("www-authenticate").is_none());
    }
    bench.authorization_server.open();
    let responses: Vec<_> = waiting
        .iter_mut()
        .map(|c| c.response(false).unwrap())
        .collect();
    assert_eq!(statuses(&responses), [200]);
    assert_eq!(bench.authorization_server.take().messages.len(), 1);
}

#[test]
fn more_calls_than_may_be_in_flight_are_not_made() {
    let mut configuration = base();
    configuration["limits"] = serde_json::json!({"waiting": 100, "in_flight": 2});
    let mut bench = Bench::start(&configuration);
    bench.admit("/github/mcp");
    bench.authorization_server.close();
    let mut waiting: Vec<Http1> = Vec::new();
    for token in ["first", "second"] {
        let mut client = Http1::connect(bench.envoy.address()).unwrap();
        client.send(&request(token)).unwrap();
        waiting.push(client);
    }
    bench
        .authorization_server
        .wait("two calls", |seen| seen.complete == 2);
    let mut third = Http1::connect(bench.envoy.address()).unwrap();
    third.send(&request("third")).unwrap();
    let response = third.response(false).unwrap();
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    bench.authorization_server.open();
    for client in &mut waiting {
        assert_eq!(client.response(false).unwrap().status, 200);
    }
    assert_eq!(bench.authorization_server.take().messages.len(), 2);
    // Room again.
    third
        .send(&request("third"))
        .or_else(|_| {
            third = Http1::connect(bench.envoy.address())?;
            third.send(&request("third"))
        })
        .unwrap();
}
