//! An authorization server that starts late, goes away, comes back and changes
//! our secret: the guard recovers without a restart of Envoy, and until then says
//! 503, which costs nobody a token.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcp_token_guard_tests::client::{Protocol, Response};
use mcp_token_guard_tests::envoy::{Bench, Surroundings, now, pieces};
use mcp_token_guard_tests::peers::{Act, PATIENCE, Peer};
use mcp_token_guard_tests::scenario::{
    Answer, INTROSPECTION_CLUSTER, Vars, active, base, default_claims, get, post, status,
};
use serde_json::{Value, json};

/// What the authorization server knows us by at first, and later.
const OLD: &str = "kanarie-old-secret";
const NEW: &str = "kanarie-new-secret";

/// The base configuration, asking about each request.
fn asking() -> Value {
    let mut configuration = base();
    configuration["cache"] = json!({"ttl": "0s", "negative_ttl": "0s"});
    configuration
}

/// A ping with a token.
fn ping(bench: &Bench) -> Response {
    let ping = post("/github/mcp").header("Authorization", "Bearer kanarie-recovery");
    bench.send(Protocol::Http1, &ping)
}

/// Asserts that the client is told to come again, with the token that it has.
fn comes_again(response: &Response) {
    let what = (response.status, response.error());
    assert_eq!(what, (503, "temporarily_unavailable".to_owned()));
    assert!(response.header("retry-after").is_some());
    assert!(response.header("www-authenticate").is_none());
}

