//! The credential follows the cluster that really gets the request, and where it
//! cannot, somebody hears of it (MCP-PASS-f, MCP-PASS-g, host.md section 6).

use mcp_token_guard_tests::client::{Protocol, Response};
use mcp_token_guard_tests::envoy::{Bench, Surroundings, pieces};
use mcp_token_guard_tests::scenario::{
    Answer, Message, Request, Vars, active, base, default_claims, get, post, status,
};
use serde_json::{Value, json};

/// A token that is good for every server here.
fn admit(bench: &mut Bench) {
    let mut claims = default_claims(b"/github/mcp");
    claims["aud"] = json!([
        "https://gateway.example.com/github/mcp",
        "https://gateway.example.com/linear/mcp",
        "https://gateway.example.com/unaimed/mcp",
    ]);
    bench.answer(&Vars::default(), &active(claims));
}

/// A request with that token.
fn request(path: &str) -> Request {
    post(path).header("Authorization", "Bearer kanarie-routes")
}

/// A route that is taken only when there is such a header.
fn with_header(prefix: &str, header: &str, cluster: &str) -> Value {
    let mut route = pieces::route(prefix, cluster);
    route["match"]["headers"] = json!([{"name": header, "present_match": true}]);
    route
}

/// A filter that sets a header and has the route looked up again.
fn moves() -> Value {
    let mut lua = pieces::native(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
    );
    lua["typed_config"]["default_source_code"] = json!({"inline_string":
        "function envoy_on_request(handle)\n  handle:headers():add('x-moved', '1')\n  handle:clearRouteCache()\nend"});
    lua
}

/// The bench, with these routes before all others and these filters behind the
/// guard.
fn bench(configuration: &Value, routes: &[Value], behind: &[Value]) -> Bench {
    let mut surroundings = Surroundings::new();
    surroundings
        .setup
        .routes
        .splice(0..0, routes.iter().cloned());
    surroundings.behind = behind.to_vec();
    let mut bench = surroundings.start(configuration);
    admit(&mut bench);
    bench
}

/// 502, counted, and an error in the log.
fn mismatch(bench: &Bench, response: &Response) {
    assert_eq!(
        (response.status, &*response.error()),
        (502, "credential_cluster_mismatch")
    );
    let loud = |line: &str| line.contains("[error]") || line.contains("[critical]");
    let log = bench.envoy.log();
    assert!(
        log.lines()
            .any(|line| loud(line) && line.contains("credential_cluster_mismatch"))
    );
    let stats = bench.envoy.admin("/stats").unwrap();
    let counted =
        |line: &&str| line.contains("credential_cluster_mismatch") && !line.ends_with(": 0");
    assert!(stats.lines().find(counted).is_some(), "no counter says it");
}

/// A header of a message.
fn value<'a>(message: &'a Message, name: &str) -> Option<&'a [u8]> {
    let found = message.headers.iter().find(|(n, _)| n == name.as_bytes());
    found.map(|(_, value)| &value[..])
}

#[test]
fn a_route_that_matches_on_a_header_that_is_stripped_is_noticed() {
    let routes = [with_header("/github", "x-legacy-token", "beta")];
    let bench = bench(&base(), &routes, &[]);
    let plain = bench.send(Protocol::Http1, &request("/github/mcp"));
    assert_eq!(plain.status, 200);
    bench.arrived();
    let moved = request("/github/mcp").header("X-Legacy-Token", "1");
    mismatch(&bench, &bench.send(Protocol::Http1, &moved));
}

#[test]
fn a_route_that_matches_on_authorization_stays() {
    let routes = [
        with_header("/github", "authorization", "alpha"),
        pieces::route("/github", "zeta"),
    ];
    let bench = bench(&base(), &routes, &[]);
    assert_eq!(
        bench.send(Protocol::Http1, &request("/github/mcp")).status,
        200
    );
    let arrived = bench.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].cluster, "alpha");
}

#[test]
fn a_later_filter_that_changes_the_cluster_is_noticed() {
    let routes = [
        with_header("/github", "x-moved", "beta"),
        with_header("/linear", "x-moved", "zeta"),
        with_header("/unaimed", "x-moved", "delta-1"),
    ];
    let mut surroundings = Surroundings::new();
    let address = surroundings.upstreams[0].address();
    surroundings
        .setup
        .clusters
        .push(pieces::cluster("delta-1", address, Protocol::Http1));
    surroundings.setup.routes.splice(0..0, routes);
    surroundings.behind = vec![moves()];
    let mut bench = surroundings.start(&base());
    admit(&mut bench);
    // To another server, and to a cluster that no server names.
    mismatch(
        &bench,
        &bench.send(Protocol::Http1, &request("/github/mcp")),
    );
    mismatch(
        &bench,
        &bench.send(Protocol::Http1, &request("/linear/mcp")),
    );
    // To another cluster of the same server.
    assert_eq!(
        bench.send(Protocol::Http1, &request("/unaimed/mcp")).status,
        200
    );
}

