//! TLS to the authorization server and to the MCP server, as the samples have it
//! in their clusters: who is not the one that is meant is told nothing.

use mcp_token_guard_tests::certificate::Certificate;
use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::pieces::{cluster, route, trusting};
use mcp_token_guard_tests::envoy::{Bench, Envoy, Setup, Surroundings};
use mcp_token_guard_tests::peers::Peer;
use mcp_token_guard_tests::scenario::{Answer, INTROSPECTION_CLUSTER, base, post, status};
use serde_json::{Value, json};

/// An Envoy that does the TLS of a server that has none itself.
fn before(peer: &Peer, certificate: &Certificate) -> Setup {
    Setup::new()
        .certificate(certificate.clone())
        .cluster(cluster("server", peer.address(), Protocol::Http1))
        .route(route("/", "server"))
}

/// The bench with a server reached by TLS, at this address and with this
/// certificate if it is the right one.
fn reaching(surroundings: &mut Surroundings, name: &str, at: &Envoy, trusted: &Certificate) {
    let found = surroundings.setup.clusters.iter_mut();
    let place = found.into_iter().find(|one| one["name"] == name);
    *place.expect("the cluster") = trusting(cluster(name, at.address(), Protocol::Http1), trusted);
}

/// The status of a good request.
fn asked(bench: &Bench) -> u16 {
    let good = post("/github/mcp").header("Authorization", "Bearer kanarie-tls");
    bench.send(Protocol::Http1, &good).status
}

/// Speaks nothing later than TLS 1.1.
fn outdated(bootstrap: &mut Value) {
    let chain = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][1];
    chain["transport_socket"]["typed_config"]["common_tls_context"]["tls_params"] = json!({
        "tls_minimum_protocol_version": "TLSv1_0",
        "tls_maximum_protocol_version": "TLSv1_1",
    });
}

/// RFC7662-4-a, RFC7662-4-d: a token is not sent to who has another certificate,
/// or speaks a TLS of before 1.2.
#[test]
fn only_the_authorization_server_that_is_meant_is_asked() {
    let certificate = Certificate::new();
    let other = Certificate::new();
    for (trusted, version, expected) in [
        (&certificate, "any", 200),
        (&other, "any", 503),
        (&certificate, "outdated", 503),
    ] {
        let mut surroundings = Surroundings::new();
        let mut setup = before(&surroundings.authorization_server, &certificate);
        if version == "outdated" {
            setup = setup.patch(outdated);
        }
        let front = setup.start();
        reaching(&mut surroundings, INTROSPECTION_CLUSTER, &front, trusted);
        let mut bench = surroundings.start(&base());
        bench.admit("/github/mcp");
        assert_eq!(asked(&bench), expected, "{version}");
        let told = bench.authorization_server.count();
        assert_eq!(
            (told, bench.arrived().len()),
            match expected {
                200 => (1, 1),
                _ => (0, 0),
            }
        );
    }
}

/// RFC9700-4.13-b: the credential is not sent to who has another certificate.
#[test]
fn only_the_mcp_server_that_is_meant_gets_the_credential() {
    let certificate = Certificate::new();
    let other = Certificate::new();
    for (trusted, arrived) in [(&certificate, 1), (&other, 0)] {
        let mut surroundings = Surroundings::new();
        let alpha = surroundings.upstreams.iter_mut();
        let alpha = alpha.into_iter().find(|peer| peer.name() == "alpha");
        let alpha = alpha.expect("the upstream");
        alpha.answer(Answer::Reply(status(200)));
        let front = before(alpha, &certificate).start();
        reaching(&mut surroundings, "alpha", &front, trusted);
        let mut bench = surroundings.start(&base());
        bench.admit("/github/mcp");
        assert_eq!(asked(&bench), if arrived == 1 { 200 } else { 503 });
        assert_eq!(bench.arrived().len(), arrived);
    }
}
