//! Content and trailers wait for the verdict as the head does, however the
//! guard is made to pause (MCP-PASS-e, host.md rule 4).

use std::io::Write as _;
use std::thread;

use mcp_token_guard_tests::client::{Http1, Http2, Protocol, Response, encode};
use mcp_token_guard_tests::envoy::{Bench, Surroundings, pieces};
use mcp_token_guard_tests::scenario::{Request, base, inactive, post};

/// A request with a token of its own.
fn request(token: &str) -> Request {
    post("/github/mcp").header("Authorization", format!("Bearer kanarie-body-{token}"))
}

/// The bench, pausing in one way or the other.
fn bench(stopping_iteration: bool) -> Bench {
    let change = if stopping_iteration {
        pieces::stopping_iteration
    } else {
        |guard| guard
    };
    Surroundings::new().start_with(&base(), change)
}

/// Sends in the background. The answer is that of `join`.
fn sent(bench: &Bench, protocol: Protocol, request: Request) -> thread::JoinHandle<Response> {
    let to = bench.envoy.address();
    thread::spawn(move || match protocol {
        Protocol::Http1 => {
            let mut client = Http1::connect(to).unwrap();
            let mut writer = client.writer().unwrap();
            // A refusal may come, and the connection end, while this still writes.
            let writing = thread::spawn(move || writer.write_all(&encode(&request)));
            let response = client.response(false).unwrap();
            let _ = writing.join().unwrap();
            response
        }
        Protocol::Http2 => Http2::connect(to).unwrap().exchange(&request).unwrap(),
    })
}

/// Lets Envoy's only worker come round: whatever reached it before has been
/// dealt with when this returns.
fn come_round(bench: &Bench) {
    assert_eq!(
        bench.send(Protocol::Http1, &post("/github/mcp")).status,
        401
    );
}

#[test]
fn content_and_trailers_wait_for_the_verdict() {
    for stopping_iteration in [false, true] {
        let mut bench = bench(stopping_iteration);
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let token = format!("{stopping_iteration}-{protocol:?}");
            let whole = request(&token).trailer("x-checksum", "abc");

            bench.admit("/github/mcp");
            bench.authorization_server.close();
            let waiting = sent(&bench, protocol, whole.clone());
            bench
                .authorization_server
                .wait("the call", |seen| seen.complete == 1);
            come_round(&bench);
            let early = bench.upstream("alpha").record();
            assert_eq!((early.messages.len(), early.bytes.len()), (0, 0), "{token}");
            bench.authorization_server.open();
            assert_eq!(waiting.join().unwrap().status, 200, "{token}");
            let arrived = bench.arrived();
            assert_eq!(arrived.len(), 1);
            assert_eq!(arrived[0].body, whole.body, "{token}");
            assert_eq!(
                arrived[0].trailers,
                [(b"x-checksum".to_vec(), b"abc".to_vec())],
                "{token}"
            );
            bench.authorization_server.take();

            bench.authorization_server.answer(inactive());
            bench.authorization_server.close();
            let mut other = whole.clone();
            other.headers.last_mut().unwrap().value.extend(b"-bad");
            let waiting = sent(&bench, protocol, other);
            bench
                .authorization_server
                .wait("the call", |seen| seen.complete == 1);
            come_round(&bench);
            bench.authorization_server.open();
            assert_eq!(waiting.join().unwrap().status, 401, "{token}");
            assert_eq!(bench.upstream("alpha").take().bytes.len(), 0, "{token}");
            bench.authorization_server.take();
        }
    }
}

#[test]
fn a_large_body_waits_behind_the_pause() {
    let mut bench = bench(false);
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let large = request(&format!("large-{protocol:?}")).body(&body);
        bench.admit("/github/mcp");
        bench.authorization_server.close();
        let waiting = sent(&bench, protocol, large.clone());
        bench
            .authorization_server
            .wait("the call", |seen| seen.complete == 1);
        come_round(&bench);
        assert_eq!(bench.upstream("alpha").record().bytes.len(), 0);
        bench.authorization_server.open();
        assert_eq!(waiting.join().unwrap().status, 200, "{protocol:?}");
        let arrived = bench.arrived();
        assert_eq!(arrived.len(), 1);
        assert!(
            arrived[0].body == body,
            "{} bytes arrived",
            arrived[0].body.len()
        );
        bench.authorization_server.take();

        bench.authorization_server.answer(inactive());
        let mut refused = large;
        refused.headers.last_mut().unwrap().value.extend(b"-bad");
        let response = sent(&bench, protocol, refused).join().unwrap();
        assert_eq!(response.status, 401, "{protocol:?}");
        assert_eq!(bench.upstream("alpha").take().bytes.len(), 0);
        bench.authorization_server.take();
    }
}

#[test]
fn a_client_that_leaves_while_it_waits_reaches_no_upstream() {
    let mut bench = bench(false);
    bench.admit("/github/mcp");
    bench.authorization_server.close();
    let mut client = Http1::connect(bench.envoy.address()).unwrap();
    client.send(&request("leaves")).unwrap();
    bench
        .authorization_server
        .wait("the call", |seen| seen.complete == 1);
    drop(client);
    bench
        .envoy
        .wait_stat("http.guarded.downstream_rq_active", |active| active == 0);

    let mut client = Http2::connect(bench.envoy.address()).unwrap();
    let authorization_server = &bench.authorization_server;
    client
        .abandon(&request("abandons"), || {
            authorization_server.wait("the call", |seen| seen.complete == 2);
        })
        .unwrap();
    bench
        .envoy
        .wait_stat("http.guarded.downstream_rq_active", |active| active == 0);
    bench.authorization_server.open();
    come_round(&bench);
    assert_eq!(bench.arrived().len(), 0);
}
