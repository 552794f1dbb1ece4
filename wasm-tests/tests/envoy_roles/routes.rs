//! Copies, other routes, redirects and retries.

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::{Arrangement, pieces};
use mcp_token_guard_tests::peers::Peer;
use mcp_token_guard_tests::scenario::{Answer, base, get, status};
use serde_json::json;

use crate::world::{
    arrived, bench, counted, disable_verifier, moves, refused, request, start, surroundings, until,
    value, with_header,
};

/// Names by which a client might try to set the mark.
const MARKS: &[&str] = &[
    "mcp_token_guard_server",
    "wasm.mcp_token_guard_server",
    "x-wasm.mcp_token_guard_server",
    "x-mcp-token-guard-server",
    "filter_state",
];

#[test]
fn a_shadow_gets_neither_token_nor_credential() {
    let mut route = pieces::route("/github", "alpha");
    // Of another server, of the same, of none; and one without an injector.
    let shadows = ["beta", "alpha", "zeta", pieces::BARE].map(|name| json!({"cluster": name}));
    route["route"]["request_mirror_policies"] = shadows.into();
    let mut surroundings = surroundings(&[route]);
    let bare = Peer::start(pieces::BARE);
    let cluster = pieces::cluster(pieces::BARE, bare.address(), Protocol::Http1);
    surroundings.setup.clusters.push(cluster);
    surroundings.upstreams.push(bare);
    let bench = start(surroundings, Arrangement::Strict, &base());
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let refused = counted(&bench, "no_mark");
        assert_eq!(bench.send(protocol, &request("/github/mcp")).status, 200);
        bench
            .upstream(pieces::BARE)
            .wait("its shadow", |seen| seen.complete == 1);
        until("both shadows are refused", || {
            counted(&bench, "no_mark") == refused + 2 && counted(&bench, "unlisted_cluster") > 0
        });
        let arrived = arrived(&bench);
        let who: Vec<_> = arrived.iter().map(|message| &*message.cluster).collect();
        assert_eq!(who, ["alpha", pieces::BARE]);
        assert_eq!(
            value(&arrived[0], "authorization"),
            Some(&b"Bearer kanarie-alpha-credential"[..])
        );
        assert_eq!(value(&arrived[1], "authorization"), None);
    }
}

#[test]
fn a_later_filter_that_changes_the_cluster_gets_nothing_sent() {
    let routes = [
        with_header("/github", "x-moved", "beta"),
        with_header("/linear", "x-moved", "zeta"),
        with_header("/unaimed", "x-moved", "delta-1"),
        with_header("/plain", "x-moved", "shared"),
    ];
    for arrangement in [Arrangement::Strict, Arrangement::Listener] {
        let mut surroundings = surroundings(&routes);
        let same_server = Peer::start("delta-1");
        surroundings.setup.clusters.push(pieces::cluster(
            "delta-1",
            same_server.address(),
            Protocol::Http1,
        ));
        surroundings.upstreams.push(same_server);
        surroundings.behind = vec![moves()];
        let bench = start(surroundings, arrangement, &base());
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let send = |path: &str| bench.send(protocol, &request(path));
            // To a cluster of another server, of none, of two others.
            refused(&bench, &send("/github/mcp"), "wrong_mark");
            refused(&bench, &send("/linear/mcp"), "unlisted_cluster");
            refused(&bench, &send("/plain/mcp"), "wrong_mark");
            // To another cluster of the same server.
            assert_eq!(send("/unaimed/mcp").status, 200);
            let arrived = arrived(&bench);
            assert_eq!(arrived.len(), 1);
            assert_eq!(arrived[0].cluster, "delta-1");
        }
    }
}

#[test]
fn an_ignored_request_that_reaches_a_listed_cluster_gets_nothing_sent() {
    let mut configuration = base();
    configuration["unlisted_clusters"] = "ignore".into();
    for arrangement in [Arrangement::Strict, Arrangement::Listener] {
        let mut surroundings = surroundings(&[with_header("/unlisted", "x-moved", "alpha")]);
        surroundings.behind = vec![moves()];
        let bench = start(surroundings, arrangement, &configuration);
        let response = bench.send(Protocol::Http1, &request("/unlisted"));
        // The injector's 403, which the verifier takes for an answer.
        assert_eq!(response.status, 502);
        assert!(counted(&bench, "no_mark") > 0);
        assert_eq!(arrived(&bench).len(), 0);
    }
}

