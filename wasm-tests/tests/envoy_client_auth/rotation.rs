//! Two secrets at once: the other is tried where one is refused.

use std::time::Duration;

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::Bench;
use mcp_token_guard_tests::peers::{Act, Peer};
use mcp_token_guard_tests::scenario::{Answer, Message, Reply, post, status};
use serde_json::{Value, json};

use crate::server::{
    Known, ask, assertion, configuration, form, is_undecided, lets_in, refusal, surroundings,
};

const OLD: &str = "kanarie-old-secret-of-at-least-32-bytes";
const NEW: &str = "kanarie-new-secret-of-at-least-32-bytes";

/// Whether a call has this secret, by whatever method but an assertion.
fn shows(message: &Message, secret: &str) -> bool {
    let basic = format!("{}:{secret}", "gw%3Ars+%26+1");
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, basic);
    let values = [format!("Basic {basic}"), format!("Bearer {secret}")];
    message.headers.iter().any(|(name, value)| {
        name == b"authorization" && values.iter().any(|one| one.as_bytes() == value)
    }) || form(message)
        .iter()
        .any(|(name, value)| name == "client_secret" && value == secret)
}

/// Lets the server know its client by this secret and no other.
fn knows(peer: &Peer, method: &str, secret: &'static str) {
    if method == "client_secret_jwt" {
        lets_in(
            peer,
            assertion(Known::Shared(secret), "https://auth.example.com"),
        );
    } else {
        lets_in(peer, move |message| {
            shows(message, secret)
                .then_some(())
                .ok_or_else(|| "another secret".to_owned())
        });
    }
}

fn two(method: &str) -> Value {
    let both = json!(["${env:OLD}", "${env:NEW}"]);
    if method == "bearer" {
        json!({"auth_method": method, "token": both, "client_id": null})
    } else {
        json!({"auth_method": method, "client_secret": both})
    }
}

fn start(method: &str, knows_now: &'static str) -> Bench {
    let surroundings = surroundings(&[("OLD", OLD), ("NEW", NEW)]);
    knows(&surroundings.authorization_server, method, knows_now);
    surroundings.start(&configuration(&two(method)))
}

/// Calls since this was last asked.
fn calls(bench: &Bench) -> usize {
    bench.authorization_server.take().messages.len()
}

const REFUSED: &str = "mcp_token_guard_introspections.result.secret_refused";

fn refused(bench: &Bench) -> u64 {
    bench.envoy.stat(&format!("wasmcustom.{REFUSED}"))
}

fn warnings(bench: &Bench) -> Vec<String> {
    let log = bench.envoy.log();
    log.lines()
        .filter(|line| line.contains("goes first from now on"))
        .map(str::to_owned)
        .collect()
}

/// RFC7662-2.3-a: who waits sees nothing of it, and it is tried once.
#[test]
fn the_second_is_tried_where_the_first_is_refused() {
    for method in [
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "bearer",
    ] {
        let bench = start(method, NEW);
        assert_eq!(refused(&bench), 0);
        assert_eq!(ask(&bench, "kanarie-rotation-1").status, 200, "{method}");
        assert_eq!(calls(&bench), 2, "{method}");
        // From now on the second goes first.
        assert_eq!(ask(&bench, "kanarie-rotation-2").status, 200, "{method}");
        assert_eq!(calls(&bench), 1, "{method}");
        assert_eq!((refused(&bench), warnings(&bench).len()), (1, 1));
        // And back.
        knows(&bench.authorization_server, method, OLD);
        assert_eq!(ask(&bench, "kanarie-rotation-3").status, 200, "{method}");
        assert_eq!(calls(&bench), 2, "{method}");
        assert_eq!(ask(&bench, "kanarie-rotation-4").status, 200, "{method}");
        assert_eq!(calls(&bench), 1, "{method}");
        assert_eq!(bench.arrived().len(), 4);
        let warnings = warnings(&bench);
        let key = if method == "bearer" {
            "token"
        } else {
            "client_secret"
        };
        for (line, taken) in warnings.iter().zip(["second", "first"]) {
            let place = format!("authorization_server.introspection.{key}: the ");
            assert!(
                line.contains(&place) && line.contains(&format!("the {taken} is taken")),
                "{line}"
            );
        }
        assert_eq!((refused(&bench), warnings.len()), (2, 2));
        for secret in [OLD, NEW] {
            assert!(!bench.envoy.log().contains(secret));
        }
    }
}

#[test]
fn where_the_first_is_taken_the_second_is_never_sent() {
    let bench = start("client_secret_post", OLD);
    for number in 0..3 {
        assert_eq!(
            ask(&bench, &format!("kanarie-rotation-{number}")).status,
            200
        );
    }
    let record = bench.authorization_server.take();
    assert_eq!(record.messages.len(), 3);
    assert!(!String::from_utf8_lossy(&record.bytes).contains(NEW));
    assert_eq!((refused(&bench), warnings(&bench).len()), (0, 0));
}

