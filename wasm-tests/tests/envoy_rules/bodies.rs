//! Bodies that come in pieces, late, or not to their end.

use std::thread;
use std::time::Duration;

use mcp_token_guard_tests::client::{Http1, Http2, Protocol, Response, encode};
use mcp_token_guard_tests::scenario::{Request, post};

use crate::world::{ALL, World, everywhere, tool};

/// Sends the head and so much of the body, then the rest when `then` returns.
fn in_two(world: &World, request: &Request, first: usize, then: impl FnOnce()) -> Response {
    let bytes = encode(request);
    let (start, rest) = bytes.split_at(bytes.len() - request.body.len() + first);
    let mut client = Http1::connect(world.bench.envoy.address()).unwrap();
    client.write(start).unwrap();
    then();
    client.write(rest).unwrap();
    client.response(false).unwrap()
}

#[test]
fn a_body_may_come_in_any_pieces() {
    for holding in [true, false] {
        let mut world = World::start(holding);
        // Which of the two it is, is known from here on.
        world.passes(Protocol::Http1, ALL, &tool("echo"));
        for (scope, status) in [(ALL, 200), ("mcp:read", 403)] {
            let request = tool("délête").header("Authorization", world.token(scope));
            for first in 0..=request.body.len() {
                let received = "http.guarded.downstream_cx_rx_bytes_total";
                let before = world.bench.envoy.stat(received);
                let so_far = (encode(&request).len() - request.body.len() + first) as u64;
                let response = in_two(&world, &request, first, || {
                    let envoy = &world.bench.envoy;
                    envoy.wait_stat(received, |bytes| bytes >= before + so_far);
                });
                assert_eq!(response.status, status, "cut at {first}");
                if status == 200 {
                    let mut arrived = world.bench.arrived();
                    arrived.retain(|one| !one.body.is_empty());
                    assert_eq!(arrived.len(), 1);
                    assert_eq!(arrived[0].body, request.body, "cut at {first}");
                } else {
                    world.nothing_left("a cut");
                }
            }
        }
    }
}

/// Nobody tells the guard that Envoy keeps the bodies of heads that are held
/// back. The first head to go on shows it, and all that are held back by then go
/// on as well, however young.
#[test]
fn none_is_forgotten_while_it_is_found_out_how_bodies_come() {
    let mut world = World::start(false);
    let request = tool("echo").header("Authorization", world.token(ALL));
    let to = world.bench.envoy.address();
    let mut clients = Vec::new();
    let is_shown = |world: &World| world.bench.upstream("alpha").record().complete > 0;
    while !is_shown(&world) {
        let request = request.clone();
        clients.push(thread::spawn(move || {
            let mut client = Http1::connect(to).unwrap();
            client.send(&request).unwrap();
            client.response(false).unwrap().status
        }));
        // They are to be of different ages.
        thread::sleep(Duration::from_millis(30));
    }
    let count = clients.len();
    assert!(count > 3, "{count} clients");
    for (place, client) in clients.into_iter().enumerate() {
        assert_eq!(client.join().unwrap(), 200, "{place} of {count}");
    }
    let arrived = world.bench.arrived();
    assert_eq!(arrived.len(), count);
    assert!(arrived.iter().all(|one| one.body == request.body));
}

/// Whichever of body and answer about the token comes first, nothing leaves
/// before both are there.
#[test]
fn token_and_body_are_waited_for_in_any_order() {
    let mut world = World::start(true);
    for (scope, status) in [(ALL, 200), ("mcp:read", 403)] {
        // The body first.
        let request = tool("echo").header("Authorization", world.token(scope));
        world.bench.authorization_server.close();
        let to = world.bench.envoy.address();
        let sent = request.clone();
        let waiting = thread::spawn(move || {
            let mut client = Http1::connect(to).unwrap();
            client.send(&sent).unwrap();
            client.response(false).unwrap()
        });
        let authorization_server = &world.bench.authorization_server;
        authorization_server.wait("the call", |seen| seen.complete == 1);
        world.nothing_left("before the answer");
        authorization_server.open();
        assert_eq!(waiting.join().unwrap().status, status);
        world.bench.authorization_server.take();
        assert_eq!(world.bench.arrived().len(), usize::from(status == 200));

        // The token first.
        let request = tool("echo").header("Authorization", world.token(scope));
        let response = in_two(&world, &request, 20, || {
            let bench = &world.bench;
            bench
                .authorization_server
                .wait("the call", |seen| seen.complete == 1);
            bench.envoy.wait_stat(
                "wasmcustom.mcp_token_guard_introspections_result=active",
                |_| true,
            );
            // A request behind it is answered: whatever came before it is settled.
            assert_eq!(
                bench.send(Protocol::Http1, &post("/github/mcp")).status,
                401
            );
            assert!(bench.upstream("alpha").record().bytes.is_empty());
        });
        assert_eq!(response.status, status);
        world.bench.authorization_server.take();
        assert_eq!(world.bench.arrived().len(), usize::from(status == 200));
    }
}

#[test]
fn trailers_end_a_body() {
    let with_trailer = |body: &[u8]| post("/github/mcp").body(body).trailer("x-checksum", "abc");
    everywhere(|world, protocol| {
        let call = tool("echo").body;
        if !world.holding {
            // Envoy would lose the body.
            let response = world.refuses(protocol, ALL, &with_trailer(&call));
            assert_eq!(
                (response.status, &*response.error()),
                (400, "malformed_body")
            );
            return;
        }
        world.passes(protocol, ALL, &with_trailer(&call));
        let response = world.refuses(protocol, "mcp:read", &with_trailer(&call));
        assert_eq!(response.error(), "insufficient_scope");
        assert_eq!(
            world.refuses(protocol, ALL, &with_trailer(b"{")).status,
            400
        );
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_reaches_no_upstream() {
    let mut world = World::start(true);
    let request = tool("echo").header("Authorization", world.token(ALL));
    let bytes = encode(&request);
    let mut client = Http1::connect(world.bench.envoy.address()).unwrap();
    client.write(&bytes[..bytes.len() - 5]).unwrap();
    world
        .bench
        .authorization_server
        .wait("the call", |seen| seen.complete == 1);
    drop(client);
    let envoy = &world.bench.envoy;
    envoy.wait_stat("http.guarded.downstream_rq_active", |active| active == 0);
    world.nothing_left("half a body");
    // Others are served as before.
    world.passes(Protocol::Http2, ALL, &tool("echo"));
    let mut client = Http2::connect(world.bench.envoy.address()).unwrap();
    let request = tool("echo").header("Authorization", world.token("mcp:read"));
    assert_eq!(client.exchange(&request).unwrap().status, 403);
    world.nothing_left("refused");
}