#[test]
fn a_route_that_matches_on_authorization_does_not_move_the_credential() {
    let routes = [
        with_header("/github", "authorization", "alpha"),
        pieces::route("/github", "beta"),
    ];
    for arrangement in [Arrangement::Strict, Arrangement::Listener] {
        let bench = bench(arrangement, &routes);
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let response = bench.send(protocol, &request("/github/mcp"));
            refused(&bench, &response, "wrong_mark");
        }
    }
}

#[test]
fn an_injector_without_a_verifier_sends_nothing() {
    let mut route = pieces::route("/github", "alpha");
    disable_verifier(&mut route);
    let bench = bench(Arrangement::Strict, &[route]);
    let mut forged = request("/github/mcp");
    for name in MARKS {
        forged = forged.header(name, "github");
    }
    for request in [get("/github/mcp"), request("/github/mcp"), forged] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            refused(&bench, &bench.send(protocol, &request), "no_mark");
        }
    }
}

/// MCP-PASS-g
#[test]
fn an_internal_redirect_takes_no_credential_along() {
    let mut from = pieces::route("/github", "alpha");
    from["route"]["internal_redirect_policy"] = json!({"max_internal_redirects": 2});
    let mut unguarded = pieces::route("/linear/unguarded", "beta");
    disable_verifier(&mut unguarded);
    for arrangement in [Arrangement::Strict, Arrangement::Listener] {
        let mut bench = bench(arrangement, &[from.clone(), unguarded.clone()]);
        let mut redirected = |to: &str| {
            let location = format!("http://gateway.example.com{to}");
            let elsewhere = status(302).header("Location", location);
            for upstream in &mut bench.upstreams {
                upstream.answer(Answer::Reply(elsewhere.clone()));
            }
            let request = get("/github/mcp").header("Authorization", "Bearer kanarie-roles");
            let response = bench.send(Protocol::Http1, &request);
            let arrived = arrived(&bench);
            let who: Vec<_> = arrived.iter().map(|message| &*message.cluster).collect();
            assert_eq!(who, ["alpha"], "{arrangement:?} to {to}");
            response
        };
        // What comes back as a token is our own credential.
        for to in ["/linear/mcp", "/github/other"] {
            let response = redirected(to);
            assert_eq!(
                (response.status, &*response.error()),
                (401, "invalid_token"),
                "{arrangement:?} to {to}"
            );
        }
        // And where no verifier stands in the way there is no mark either.
        assert_eq!(redirected("/linear/unguarded").status, 403);
        assert!(counted(&bench, "no_mark") > 0);
        let calls = bench.authorization_server.take().messages;
        assert_eq!(calls.len(), 1, "our credential was asked about");
    }
}

#[test]
fn every_try_gets_its_own_credential_once() {
    let mut route = pieces::route("/github", "alpha");
    route["route"]["retry_policy"] = json!({"retry_on": "5xx", "num_retries": 2});
    for arrangement in [Arrangement::Strict, Arrangement::Listener] {
        let mut bench = bench(arrangement, &[route.clone()]);
        for upstream in &mut bench.upstreams {
            upstream.answer(Answer::Reply(status(503)));
        }
        let response = bench.send(Protocol::Http1, &request("/github/mcp"));
        assert_eq!(response.status, 503);
        let arrived = arrived(&bench);
        assert_eq!(arrived.len(), 3);
        for message in &arrived {
            let credentials = message
                .headers
                .iter()
                .filter(|(n, _)| n == b"authorization");
            let credentials: Vec<_> = credentials.map(|(_, value)| &value[..]).collect();
            assert_eq!(credentials, [b"Bearer kanarie-alpha-credential"]);
            assert_eq!(value(message, "x-mcp-subject"), Some(&b"user-1"[..]));
        }
        // One request, however many tries.
        assert_eq!(counted(&bench, "allowed"), 1);
        let tries = if arrangement == Arrangement::Strict {
            3
        } else {
            1
        };
        assert_eq!(counted(&bench, "injected"), tries);
    }
}

#[test]
fn a_retry_is_not_sent_to_another_server() {
    // The second try of an aggregate cluster may go to another of its clusters.
    let mut route = pieces::route("/github", "both");
    route["route"]["retry_policy"] = json!({"retry_on": "connect-failure,5xx", "num_retries": 3});
    let mut surroundings = surroundings(&[route]);
    surroundings.setup.clusters.push(json!({
        "name": "both",
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig",
                "clusters": ["alpha", "beta"],
            },
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
            },
        },
    }));
    let mut bench = start(surroundings, Arrangement::Strict, &base());
    for upstream in &mut bench.upstreams {
        upstream.answer(Answer::Reply(status(503)));
    }
    // The aggregate is no server's: it has no credential to give.
    let response = bench.send(Protocol::Http1, &request("/github/mcp"));
    refused(&bench, &response, "unlisted_cluster");
}
