//! The way back in all three arrangements: streams over HTTP/2, and upstreams
//! that refuse our credential (contract section 4, RFC9110-15.5.2-b,
//! MCP-STREAM-a to -c).

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_token_guard_tests::client::{Http1, Http2, Http2Stream, Protocol};
use mcp_token_guard_tests::envoy::{Arrangement, Bench, Surroundings};
use mcp_token_guard_tests::peers::Act;
use mcp_token_guard_tests::scenario::{
    Answer, Request, Vars, active, base, default_claims, delete, get, inactive, post, status,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// An event.
const EVENT: &[u8] = b"data: {}\n\n";

/// Envoy, with this for `cache`, and tokens that live for so many seconds.
fn bench(arrangement: Arrangement, cache: &Value, lifetime: u32) -> Bench {
    let mut configuration = base();
    configuration["cache"] = cache.clone();
    let mut bench = Surroundings::new().start_as(arrangement, &configuration);
    let mut claims = default_claims(b"/github/mcp");
    claims["exp"] = json!(format!("@now+{lifetime}"));
    bench.answer(&Vars::default(), &active(claims));
    bench
}

/// A request with a good token.
fn good(request: Request) -> Request {
    request.header("Authorization", "Bearer kanarie-answers")
}

/// Opens a stream over HTTP/2, whose first event comes while the upstream holds
/// on.
fn open(bench: &Bench, request: &Request) -> (UnboundedSender<Bytes>, Http2, Http2Stream) {
    let (events, source) = unbounded_channel();
    let source = Mutex::new(Some(source));
    bench.upstream("alpha").script(move |_| {
        let head = status(200).header("content-type", "text/event-stream");
        Act::Stream(head, source.lock().unwrap().take().expect("one stream"))
    });
    events.send(Bytes::from_static(EVENT)).unwrap();
    let mut client = Http2::connect(bench.envoy.address()).unwrap();
    let (status, mut stream) = client.open(request).unwrap();
    assert_eq!(status, 200);
    assert_eq!(stream.chunk().unwrap().as_deref(), Some(EVENT));
    (events, client, stream)
}

/// How long it takes until the stream is reset.
fn ends(stream: &mut Http2Stream) -> Duration {
    let begun = Instant::now();
    let end = stream.chunk();
    assert!(end.is_err(), "{end:?} and no reset");
    begun.elapsed()
}

/// Whether another event comes through.
fn goes_on(events: &UnboundedSender<Bytes>, stream: &mut Http2Stream) {
    events.send(Bytes::from_static(EVENT)).unwrap();
    assert_eq!(stream.chunk().unwrap().as_deref(), Some(EVENT));
}

#[test]
fn streams_over_http2_end_with_their_token_and_calls_go_on() {
    const LIFETIME: u32 = 3;
    for arrangement in Arrangement::ALL {
        let bench = bench(arrangement, &json!({}), LIFETIME);
        let begun = Instant::now();
        let (_get, _client, mut get) = open(&bench, &good(get("/github/mcp")));
        let listen = post("/github/mcp").header("Mcp-Method", "subscriptions/listen");
        let (_listen, _other_client, mut listen) = open(&bench, &good(listen));
        let (call, _third_client, mut answer) = open(&bench, &good(post("/github/mcp")));
        for stream in [&mut get, &mut listen] {
            ends(stream);
            let after = begun.elapsed();
            // `exp` is whole seconds; up to two more until it is noticed, and
            // one for a busy machine.
            assert!(after >= Duration::from_secs(1), "{arrangement:?} {after:?}");
            assert!(
                after <= Duration::from_secs(u64::from(LIFETIME) + 3),
                "{arrangement:?} {after:?}"
            );
        }
        goes_on(&call, &mut answer);
    }
}

#[test]
fn without_grace_a_call_over_http2_ends_with_its_token_too() {
    let bench = bench(Arrangement::Strict, &json!({"call_grace": "0s"}), 2);
    let (_call, _client, mut answer) = open(&bench, &good(post("/github/mcp")));
    let lasted = ends(&mut answer);
    assert!(lasted <= Duration::from_secs(5), "{lasted:?}");
}

#[test]
fn streams_over_http2_of_a_revoked_token_end_when_they_are_rechecked() {
    for arrangement in Arrangement::ALL {
        let cache = json!({"ttl": "1s", "recheck_streams": "1s"});
        let mut bench = bench(arrangement, &cache, 300);
        let (events, _client, mut stream) = open(&bench, &good(get("/github/mcp")));
        let calls = bench.authorization_server.count();
        bench
            .authorization_server
            .wait("another call", |seen| seen.complete > calls);
        goes_on(&events, &mut stream);
        bench.authorization_server.answer(inactive());
        let lasted = ends(&mut stream);
        assert!(
            lasted <= Duration::from_secs(5),
            "{arrangement:?} {lasted:?}"
        );
    }
}

#[test]
fn a_refused_credential_is_counted_for_its_server() {
    for arrangement in Arrangement::ALL {
        let mut bench = bench(arrangement, &json!({}), 300);
        for (code, challenge) in [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")] {
            let refusal = status(code)
                .header(challenge, "Bearer realm=\"kanarie-upstream\"")
                .header("Authentication-Info", "kanarie-upstream")
                .bytes("kanarie-upstream");
            for upstream in &mut bench.upstreams {
                upstream.answer(Answer::Reply(refusal.clone()));
            }
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let response = bench.send(protocol, &good(post("/github/mcp")));
                assert_eq!(
                    (response.status, &*response.error()),
                    (502, "upstream_credential_rejected"),
                    "{arrangement:?}"
                );
                let text = format!("{:?}", (&response.headers, &response.body));
                let bytes = [
                    response.body.clone(),
                    response.headers.into_iter().flat_map(|(_, v)| v).collect(),
                ]
                .concat();
                let told = memchr::memmem::find(&bytes, b"kanarie-upstream").is_some();
                assert!(!told, "{arrangement:?}: {text}");
            }
        }
        let of = |server: &str| {
            let end = ".outcome.upstream_credential_rejected";
            let name = format!("wasmcustom.mcp_token_guard_requests.server.{server}{end}");
            bench.envoy.stat(&name)
        };
        assert_eq!((of("github"), of("linear")), (4, 0), "{arrangement:?}");
    }
}

