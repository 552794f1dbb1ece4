//! Live streams: unbuffered, and not longer than the token (contract section 4,
//! MCP-STREAM-a to -c).

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_token_guard_tests::client::{Http1, Protocol};
use mcp_token_guard_tests::envoy::Bench;
use mcp_token_guard_tests::peers::{Act, PATIENCE};
use mcp_token_guard_tests::scenario::{
    Answer, Request, Vars, active, base, default_claims, get, inactive, post, status,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// An event.
const EVENT: &[u8] = b"data: {}\n\n";

/// A bench under the base configuration with this for `cache`, with tokens that
/// live for so many seconds.
fn bench(cache: Value, lifetime: u32) -> Bench {
    let mut configuration = base();
    configuration["cache"] = cache;
    let mut bench = Bench::start(&configuration);
    live(&mut bench, lifetime);
    bench
}

/// Tokens live for so many seconds from now.
fn live(bench: &mut Bench, lifetime: u32) {
    let mut claims = default_claims(b"/github/mcp");
    claims["exp"] = json!(format!("@now+{lifetime}"));
    bench.answer(&Vars::default(), &active(claims));
}

/// A request with a token of its own.
fn with(request: Request, token: &str) -> Request {
    request.header("Authorization", format!("Bearer kanarie-streams-{token}"))
}

/// Opens a stream. The upstream's end and the client's end of it; the head has
/// been read and the first event too, while the upstream still holds on.
fn open(bench: &Bench, request: &Request) -> (UnboundedSender<Bytes>, Http1) {
    let (events, source) = unbounded_channel();
    let source = Mutex::new(Some(source));
    bench.upstream("alpha").script(move |_| {
        let head = status(200).header("content-type", "text/event-stream");
        Act::Stream(head, source.lock().unwrap().take().expect("one stream"))
    });
    let mut client = Http1::connect(bench.envoy.address()).unwrap();
    client.send(request).unwrap();
    events.send(Bytes::from_static(EVENT)).unwrap();
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.chunk().unwrap(), EVENT);
    (events, client)
}

/// How long it takes until the stream ends.
fn ends(mut client: Http1) -> Duration {
    let begun = Instant::now();
    client.rest().expect("the end of the stream");
    begun.elapsed()
}

/// Whether another event comes through.
fn goes_on(events: &UnboundedSender<Bytes>, client: &mut Http1) {
    events.send(Bytes::from_static(EVENT)).unwrap();
    assert_eq!(client.chunk().unwrap(), EVENT);
}

/// MCP-STREAM-a, MCP-STREAM-b
#[test]
fn events_come_at_once_and_leaving_reaches_the_upstream() {
    let bench = bench(json!({}), 300);
    for request in [
        with(get("/github/mcp"), "get"),
        with(post("/github/mcp"), "post"),
    ] {
        let (events, mut client) = open(&bench, &request);
        for _ in 0..3 {
            goes_on(&events, &mut client);
        }
        drop(client);
        // The upstream learns of it at one of the next events.
        let end = Instant::now() + PATIENCE;
        while events.send(Bytes::from_static(EVENT)).is_ok() {
            assert!(
                Instant::now() < end,
                "the upstream does not learn that the client left"
            );
            thread::yield_now();
        }
    }
}

/// MCP-STREAM-c
#[test]
fn streams_end_with_their_token_and_calls_go_on() {
    const LIFETIME: u32 = 3;
    let mut bench = bench(json!({}), 300);
    live(&mut bench, LIFETIME);
    let begun = Instant::now();
    let (_get, get_client) = open(&bench, &with(get("/github/mcp"), "get"));
    let listen = post("/github/mcp").header("Mcp-Method", "subscriptions/listen");
    let (_listen, listen_client) = open(&bench, &with(listen, "listen"));
    let (call, mut call_client) = open(&bench, &with(post("/github/mcp"), "call"));
    let ended = [get_client, listen_client].map(|client| thread::spawn(|| ends(client)));
    for stream in ended {
        stream.join().unwrap();
        let after = begun.elapsed();
        // `exp` is whole seconds; up to two more until it is noticed, and one
        // for a busy machine.
        assert!(after >= Duration::from_secs(1), "{after:?}");
        assert!(
            after <= Duration::from_secs(u64::from(LIFETIME) + 4),
            "{after:?}"
        );
    }
    goes_on(&call, &mut call_client);
    // The token itself is over.
    let again = with(get("/github/mcp"), "get");
    bench.authorization_server.answer(inactive());
    let response = bench.send(Protocol::Http1, &again);
    assert_eq!(response.status, 401);
}

#[test]
fn a_crowd_of_streams_ends_with_its_token() {
    let mut bench = bench(json!({}), 300);
    // The VM knows this one until the end, unless it is replaced.
    let known = with(post("/github/mcp"), "known");
    bench.send(Protocol::Http1, &known);
    live(&mut bench, 4);
    let mut held = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..400 {
        let (events, client) = open(&bench, &with(get("/github/mcp"), "crowd"));
        held.push(events);
        clients.push(client);
    }
    for mut client in clients {
        client.rest().expect("the end of the stream");
    }
    bench.authorization_server.take();
    bench
        .upstream("alpha")
        .script(|_| Act::Answer(Answer::Reply(status(200))));
    assert_eq!(bench.send(Protocol::Http1, &known).status, 200);
    assert_eq!(bench.authorization_server.count(), 0, "the VM was replaced");
}

#[test]
fn without_grace_calls_end_with_their_token_too() {
    let mut bench = bench(json!({"call_grace": "0s"}), 300);
    live(&mut bench, 2);
    let (_call, client) = open(&bench, &with(post("/github/mcp"), "call"));
    let lasted = ends(client);
    assert!(lasted <= Duration::from_secs(6), "{lasted:?}");
}

#[test]
fn streams_of_a_revoked_token_end_when_they_are_rechecked() {
    let mut bench = bench(json!({"ttl": "1s", "recheck_streams": "1s"}), 300);
    let (_get, get_client) = open(&bench, &with(get("/github/mcp"), "revoked"));
    let (_call, call_client) = open(&bench, &with(post("/github/mcp"), "revoked"));
    let calls = bench.authorization_server.count();
    // Asked about again, and still good.
    bench
        .authorization_server
        .wait("another call", |seen| seen.complete > calls);
    bench.authorization_server.answer(inactive());
    for client in [get_client, call_client] {
        let lasted = ends(client);
        assert!(lasted <= Duration::from_secs(8), "{lasted:?}");
    }
}

#[test]
fn without_recheck_a_revoked_token_keeps_its_streams() {
    let mut bench = bench(json!({"ttl": "1s"}), 300);
    let (events, mut client) = open(&bench, &with(get("/github/mcp"), "kept"));
    bench.authorization_server.answer(inactive());
    // Time is what might end it: there is no event to wait for.
    thread::sleep(Duration::from_secs(3));
    goes_on(&events, &mut client);
}