/// Waits until pings come through.
fn comes_through(bench: &Bench) {
    let end = Instant::now() + PATIENCE;
    loop {
        let response = ping(bench);
        if response.status == 200 {
            return;
        }
        comes_again(&response);
        assert!(Instant::now() < end, "it does not recover");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// INTRO-timeout, RFC9110-15.6-a
#[test]
fn a_late_start_and_a_restart_of_the_authorization_server_are_got_over() {
    let mut surroundings = Surroundings::new();
    surroundings.authorization_server.answer(Answer::Refused);
    let mut bench = surroundings.start(&asking());
    for _ in 0..2 {
        comes_again(&ping(&bench));
        comes_again(&ping(&bench));
        bench.admit("/github/mcp");
        comes_through(&bench);
        bench.authorization_server.answer(Answer::Refused);
    }
    assert!(bench.envoy.is_alive());
}

/// Lets the authorization server know us by these secrets and no other.
fn knows(peer: &Peer, secrets: &[&str]) {
    let expected: Vec<String> = secrets
        .iter()
        .map(|secret| format!("Basic {}", STANDARD.encode(format!("gateway:{secret}"))))
        .collect();
    let good = Vars::default().answer(&active(default_claims(b"/github/mcp")), now());
    peer.script(move |message| {
        let known = |(name, value): &(Vec<u8>, Vec<u8>)| {
            name == b"authorization" && expected.iter().any(|one| one.as_bytes() == value)
        };
        if message.headers.iter().any(known) {
            return Act::Answer(good.clone());
        }
        let refusal = status(401).json(json!({"error": "invalid_client"}));
        Act::Answer(Answer::Reply(refusal))
    });
}

/// A file for one test, beside those of its Envoy.
fn file(name: &str) -> PathBuf {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    let name = format!("mcp-token-guard-{}-{test}-{name}", std::process::id());
    std::env::temp_dir().join(name)
}

/// Puts a file in its place as a whole, which is what Envoy looks for.
fn put(name: &str, content: &Value) {
    let new = file(&format!("{name}.new"));
    fs::write(&new, content.to_string()).expect("to write a file");
    fs::rename(new, file(name)).expect("to move a file");
}

/// The resources of a discovery service.
fn resources(message: &str, mut resource: Value) -> Value {
    resource["@type"] = format!("type.googleapis.com/{message}").into();
    json!({"resources": [resource]})
}

/// Takes the listener out of the bootstrap and into a file.
fn listener_by_file(bootstrap: &mut Value) {
    let mut listener = bootstrap["static_resources"]["listeners"][0].take();
    // Kept from one version of the listener to the next.
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = port.local_addr().expect("its address").port();
    listener["address"]["socket_address"]["port_value"] = port.into();
    put("listener", &resources(LISTENER, listener));
    bootstrap["static_resources"]["listeners"] = json!([]);
    bootstrap["dynamic_resources"]["lds_config"]["path_config_source"]["path"] =
        json!(file("listener"));
}

const LISTENER: &str = "envoy.config.listener.v3.Listener";

const SECRET: &str = "envoy.extensions.transport_sockets.tls.v3.Secret";

/// The secret is named by a variable. Both secrets are in the environment from
/// the start, and an update of the listener goes over from one to the other; an
/// Envoy whose environment has the old one alone would need a restart.
///
/// RFC7662-2.3-a
#[test]
fn an_update_of_the_listener_goes_over_to_a_new_secret() {
    let mut surroundings = Surroundings::new();
    let environment = &mut surroundings.setup.environment;
    for (name, value) in [("SECRET_OF_MAY", OLD), ("SECRET_OF_JUNE", NEW)] {
        environment.push((name.to_owned(), value.to_owned()));
    }
    surroundings.setup.patches.push(listener_by_file);
    let mut configuration = asking();
    // Else it comes of the secret, and sessions end with that.
    configuration["session_key"] = "${env:SESSION_KEY}".into();
    let introspection = &mut configuration["authorization_server"]["introspection"];
    introspection["client_id"] = "gateway".into();
    introspection["client_secret"] = "${env:SECRET_OF_MAY}".into();
    knows(&surroundings.authorization_server, &[OLD]);
    let mut bench = surroundings.start(&configuration);
    let initialize = post("/github/mcp").header("Authorization", "Bearer kanarie-recovery");
    let given = status(200).header("Mcp-Session-Id", "of-the-upstream");
    for upstream in &mut bench.upstreams {
        upstream.answer(Answer::Reply(given.clone()));
    }
    let session = bench.send(Protocol::Http1, &initialize);
    let session = session
        .header("mcp-session-id")
        .expect("a session")
        .to_vec();
    bench.authorization_server.take();

    // While both are good nobody is kept waiting.
    knows(&bench.authorization_server, &[OLD, NEW]);
    let listener = fs::read_to_string(file("listener")).expect("the listener");
    put(
        "listener",
        &serde_json::from_str(&listener.replace("SECRET_OF_MAY}", "SECRET_OF_JUNE}"))
            .expect("JSON"),
    );
    let is_new = format!("Basic {}", STANDARD.encode(format!("gateway:{NEW}")));
    let end = Instant::now() + PATIENCE;
    loop {
        assert_eq!(ping(&bench).status, 200);
        let calls = bench.authorization_server.take().messages;
        let by = |(_, value): &(Vec<u8>, Vec<u8>)| value == is_new.as_bytes();
        if calls.iter().any(|call| call.headers.iter().any(by)) {
            break;
        }
        assert!(Instant::now() < end, "it goes on with the old secret");
        std::thread::sleep(Duration::from_millis(20));
    }
    knows(&bench.authorization_server, &[NEW]);
    assert_eq!(ping(&bench).status, 200);
    let in_session = initialize.header("Mcp-Session-Id", &session);
    assert_eq!(bench.send(Protocol::Http1, &in_session).status, 200);

    // Without such a time requests wait for the update, and lose nothing.
    knows(&bench.authorization_server, &[OLD]);
    comes_again(&ping(&bench));
    put("listener", &serde_json::from_str(&listener).expect("JSON"));
    comes_through(&bench);
    assert!(bench.envoy.is_alive());
    fs::remove_file(file("listener")).expect("to remove the file");
}

/// RFC9728-5.2-a
#[test]
fn a_new_configuration_has_new_documents_and_challenges() {
    let mut surroundings = Surroundings::new();
    surroundings.setup.patches.push(listener_by_file);
    let bench = surroundings.start(&base());
    let told = || {
        let challenge = bench.send(Protocol::Http1, &post("/github/mcp"));
        let challenge = challenge.header("www-authenticate").expect("a challenge");
        let document = get("/.well-known/oauth-protected-resource/github/mcp");
        let document = bench.send(Protocol::Http1, &document).body;
        let document: Value = serde_json::from_slice(&document).expect("a document");
        let challenge = String::from_utf8_lossy(challenge).into_owned();
        (challenge, document["scopes_supported"].clone())
    };
    let (challenge, scopes) = told();
    assert!(challenge.contains(r#"scope="mcp:read""#), "{challenge}");
    assert_eq!(scopes, json!(["mcp:read"]));
    let listener = fs::read_to_string(file("listener")).expect("the listener");
    let listener = listener.replacen(r#"[\"mcp:read\"]"#, r#"[\"mcp:write\"]"#, 1);
    put("listener", &serde_json::from_str(&listener).expect("JSON"));
    let end = Instant::now() + PATIENCE;
    while !told().0.contains(r#"scope="mcp:write""#) {
        assert!(Instant::now() < end, "it goes on as before");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(told().1, json!(["mcp:write"]));
    fs::remove_file(file("listener")).expect("to remove the file");
}

/// A secret for `credential_injector`.
fn credential(secret: &str) -> Value {
    let basic = format!("Basic {}", STANDARD.encode(format!("gateway:{secret}")));
    resources(
        SECRET,
        json!({"name": "introspection", "generic_secret": {"secret": {"inline_string": basic}}}),
    )
}

/// The guard has no secret at all: the cluster of the authorization server has,
/// from a file or a secret discovery service. No listener is touched.
#[test]
fn a_credential_injector_on_the_introspection_cluster_takes_a_new_secret_as_it_comes() {
    let mut surroundings = Surroundings::new();
    put("secret", &credential(OLD));
    let injector = json!({
        "name": "envoy.filters.http.credential_injector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
            "overwrite": true,
            "credential": {
                "name": "envoy.http.injected_credentials.generic",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                    "credential": {
                        "name": "introspection",
                        "sds_config": {"path_config_source": {"path": file("secret")}},
                    },
                },
            },
        },
    });
    for cluster in &mut surroundings.setup.clusters {
        if cluster["name"] == INTROSPECTION_CLUSTER {
            pieces::upstream_filters(cluster, std::slice::from_ref(&injector));
        }
    }
    let mut configuration = asking();
    configuration["session_key"] = "${env:SESSION_KEY}".into();
    let introspection = &mut configuration["authorization_server"]["introspection"];
    introspection["auth_method"] = "none".into();
    for name in ["client_id", "client_secret"] {
        introspection
            .as_object_mut()
            .expect("an object")
            .remove(name);
    }
    knows(&surroundings.authorization_server, &[OLD]);
    let mut bench = surroundings.start(&configuration);
    comes_through(&bench);
    knows(&bench.authorization_server, &[NEW]);
    comes_again(&ping(&bench));
    put("secret", &credential(NEW));
    comes_through(&bench);
    assert!(bench.envoy.is_alive());
    fs::remove_file(file("secret")).expect("to remove the file");
}
