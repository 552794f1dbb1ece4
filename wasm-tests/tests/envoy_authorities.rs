//! Several authorization servers: each token is shown to one of them, and what
//! that one says is good for its own tokens only.

use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::pieces::cluster;
use mcp_token_guard_tests::envoy::{Bench, Surroundings, now};
use mcp_token_guard_tests::peers::Peer;
use mcp_token_guard_tests::scenario::{
    Answer, CLIENT_ID, Request, Vars, active, base, default_claims, get, inactive, percent_decoded,
    post, status,
};
use memchr::memmem;
use serde_json::{Value, json};

const CORP: &str = "https://auth.example.com";
const PARTNER: &str = "https://partner.example.com";
/// The cluster of the second authorization server.
const CLUSTER: &str = "partner-authorization-server";

/// Envoy with two authorization servers.
struct Two {
    bench: Bench,
    partner: Peer,
}

/// At `github` both count, at `plain` the partner's, elsewhere the corporation's.
fn configuration() -> Value {
    let mut configuration = base();
    let members = configuration.as_object_mut().expect("an object");
    let mut corp = members.remove("authorization_server").expect("the one");
    let mut partner = corp.clone();
    corp["issuer"] = json!(CORP);
    partner["issuer"] = json!(PARTNER);
    partner["token_prefix"] = json!("ptn_");
    partner["introspection"]["cluster"] = json!(CLUSTER);
    partner["introspection"]["timeout"] = json!("10s");
    // At the same URL, as the same client: nothing but its name tells it apart.
    assert_eq!(partner["introspection"]["client_id"], CLIENT_ID);
    configuration["authorization_servers"] = json!({"corp": corp, "partner": partner});
    configuration["session_key"] = json!("${env:SESSION_KEY}");
    for (name, server) in configuration["servers"].as_object_mut().expect("servers") {
        server["authorization_servers"] = match name.as_str() {
            "github" => json!(["corp", "partner"]),
            "plain" => json!("partner"),
            _ => json!(["corp"]),
        };
    }
    configuration
}

impl Two {
    fn start() -> Self {
        Self::under(&configuration())
    }

    fn under(configuration: &Value) -> Self {
        let mut surroundings = Surroundings::new();
        let partner = Peer::start(CLUSTER);
        let reached = cluster(CLUSTER, partner.address(), Protocol::Http1);
        surroundings.setup.clusters.push(reached);
        let mut two = Self {
            bench: surroundings.start(configuration),
            partner,
        };
        two.corp(&active(claims("/github/mcp", CORP)));
        two.partner(&active(claims("/github/mcp", PARTNER)));
        two
    }

    fn corp(&mut self, answer: &Answer) {
        self.bench.answer(&Vars::default(), answer);
    }

    fn partner(&mut self, answer: &Answer) {
        let answer = Vars::default().answer(answer, now());
        self.partner.answer(answer);
    }

    /// The status of a request with this token, and how often each of the two
    /// was asked about it. Neither has got what the other was shown.
    fn asked(&self, protocol: Protocol, path: &str, token: &str) -> (u16, usize, usize) {
        let response = self.bench.send(protocol, &with(path, token));
        if response.status == 401 {
            let challenge = response.header("www-authenticate").expect("a challenge");
            assert!(memmem::find(challenge, b"error=\"invalid_token\"").is_some());
        }
        let [corp, partner] = [&self.bench.authorization_server, &self.partner].map(|peer| {
            let record = peer.take();
            let shown = memmem::find(&percent_decoded(&record.bytes), token.as_bytes()).is_some();
            assert_eq!(shown, !record.messages.is_empty(), "{token}");
            record.messages.len()
        });
        assert!(corp == 0 || partner == 0, "{token} was shown to both");
        let arrived = self.bench.arrived().len();
        assert_eq!(arrived, usize::from(response.status == 200));
        (response.status, corp, partner)
    }
}

fn claims(path: &str, issuer: &str) -> Value {
    let mut claims = default_claims(path.as_bytes());
    claims["iss"] = json!(issuer);
    claims
}

fn with(path: &str, token: &str) -> Request {
    post(path).header("Authorization", format!("Bearer {token}"))
}

/// A JWT that nobody has signed.
fn jwt(payload: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = json!({"alg": "RS256", "typ": "at+jwt"});
    let signature = URL_SAFE_NO_PAD.encode("nobody has signed this");
    format!("{}.{}.{signature}", part(&head), part(payload))
}

/// INTRO-ssrf: the token of one is not shown to the other.
#[test]
fn each_token_is_shown_to_one_authorization_server_only() {
    let two = Two::start();
    for (protocol, run) in [(Protocol::Http1, 1), (Protocol::Http2, 2)] {
        let of = |issuer: &str| jwt(&json!({"iss": issuer, "jti": format!("kanarie-{run}")}));
        let path = "/github/mcp";
        for (token, expected) in [
            (of(CORP), (200, 1, 0)),
            (of(PARTNER), (200, 0, 1)),
            (format!("ptn_kanarie-{run}"), (200, 0, 1)),
            (format!("kanarie-opaque-{run}"), (200, 1, 0)),
        ] {
            assert_eq!(two.asked(protocol, path, &token), expected, "{token}");
            // And then it is known.
            assert_eq!(two.asked(protocol, path, &token), (200, 0, 0), "{token}");
        }
    }
}