/// RFC7662-2.3-a: by whatever word the server refuses both.
#[test]
fn where_both_are_refused_nobody_gets_in() {
    let both = |reply: Reply| move |_: &Message| Act::Answer(Answer::Reply(reply.clone()));
    let bench = start("client_secret_basic", OLD);
    for (number, reply) in [
        refusal(),
        status(403),
        status(400).json(json!({"error": "invalid_client"})),
        status(400).json(json!({"error": "unauthorized_client"})),
    ]
    .into_iter()
    .enumerate()
    {
        bench.authorization_server.script(both(reply));
        let response = ask(&bench, &format!("kanarie-rotation-refused-{number}"));
        is_undecided(&bench, &response);
        let messages = bench.authorization_server.take().messages;
        let order = messages
            .iter()
            .map(|one| (shows(one, OLD), shows(one, NEW)));
        // The first stays first while no other has been taken.
        assert_eq!(
            order.collect::<Vec<_>>(),
            [(true, false), (false, true)],
            "{number}"
        );
    }
    assert_eq!(warnings(&bench).len(), 0);
    let refused_all = "wasmcustom.mcp_token_guard_introspections.result.credentials_refused";
    assert_eq!(bench.envoy.stat(refused_all), 4);
    // A token that is refused is no reason to try the other.
    bench.authorization_server.script(both(
        status(400).json(json!({"error": "unsupported_token_type"})),
    ));
    assert_eq!(ask(&bench, "kanarie-rotation-inactive").status, 401);
    assert_eq!(calls(&bench), 1);
    // Nor is an outage.
    bench.authorization_server.script(both(status(500)));
    is_undecided(&bench, &ask(&bench, "kanarie-rotation-outage"));
    assert_eq!(calls(&bench), 1);
}

/// However many wait: one call with each secret, and all get in.
#[test]
fn a_crowd_waits_for_both_calls() {
    let surroundings = surroundings(&[("OLD", OLD), ("NEW", NEW)]);
    knows(
        &surroundings.authorization_server,
        "client_secret_basic",
        NEW,
    );
    let mut auth = two("client_secret_basic");
    auth["timeout"] = "20s".into();
    let bench = surroundings.start(&configuration(&auth));
    bench.authorization_server.close();
    std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| ask(&bench, "kanarie-rotation-crowd").status))
            .collect();
        bench
            .authorization_server
            .wait("the first call", |record| record.complete == 1);
        let waiting = "wasmcustom.mcp_token_guard_cache.result.wait";
        bench.envoy.wait_stat(waiting, |waiting| waiting == 11);
        bench.authorization_server.open();
        for one in crowd {
            assert_eq!(one.join().expect("a status"), 200);
        }
    });
    assert_eq!(calls(&bench), 2);
    assert_eq!((refused(&bench), warnings(&bench).len()), (1, 1));
    assert_eq!(bench.arrived().len(), 12);
}

/// A second call that is never answered ends when its own time is over.
#[test]
fn the_second_call_has_its_own_timeout() {
    let surroundings = surroundings(&[("OLD", OLD), ("NEW", NEW)]);
    surroundings.authorization_server.script(|message| {
        Act::Answer(if shows(message, OLD) {
            Answer::Reply(refusal())
        } else {
            Answer::Hang
        })
    });
    let mut auth = two("client_secret_basic");
    auth["timeout"] = "300ms".into();
    let bench = surroundings.start(&configuration(&auth));
    let begun = std::time::Instant::now();
    is_undecided(&bench, &ask(&bench, "kanarie-rotation-slow"));
    assert_eq!(calls(&bench), 2);
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(250) && took < Duration::from_secs(2),
        "{took:?}"
    );
    // It proves nothing of the second.
    assert_eq!(warnings(&bench).len(), 0);
}

/// The default session keys are the secrets, in their order: sessions outlive
/// the step from one to two and the one from two to one, each by itself.
#[test]
fn sessions_outlive_a_second_secret() {
    let replica = |secrets: &Value| {
        let surroundings = surroundings(&[("OLD", OLD), ("NEW", NEW)]);
        lets_in(&surroundings.authorization_server, |_| Ok(()));
        let mut configuration = configuration(&json!({"client_secret": secrets}));
        let members = configuration.as_object_mut().expect("members");
        members.remove("session_key");
        let mut bench = surroundings.start(&configuration);
        for upstream in &mut bench.upstreams {
            let given = status(200).header("Mcp-Session-Id", "raw-session");
            upstream.answer(Answer::Reply(given));
        }
        bench
    };
    let request = || post("/github/mcp").header("Authorization", "Bearer kanarie-rotation");
    let begun = |bench: &Bench| {
        let response = bench.send(Protocol::Http1, &request());
        response.header("mcp-session-id").expect("an id").to_vec()
    };
    let used = |bench: &Bench, id: &[u8]| {
        let request = request().header("Mcp-Session-Id", id);
        bench.send(Protocol::Http1, &request).status
    };
    let old = replica(&json!("${env:OLD}"));
    let both = replica(&json!(["${env:NEW}", "${env:OLD}"]));
    let new = replica(&json!("${env:NEW}"));
    let (of_old, of_both) = (begun(&old), begun(&both));
    assert_eq!(used(&both, &of_old), 200);
    assert_eq!(used(&both, &of_both), 200);
    assert_eq!(used(&new, &of_both), 200);
    assert_eq!(used(&new, &of_old), 404);
}