#[test]
fn an_ignored_request_that_reaches_a_listed_cluster_is_noticed() {
    let mut configuration = base();
    configuration["unlisted_clusters"] = "ignore".into();
    let routes = [with_header("/unlisted", "x-moved", "alpha")];
    let bench = bench(&configuration, &routes, &[moves()]);
    let response = bench.send(Protocol::Http1, &request("/unlisted"));
    assert_eq!(response.status, 502);
    assert!(response.body.windows(5).any(|part| part == b"error"));
}

/// MCP-PASS-g
#[test]
fn an_internal_redirect_does_not_turn_our_credential_into_a_token() {
    let mut route = pieces::route("/github", "alpha");
    route["route"]["internal_redirect_policy"] = json!({"max_internal_redirects": 1});
    let mut bench = bench(&base(), &[route], &[]);
    let elsewhere = status(302).header("Location", "http://gateway.example.com/linear/mcp");
    for upstream in &mut bench.upstreams {
        upstream.answer(Answer::Reply(elsewhere.clone()));
    }
    let request = get("/github/mcp").header("Authorization", "Bearer kanarie-routes");
    let response = bench.send(Protocol::Http1, &request);
    assert_eq!(
        (response.status, &*response.error()),
        (401, "invalid_token")
    );
    let calls = bench.authorization_server.take().messages;
    assert_eq!(calls.len(), 1, "our credential was asked about");
    let arrived = bench.arrived();
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].cluster, "alpha");
}

#[test]
fn with_weighted_clusters_each_gets_its_own_credential() {
    let mut route = pieces::route("/any", "alpha");
    route["route"] = json!({"timeout": "0s", "idle_timeout": "30s", "weighted_clusters": {"clusters": [
        {"name": "alpha", "weight": 50}, {"name": "beta", "weight": 50},
    ]}});
    let bench = bench(&base(), &[route], &[]);
    for _ in 0..60 {
        assert_eq!(bench.send(Protocol::Http1, &request("/any")).status, 200);
    }
    let arrived = bench.arrived();
    for message in &arrived {
        let (authorization, key) = (value(message, "authorization"), value(message, "x-api-key"));
        match &*message.cluster {
            "alpha" => assert_eq!(
                (authorization, key),
                (Some(&b"Bearer kanarie-alpha-credential"[..]), None)
            ),
            _ => assert_eq!((authorization, key), (None, Some(&b"kanarie-beta-key"[..]))),
        }
    }
    let to_beta = arrived
        .iter()
        .filter(|message| message.cluster == "beta")
        .count();
    assert!((1..60).contains(&to_beta), "{to_beta} of 60 went to beta");
}

#[test]
fn a_retry_is_as_clean_as_the_first_try() {
    let mut route = pieces::route("/github", "alpha");
    route["route"]["retry_policy"] = json!({"retry_on": "5xx", "num_retries": 2});
    let mut bench = bench(&base(), &[route], &[]);
    for upstream in &mut bench.upstreams {
        upstream.answer(Answer::Reply(status(503)));
    }
    assert_eq!(
        bench.send(Protocol::Http1, &request("/github/mcp")).status,
        503
    );
    let arrived = bench.arrived();
    assert_eq!(arrived.len(), 3);
    for message in &arrived {
        assert_eq!(
            value(message, "authorization"),
            Some(&b"Bearer kanarie-alpha-credential"[..])
        );
        assert!(memchr::memmem::find(&message.bytes(), b"kanarie-routes").is_none());
    }
}

#[test]
fn a_missing_introspection_cluster_lets_nothing_in() {
    let mut configuration = base();
    configuration["authorization_server"]["introspection"]["cluster"] = "nowhere".into();
    let bench = bench(&configuration, &[], &[]);
    for _ in 0..3 {
        let response = bench.send(Protocol::Http1, &request("/github/mcp"));
        assert_eq!(response.status, 503);
        assert!(response.header("retry-after").is_some());
    }
    assert_eq!(
        bench.send(Protocol::Http1, &post("/github/mcp")).status,
        401
    );
    assert_eq!(bench.arrived().len(), 0);
}