/// The hint chooses whom to ask. What it says is not believed.
#[test]
fn a_token_that_lies_about_its_issuer_is_refused() {
    let mut two = Two::start();
    let path = "/github/mcp";
    let lie = |number: u32, issuer: &str| jwt(&json!({"iss": issuer, "n": number}));
    // Made by somebody who says that it is the partner's.
    two.partner(&inactive());
    assert_eq!(
        two.asked(Protocol::Http1, path, &lie(1, PARTNER)),
        (401, 0, 1)
    );
    // The one that is asked speaks for itself only.
    two.partner(&active(claims(path, CORP)));
    assert_eq!(
        two.asked(Protocol::Http1, path, &lie(2, PARTNER)),
        (401, 0, 1)
    );
    two.corp(&active(claims(path, PARTNER)));
    assert_eq!(two.asked(Protocol::Http2, path, &lie(3, CORP)), (401, 1, 0));
    // Whoever else it names is not asked, and neither are these two.
    for other in [
        "https://evil.example",
        "https://partner.example.com/",
        "https://PARTNER.example.com",
        "",
    ] {
        let token = lie(4, other);
        assert_eq!(
            two.asked(Protocol::Http1, path, &token),
            (401, 0, 0),
            "{other}"
        );
    }
    let twice = format!(r#"{{"iss":"{CORP}","iss":"{PARTNER}","n":1}}"#);
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    let twice = format!("{head}.{}.c2ln", URL_SAFE_NO_PAD.encode(twice));
    assert_eq!(two.asked(Protocol::Http1, path, &twice), (401, 0, 0));
    let unknown = "wasmcustom.mcp_token_guard_requests.server.github.outcome.unknown_issuer";
    assert_eq!(two.bench.envoy.stat(unknown), 5);
}

/// RFC7662-2.2-pr: one token, two answers, each for its own authorization server,
/// though both have the same URL and know the guard as the same client.
#[test]
fn answers_of_two_authorization_servers_are_not_mixed() {
    let mut two = Two::start();
    let token = "kanarie-for-the-cache";
    two.partner(&inactive());
    let http = Protocol::Http1;
    assert_eq!(two.asked(http, "/github/mcp", token), (200, 1, 0));
    // Where the partner alone counts, nothing of that is known.
    assert_eq!(two.asked(http, "/plain/mcp", token), (401, 0, 1));
    assert_eq!(two.asked(http, "/github/mcp", token), (200, 0, 0));
    assert_eq!(two.asked(http, "/plain/mcp", token), (401, 0, 0));
}

/// What one of them is down for is refused with 503, and nobody else is asked.
#[test]
fn one_may_be_down_while_the_other_works() {
    let mut two = Two::start();
    two.partner(&Answer::Refused);
    let http = Protocol::Http1;
    assert_eq!(two.asked(http, "/github/mcp", "ptn_kanarie-1"), (503, 0, 0));
    assert_eq!(
        two.asked(http, "/github/mcp", "kanarie-at-corp"),
        (200, 1, 0)
    );
    two.partner(&active(claims("/github/mcp", PARTNER)));
    two.corp(&Answer::Refused);
    assert_eq!(two.asked(http, "/github/mcp", "ptn_kanarie-1"), (200, 0, 1));
    assert_eq!(two.asked(http, "/github/mcp", "kanarie-new"), (503, 0, 0));
}

/// One that does not answer uses up its own share of the calls, and no more.
#[test]
fn one_that_hangs_takes_no_call_from_the_other() {
    let mut configuration = configuration();
    configuration["limits"] = json!({"in_flight": 4});
    let two = Two::under(&configuration);
    two.partner.close();
    thread::scope(|scope| {
        let hanging: Vec<_> = (0..2)
            .map(|number| {
                let request = with("/github/mcp", &format!("ptn_kanarie-hangs-{number}"));
                let bench = &two.bench;
                scope.spawn(move || bench.send(Protocol::Http1, &request).status)
            })
            .collect();
        two.partner
            .wait("both calls", |record| record.messages.len() == 2);
        let third = with("/github/mcp", "ptn_kanarie-hangs-2");
        assert_eq!(two.bench.send(Protocol::Http1, &third).status, 503);
        for number in 0..4 {
            let fine = with("/github/mcp", &format!("kanarie-fine-{number}"));
            assert_eq!(two.bench.send(Protocol::Http2, &fine).status, 200);
        }
        assert_eq!(two.partner.count(), 2);
        two.partner.open();
        for one in hanging {
            assert_eq!(one.join().expect("a status"), 200);
        }
    });
}

/// MCP-PRM-c: a client finds those that count at the server, in order.
#[test]
fn metadata_lists_the_authorization_servers_of_the_server() {
    let two = Two::start();
    for (server, issuers) in [
        ("github", json!([CORP, PARTNER])),
        ("plain", json!([PARTNER])),
        ("linear", json!([CORP])),
    ] {
        let path = format!("/.well-known/oauth-protected-resource/{server}/mcp");
        let response = two.bench.send(Protocol::Http1, &get(&path));
        let document: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(document["authorization_servers"], issuers, "{server}");
    }
}

/// MCP-SESS-b: the same name at another authorization server is somebody else.
#[test]
fn a_session_is_not_that_of_a_namesake() {
    let mut two = Two::start();
    for upstream in &mut two.bench.upstreams {
        let begun = status(200).header("Mcp-Session-Id", "raw-session");
        upstream.answer(Answer::Reply(begun));
    }
    let path = "/github/mcp";
    let begun = two
        .bench
        .send(Protocol::Http1, &with(path, "kanarie-alice"));
    let session = begun.header("mcp-session-id").expect("a session").to_vec();
    let of = |token: &str| {
        let request = with(path, token).header("Mcp-Session-Id", &session);
        two.bench.send(Protocol::Http1, &request).status
    };
    assert_eq!(of("kanarie-alice"), 200);
    assert_eq!(of("kanarie-alice-again"), 200);
    assert_eq!(of("ptn_kanarie-alice"), 404);
}
