//! Upstream credentials that are fetched, in real Envoy: by client credentials
//! (RFC 6749 section 4.4) in all three arrangements, by token exchange (RFC
//! 8693) at a gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mcp_token_guard_tests::client::{Http1, Protocol, Response};
use mcp_token_guard_tests::envoy::pieces::{BARE, cluster};
use mcp_token_guard_tests::envoy::{Arrangement, Bench, Surroundings};
use mcp_token_guard_tests::peers::{Act, PATIENCE, Peer};
use mcp_token_guard_tests::scenario::{
    Answer, Message, Reply, Request, Vars, active, base, default_claims, post, status,
};
use memchr::memmem;
use serde_json::{Value, json};

/// Requests that Envoy has begun and not ended.
const ACTIVE: &str = "http.guarded.downstream_rq_active";

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Envoy and its peers, with a token endpoint.
struct World {
    bench: Bench,
    tokens: Peer,
    issued: Arc<AtomicUsize>,
}

/// The server `github` has a credential that is fetched by this grant.
fn world(arrangement: Arrangement, grant: &str) -> World {
    let tokens = Peer::start(BARE);
    let mut surroundings = Surroundings::new();
    let address = tokens.address();
    surroundings
        .setup
        .clusters
        .push(cluster(BARE, address, Protocol::Http1));
    let mut configuration = base();
    configuration["servers"]["github"]["default_headers"] = json!({"X-Region": "eu"});
    configuration["servers"]["github"]["credential"] = json!({
        "grant": grant,
        "url": "http://127.0.0.1/token",
        "cluster": BARE,
        "client_id": "guard",
        "client_secret": "${env:BETA_KEY}",
        "scope": ["upstream:use"],
        "audience": "https://up.example.com",
        "timeout": "20s",
    });
    let mut bench = surroundings.start_as(arrangement, &configuration);
    bench.admit("/github/mcp");
    let world = World {
        bench,
        tokens,
        issued: Arc::default(),
    };
    world.issue(300);
    world
}

impl World {
    /// The token endpoint issues `kanarie-fetched-1` and so on.
    fn issue(&self, expires_in: u64) {
        let issued = Arc::clone(&self.issued);
        self.tokens.script(move |_| {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            Act::Answer(Answer::Reply(token(
                &format!("kanarie-fetched-{number}"),
                expires_in,
            )))
        });
    }

    /// A request of this client, and what came of it.
    fn send(&self, client: &str) -> Response {
        self.bench.send(Protocol::Http1, &request(client))
    }

    /// It goes through with this credential, and no other.
    fn arrives_with(&self, client: &str, credential: &str) {
        let response = self.send(client);
        assert_eq!(response.status, 200, "{}", response.error());
        let arrived = self.bench.arrived();
        assert_eq!(arrived.len(), 1);
        assert_eq!(fields(&arrived[0], "authorization"), [credential]);
        assert_eq!(fields(&arrived[0], "x-region"), ["eu"]);
    }

    /// It is told to come again, and nothing of it goes anywhere.
    fn is_refused(&self, client: &str) {
        let response = self.send(client);
        let what = (response.status, response.error());
        assert_eq!(what, (503, "temporarily_unavailable".to_owned()));
        assert!(response.header("retry-after").is_some());
        assert!(response.header("www-authenticate").is_none());
        assert_eq!(self.bench.arrived().len(), 0);
    }

    fn counted(&self, result: &str) -> u64 {
        let name = format!("wasmcustom.mcp_token_guard_credentials.result.{result}");
        self.bench.envoy.stat(&name)
    }
}