#[test]
fn a_session_is_resumed_and_ended_at_another_replica() {
    let begun = status(200).header("Mcp-Session-Id", "raw-session");
    let mut replicas = [Arrangement::Gateway, Arrangement::Strict].map(|arrangement| {
        let mut bench = bench(arrangement, &json!({}), 300);
        for upstream in &mut bench.upstreams {
            upstream.answer(Answer::Reply(begun.clone()));
        }
        bench
    });
    let [first, second] = &mut replicas;
    let response = first.send(Protocol::Http1, &good(post("/github/mcp")));
    let session = response
        .header("mcp-session-id")
        .expect("a session")
        .to_vec();
    first.arrived();
    let resumed = get("/github/mcp").header("Last-Event-ID", "event-7");
    for request in [resumed, delete("/github/mcp"), post("/github/mcp")] {
        for bench in [&*first, &*second] {
            let with = |id: &[u8]| good(request.clone()).header("Mcp-Session-Id", id);
            let mut client = Http1::connect(bench.envoy.address()).unwrap();
            client.send(&with(&session)).unwrap();
            assert_eq!(client.response(false).unwrap().status, 200);
            let arrived = bench.arrived();
            let field = |name: &[u8]| {
                let found = arrived[0].headers.iter().find(|(n, _)| n == name);
                found.map(|(_, value)| value.clone())
            };
            assert_eq!(field(b"mcp-session-id").unwrap(), b"raw-session");
            let with_event = request.headers.iter().any(|f| f.name == b"Last-Event-ID");
            assert_eq!(
                field(b"last-event-id"),
                with_event.then(|| b"event-7".to_vec())
            );
            // The upstream's own id is nobody's here.
            let raw = bench.send(Protocol::Http2, &with(b"raw-session"));
            assert_eq!(raw.status, 404);
            assert_eq!(bench.arrived().len(), 0);
        }
    }
}
