//! What Envoy makes of a request before the guard sees it, and what the client
//! hears meanwhile.

use mcp_token_guard_tests::client::{Http1, Protocol};
use mcp_token_guard_tests::envoy::{Bench, Surroundings};
use mcp_token_guard_tests::scenario::{base, get, post};
use serde_json::{Value, json};

/// The bench, with these options of the connection manager.
fn bench(options: Value) -> Bench {
    let mut surroundings = Surroundings::new();
    surroundings.setup.manager = options;
    let mut bench = surroundings.start(&base());
    bench.admit("/github/mcp");
    bench
}

/// RFC9113-8.3.1-a: over HTTP/2 `:authority` counts, and a `host` beside it
/// reaches nobody.
#[test]
fn a_host_beside_the_authority_changes_nothing() {
    let bench = bench(json!({}));
    let good = post("/github/mcp")
        .header("authorization", "Bearer kanarie-wire")
        .header("host", "evil.example.com");
    assert_eq!(bench.send(Protocol::Http2, &good).status, 200);
    let arrived = bench.arrived();
    let hosts = arrived[0].headers.iter().filter(|(n, _)| n == b"host");
    let hosts: Vec<_> = hosts.map(|(_, value)| &value[..]).collect();
    assert_eq!(hosts, [b"gateway.example.com"]);
    // The root document is that of the authority's only server.
    let root = get("/.well-known/oauth-protected-resource")
        .to("single.example.com")
        .header("host", "lone.example.com");
    let document = bench.send(Protocol::Http2, &root);
    let document: Value = serde_json::from_slice(&document.body).expect("a document");
    assert_eq!(document["resource"], "https://single.example.com");
}

/// UPGRADE-a
#[test]
fn an_upgrade_needs_its_token_before_it_is_made() {
    let bench = bench(json!({"upgrade_configs": [{"upgrade_type": "websocket"}]}));
    let upgrade = get("/github/mcp")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "a2FuYXJpZS13ZWJzb2NrZQ==");
    let refused = bench.send(Protocol::Http1, &upgrade);
    assert_eq!((refused.status, &refused.interim[..]), (401, &[][..]));
    assert_eq!(bench.arrived().len(), 0);
    let good = upgrade.header("Authorization", "Bearer kanarie-wire");
    bench.send(Protocol::Http1, &good);
    let arrived = bench.arrived();
    assert_eq!(arrived.len(), 1, "with a token it gets to the MCP server");
    let upgrade = (b"upgrade".to_vec(), b"websocket".to_vec());
    assert!(arrived[0].headers.contains(&upgrade));
}

/// EXPECT-a: the refusal does not wait for a body that the client holds back,
/// and where Envoy leaves `100 Continue` to who is asked, there is none before
/// it.
#[test]
fn a_body_that_is_held_back_is_not_waited_for() {
    for (left_to_the_server, interim) in [(true, &[][..]), (false, &[100])] {
        let bench = bench(json!({"proxy_100_continue": left_to_the_server}));
        let mut client = Http1::connect(bench.envoy.address()).expect("a connection");
        client
            .write(
                b"POST /github/mcp HTTP/1.1\r\nHost: gateway.example.com\r\n\
                  Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
            )
            .expect("to write");
        let refused = client.response(false).expect("a response");
        assert_eq!((refused.status, &refused.interim[..]), (401, interim));
        assert_eq!(bench.arrived().len(), 0);
    }
}