/// What a token endpoint gives (RFC 6749 section 5.1, RFC 8693 section 2.2.1).
fn token(token: &str, expires_in: u64) -> Reply {
    status(200).json(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": expires_in,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }))
}

/// A request of a client with a token of its own.
fn request(client: &str) -> Request {
    post("/github/mcp").header("Authorization", format!("Bearer kanarie-client-{client}"))
}

/// The values of a field.
fn fields(message: &Message, name: &str) -> Vec<String> {
    let of_name = message
        .headers
        .iter()
        .filter(|(given, _)| given == name.as_bytes());
    of_name
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// The parameters of a form, in order.
fn form(message: &Message) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&message.body)
        .into_owned()
        .collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Waits for the time that a fetch is held off, and a little.
fn after_hold_off() {
    sleep(Duration::from_millis(1_100));
}

#[test]
fn client_credentials_are_fetched_once_and_set() {
    for arrangement in Arrangement::ALL {
        let world = world(arrangement, "client_credentials");
        world.arrives_with("first", "Bearer kanarie-fetched-1");
        let call = world.tokens.record();
        let [message] = &*call.messages else {
            panic!("{} calls", call.messages.len());
        };
        assert_eq!(message.method, b"POST");
        assert_eq!(
            form(message),
            [
                pair("grant_type", "client_credentials"),
                pair("scope", "upstream:use"),
                pair("audience", "https://up.example.com"),
            ]
        );
        assert!(fields(message, "authorization")[0].starts_with("Basic "));
        assert!(memmem::find(&call.bytes, b"kanarie-client").is_none());
        // Whoever comes, and as often as they do.
        world.arrives_with("first", "Bearer kanarie-fetched-1");
        world.arrives_with("second", "Bearer kanarie-fetched-1");
        assert_eq!(world.tokens.count(), 1, "{arrangement:?}");
        assert_eq!(world.counted("fetched"), 1);
        // Other servers have nothing to do with it.
        let plain = post("/linear/mcp").header("Authorization", "Bearer kanarie-client-linear");
        let response = world.bench.send(Protocol::Http1, &plain);
        assert_eq!(response.status, 401);
    }
}

#[test]
fn a_token_is_exchanged_for_each_client_and_stays_here() {
    let world = world(Arrangement::Gateway, "token_exchange");
    world.arrives_with("first", "Bearer kanarie-fetched-1");
    world.arrives_with("second", "Bearer kanarie-fetched-2");
    world.arrives_with("first", "Bearer kanarie-fetched-1");
    world.arrives_with("second", "Bearer kanarie-fetched-2");
    let calls = world.tokens.take().messages;
    assert_eq!(calls.len(), 2);
    let access = "urn:ietf:params:oauth:token-type:access_token";
    for (call, client) in calls.iter().zip(["first", "second"]) {
        assert_eq!(
            form(call),
            [
                pair("grant_type", EXCHANGE),
                pair("requested_token_type", access),
                pair("subject_token_type", access),
                pair("subject_token", &format!("kanarie-client-{client}")),
                pair("scope", "upstream:use"),
                pair("audience", "https://up.example.com"),
            ]
        );
    }
}

#[test]
fn a_credential_is_fetched_again_before_it_expires() {
    let world = world(Arrangement::Gateway, "client_credentials");
    // Used for nine seconds, fetched again after eight.
    world.issue(10);
    world.arrives_with("first", "Bearer kanarie-fetched-1");
    world.tokens.close();
    world
        .tokens
        .wait("the second call", |seen| seen.complete == 2);
    // Until it has come the first one serves.
    world.arrives_with("first", "Bearer kanarie-fetched-1");
    world.tokens.open();
    world.bench.envoy.wait_stat(FETCHED, |fetched| fetched == 2);
    world.arrives_with("first", "Bearer kanarie-fetched-2");
    assert_eq!(world.tokens.count(), 2);
}

const FETCHED: &str = "wasmcustom.mcp_token_guard_credentials.result.fetched";

#[test]
fn an_expired_credential_is_not_used() {
    let world = world(Arrangement::Gateway, "token_exchange");
    world.issue(2);
    world.arrives_with("first", "Bearer kanarie-fetched-1");
    sleep(Duration::from_millis(1_900));
    world.arrives_with("first", "Bearer kanarie-fetched-2");
}

/// Each failure of a token endpoint: how it answers, and how that is counted.
fn failures() -> Vec<(Answer, &'static str)> {
    let good = json!({
        "access_token": "kanarie-bad",
        "token_type": "Bearer",
        "expires_in": 300,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    let with = |name: &str, value: Value| {
        let mut answer = good.clone();
        answer[name] = value;
        Answer::Reply(status(200).json(answer))
    };
    let error = |code: u16, word: &str| Answer::Reply(status(code).json(json!({"error": word})));
    vec![
        (error(500, "server_error"), "unexpected_status"),
        (error(302, ""), "unexpected_status"),
        (error(429, "slow_down"), "throttled"),
        (error(401, "invalid_client"), "client_refused"),
        (Answer::ResetBeforeHeaders, "unreachable"),
        (Answer::ResetAfterHeaders, "unreachable"),
        (Answer::Reply(status(200).bytes("kanarie")), "malformed"),
        (with("token_type", json!("DPoP")), "malformed"),
        (with("access_token", json!("two words")), "malformed"),
        (with("access_token", Value::Null), "malformed"),
        (with("access_token", json!("a".repeat(8_193))), "malformed"),
        (with("expires_in", json!("300")), "malformed"),
        (with("expires_in", json!(0)), "expired"),
        (with("padding", json!("a".repeat(300 << 10))), "too_large"),
        (Answer::Refused, "unreachable"),
    ]
}

#[test]
fn without_a_credential_nothing_goes_upstream() {
    for grant in ["token_exchange", "client_credentials"] {
        let mut world = world(Arrangement::Gateway, grant);
        let mut cases = failures();
        if grant == "token_exchange" {
            let error = status(400).json(json!({"error": "invalid_request"}));
            cases.push((Answer::Reply(error), "refused"));
        }
        for (number, (answer, result)) in cases.into_iter().enumerate() {
            let client = format!("failure-{number}");
            let before = world.counted(result);
            world.tokens.answer(answer);
            if grant == "client_credentials" {
                // Held off for a moment since the last one.
                let end = Instant::now() + PATIENCE;
                while world.counted(result) == before {
                    world.is_refused(&client);
                    assert!(Instant::now() < end, "{result} is not counted");
                    sleep(Duration::from_millis(50));
                }
            }
            world.is_refused(&client);
            assert_eq!(world.counted(result), before + 1, "{number} {result}");
        }
        // It recovers by itself.
        world.tokens.answer(Answer::Reply(status(200)));
        world.issue(300);
        after_hold_off();
        let end = Instant::now() + PATIENCE;
        while world.send("at-last").status != 200 {
            assert!(Instant::now() < end, "it does not recover");
            sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn an_endpoint_that_gives_the_clients_token_back_gives_nothing() {
    let world = world(Arrangement::Gateway, "token_exchange");
    world.tokens.script(|message| {
        let subject = form(message)
            .into_iter()
            .find(|(name, _)| name == "subject_token");
        Act::Answer(Answer::Reply(token(&subject.unwrap().1, 300)))
    });
    world.is_refused("echo");
    assert_eq!(world.counted("echoed"), 1);
    let leaks = "wasmcustom.mcp_token_guard_leak_blocked.place.credential";
    assert_eq!(world.bench.envoy.stat(leaks), 1);
}

#[test]
fn an_endpoint_that_fails_is_not_called_for_each_request() {
    let mut world = world(Arrangement::Gateway, "client_credentials");
    world.tokens.answer(Answer::Reply(status(500)));
    let begun = Instant::now();
    for number in 0..20 {
        world.is_refused(&format!("{number}"));
    }
    let calls = u64::try_from(world.tokens.count()).unwrap();
    assert!(calls <= 1 + begun.elapsed().as_secs(), "{calls} calls");
}

#[test]
fn a_credential_that_the_upstream_refuses_is_fetched_anew() {
    for arrangement in Arrangement::ALL {
        let mut world = world(arrangement, "client_credentials");
        let refusal = status(401).header("WWW-Authenticate", "Bearer");
        let good = status(200).header("X-Echo", "the kanarie-fetched-2 that I got");
        let answer = |world: &mut World, reply: &Reply| {
            for upstream in &mut world.bench.upstreams {
                upstream.answer(Answer::Reply(reply.clone()));
            }
        };
        answer(&mut world, &refusal);
        let begun = Instant::now();
        for _ in 0..5 {
            let response = world.send("first");
            let what = (response.status, response.error());
            assert_eq!(what, (502, "upstream_credential_rejected".to_owned()));
        }
        let calls = u64::try_from(world.tokens.count()).unwrap();
        assert!(calls <= 1 + begun.elapsed().as_secs(), "{calls} calls");
        world.bench.arrived();
        after_hold_off();
        answer(&mut world, &good);
        let response = world.send("first");
        assert_eq!(response.status, 200, "{arrangement:?}");
        let arrived = world.bench.arrived();
        let last = format!("Bearer kanarie-fetched-{}", world.tokens.count());
        assert_eq!(fields(&arrived[0], "authorization"), [last.as_str()]);
        assert!(world.tokens.count() > 1, "{arrangement:?}");
        // It does not get out again.
        let credential = last.strip_prefix("Bearer ").unwrap().to_owned();
        answer(&mut world, &status(200).header("X-Echo", credential));
        let response = world.send("first");
        assert_eq!(response.status, 200);
        assert!(response.header("x-echo").is_none(), "{arrangement:?}");
    }
}

#[test]
fn a_fetched_credential_does_not_come_in() {
    for grant in ["client_credentials", "token_exchange"] {
        let world = world(Arrangement::Gateway, grant);
        world.arrives_with("first", "Bearer kanarie-fetched-1");
        let asked = world.bench.authorization_server.count();
        let ours = post("/github/mcp").header("Authorization", "Bearer kanarie-fetched-1");
        let mut client = Http1::connect(world.bench.envoy.address()).unwrap();
        client.send(&ours).unwrap();
        assert_eq!(client.response(false).unwrap().status, 401);
        assert_eq!(world.bench.authorization_server.count(), asked);
        let refused = "wasmcustom.mcp_token_guard_requests.server.github.outcome.own_credential";
        assert_eq!(world.bench.envoy.stat(refused), 1);
        assert_eq!(world.bench.arrived().len(), 0);
    }
}

/// Connections that have sent a request each and wait.
fn crowd(world: &World, clients: &[&str]) -> Vec<Http1> {
    let send = |client: &&str| {
        let mut connection = Http1::connect(world.bench.envoy.address()).unwrap();
        connection.send(&request(client)).unwrap();
        connection
    };
    clients.iter().map(send).collect()
}

#[test]
fn a_crowd_waits_for_one_call_whoever_leaves() {
    for (arrangement, grant) in [
        (Arrangement::Gateway, "client_credentials"),
        (Arrangement::Strict, "client_credentials"),
        (Arrangement::Listener, "client_credentials"),
        (Arrangement::Gateway, "token_exchange"),
    ] {
        let world = world(arrangement, grant);
        world.tokens.close();
        let mut clients = crowd(&world, &["crowd"; 100]);
        world.bench.envoy.wait_stat(ACTIVE, |active| active == 100);
        world.tokens.wait("the call", |seen| seen.complete == 1);
        // The first to come is the first to go.
        drop(clients.drain(..30));
        world.bench.envoy.wait_stat(ACTIVE, |active| active == 70);
        world.tokens.open();
        for client in &mut clients {
            assert_eq!(client.response(false).unwrap().status, 200);
        }
        assert_eq!(world.tokens.count(), 1, "{arrangement:?} {grant}");
        let arrived = world.bench.arrived();
        assert_eq!(arrived.len(), 70);
        for message in &arrived {
            assert_eq!(
                fields(message, "authorization"),
                ["Bearer kanarie-fetched-1"]
            );
            assert!(memmem::find(&message.bytes(), b"kanarie-client").is_none());
        }
    }
}

#[test]
fn what_comes_when_all_have_left_is_for_the_next() {
    for arrangement in Arrangement::ALL {
        let world = world(arrangement, "client_credentials");
        world.tokens.close();
        let clients = crowd(&world, &["leaves"; 10]);
        world.bench.envoy.wait_stat(ACTIVE, |active| active == 10);
        world.tokens.wait("the call", |seen| seen.complete == 1);
        drop(clients);
        world.bench.envoy.wait_stat(ACTIVE, |active| active == 0);
        world.tokens.open();
        world.arrives_with("stays", "Bearer kanarie-fetched-1");
        assert_eq!(world.tokens.count(), 1);
    }
}

#[test]
fn a_token_that_expires_while_its_request_waits_is_refused() {
    for grant in ["client_credentials", "token_exchange"] {
        let mut world = world(Arrangement::Gateway, grant);
        let mut claims = default_claims(b"/github/mcp");
        claims["exp"] = json!("@now+2");
        world.bench.answer(&Vars::default(), &active(claims));
        world.tokens.close();
        let mut clients = crowd(&world, &["expires"]);
        world.tokens.wait("the call", |seen| seen.complete == 1);
        // The token's time is what is tried here.
        sleep(Duration::from_millis(2_500));
        world.tokens.open();
        let response = clients[0].response(false).unwrap();
        // A credential exchanged for it has run out with it.
        let expected = if grant == "token_exchange" { 503 } else { 401 };
        assert_eq!(response.status, expected, "{grant}");
        assert_eq!(world.bench.arrived().len(), 0);
    }
}

#[test]
fn more_than_may_wait_are_turned_away() {
    let tokens = Peer::start(BARE);
    let mut surroundings = Surroundings::new();
    surroundings
        .setup
        .clusters
        .push(cluster(BARE, tokens.address(), Protocol::Http1));
    let mut configuration = base();
    configuration["limits"] = json!({"waiting": 4});
    configuration["servers"]["github"]["default_headers"] = json!({});
    configuration["servers"]["github"]["credential"] = json!({
        "grant": "client_credentials",
        "url": "http://127.0.0.1/token",
        "cluster": BARE,
        "auth_method": "none",
        "timeout": "20s",
    });
    let mut bench = surroundings.start(&configuration);
    bench.admit("/github/mcp");
    let world = World {
        bench,
        tokens,
        issued: Arc::default(),
    };
    world.issue(300);
    world.tokens.close();
    let mut clients = crowd(&world, &["waits"; 4]);
    world.bench.envoy.wait_stat(ACTIVE, |active| active == 4);
    world.tokens.wait("the call", |seen| seen.complete == 1);
    world.is_refused("one-too-many");
    world.tokens.open();
    for client in &mut clients {
        assert_eq!(client.response(false).unwrap().status, 200);
    }
    assert_eq!(world.bench.arrived().len(), 4);
}
