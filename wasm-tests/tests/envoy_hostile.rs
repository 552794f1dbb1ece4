//! Hostile and clumsy clients (issue "Bad input", host.md section 1).

use mcp_token_guard_tests::client::{Http1, Protocol};
use mcp_token_guard_tests::envoy::Bench;
use mcp_token_guard_tests::scenario::{base, get, post};

/// Header names that the guard or Envoy has a special eye on, and others.
const NAMES: &[&str] = &[
    "Accept",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Authorization",
    "Content-Type",
    "Cookie",
    "DPoP",
    "Last-Event-ID",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Session-Id",
    "Origin",
    "Proxy-Authorization",
    "Referer",
    "Traceparent",
    "Tracestate",
    "User-Agent",
    "X-Access-Token",
    "X-Api-Key",
    "X-Forwarded-For",
    "X-Mcp-Subject",
    "X-Request-Id",
    "X-Whatever",
];

#[test]
fn bytes_that_are_not_text_harm_nobody() {
    let mut bench = Bench::start(&base());
    bench.admit("/github/mcp");
    let good = || post("/github/mcp").header("Authorization", "Bearer kanarie-hostile");
    assert_eq!(bench.send(Protocol::Http1, &good()).status, 200);
    for name in NAMES {
        for value in [
            &b"\xff"[..],
            b"caf\xe9",
            b"\x80\x81",
            b"\xc3\x28",
            b"\xed\xa0\x80",
        ] {
            for request in [
                good(),
                post("/github/mcp"),
                get("/unlisted"),
                get("/nowhere"),
            ] {
                let status = bench
                    .send(Protocol::Http1, &request.header(name, value))
                    .status;
                assert!((200..500).contains(&status), "{name}: {value:x?}: {status}");
            }
        }
    }
    bench.authorization_server.take();
    // The same VM: it still knows the token.
    assert_eq!(bench.send(Protocol::Http1, &good()).status, 200);
    assert_eq!(bench.authorization_server.count(), 0);
}

#[test]
fn a_connection_outlives_refusals() {
    let mut bench = Bench::start(&base());
    bench.admit("/github/mcp");
    let mut client = Http1::connect(bench.envoy.address()).unwrap();
    let with = |authorization: &str| get("/github/mcp").header("Authorization", authorization);
    // Not after a 400, which Envoy itself takes for a sign of a confused client.
    for round in 0..3 {
        for (request, status) in [
            (get("/github/mcp"), 401),
            (with("Bearer a b"), 401),
            (get("/nowhere"), 404),
            (get("/unlisted"), 403),
            (with("Bearer kanarie-kept-alive"), 200),
            (
                with("Bearer kanarie-kept-alive").header("Origin", "https://evil.example.com"),
                403,
            ),
        ] {
            client.send(&request).unwrap();
            let response = client.response(false).unwrap();
            assert_eq!(response.status, status, "round {round}");
            assert!(response.whole);
        }
    }
}

#[test]
fn a_refused_post_does_not_confuse_what_follows_it() {
    let bench = Bench::start(&base());
    // The second request is the body of the first, for a careless reader.
    let inner = "GET /github/mcp HTTP/1.1\r\nHost: x\r\n\r\n";
    let smuggled = post("/github/mcp").body(inner);
    let mut client = Http1::connect(bench.envoy.address()).unwrap();
    client.send(&smuggled).unwrap();
    assert_eq!(client.response(false).unwrap().status, 401);
    drop(client);
    assert_eq!(bench.arrived().len(), 0);
}

#[test]
fn broken_requests_do_not_harm_the_vm() {
    let mut bench = Bench::start(&base());
    bench.admit("/github/mcp");
    let good = post("/github/mcp").header("Authorization", "Bearer kanarie-broken");
    assert_eq!(bench.send(Protocol::Http1, &good).status, 200);
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /github/mcp HTTP/1.1\r\n\r\n",
        b"GET /github/mcp HTTP/1.1\r\nHost: x\r\nAuthorization\r\n\r\n",
        b"GET /github/mcp HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer x\r\n\r\n",
        b"GET /github/mcp HTTP/1.1\r\nHost: x\r\n Authorization: Bearer x\r\n\r\n",
        b"POST /github/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /github/mcp HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://evil.example.com/github/mcp HTTP/1.1\r\nHost: x\r\n\r\n",
        b"TRACE /github/mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer kanarie-broken\r\n\r\n",
        b"GET /github/mcp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxxxxxx",
    ] {
        let mut client = Http1::connect(bench.envoy.address()).unwrap();
        client.write(bytes).unwrap();
        client.half_close().unwrap();
        // Any answer, or none; the end has to come.
        let answer = client.rest().unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    bench.arrived();
    bench.authorization_server.take();
    assert_eq!(bench.send(Protocol::Http1, &good).status, 200);
    assert_eq!(bench.authorization_server.count(), 0, "the VM was replaced");
    assert_eq!(bench.arrived().len(), 1);
}
