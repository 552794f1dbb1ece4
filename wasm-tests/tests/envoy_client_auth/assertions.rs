//! `client_secret_jwt` and `private_key_jwt`, with a server that verifies.

use p256::SecretKey;
use p256::ecdsa::VerifyingKey;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::json;

use crate::server::{
    CLIENT_ID, Known, ask, assertion, configuration, is_undecided, lets_in, surroundings,
};

/// The issuer of the base configuration.
const ISSUER: &str = "https://auth.example.com";

const SECRET: &str = "kanarie-shared-secret of 32 bytes & more";

/// A key like no other.
fn key(seed: u8) -> SecretKey {
    SecretKey::from_slice(&[seed; 32]).expect("a key")
}

fn pkcs8(key: &SecretKey) -> String {
    key.to_pkcs8_pem(LineEnding::LF).expect("PEM").to_string()
}

/// RFC7523-2.2, RFC7523-3: on every worker, and no assertion twice.
#[test]
fn a_shared_secret_signs_each_call_anew() {
    let mut surroundings = surroundings(&[("SHARED", SECRET)]);
    surroundings.setup.workers = 2;
    let known = assertion(Known::Shared(SECRET), ISSUER);
    let said = lets_in(&surroundings.authorization_server, known);
    let bench = surroundings.start(&configuration(&json!({
        "auth_method": "client_secret_jwt",
        "client_secret": "${env:SHARED}",
    })));
    for number in 0..16 {
        let response = ask(&bench, &format!("kanarie-assertion-{number}"));
        assert_eq!(response.status, 200, "{:?}", said.lock().unwrap());
    }
    assert_eq!(bench.authorization_server.count(), 16);
    assert_eq!(bench.arrived().len(), 16);
    let record = bench.authorization_server.take();
    assert!(!String::from_utf8_lossy(&record.bytes).contains("kanarie-shared"));
    assert!(!bench.envoy.log().contains("kanarie-shared"));
}

/// RFC7523-3: whom it is for can be set, and the key named.
#[test]
fn a_private_key_signs_for_whom_is_configured() {
    let key = key(7);
    let sec1 = key.to_sec1_pem(LineEnding::LF).expect("PEM").to_string();
    for (text, audience, key_id) in [
        (pkcs8(&key), ISSUER, None),
        (sec1, "https://auth.example.com/token", Some("key \"1\"")),
        // As many an environment has it.
        (pkcs8(&key).replace('\n', "\\n"), ISSUER, None),
    ] {
        let surroundings = surroundings(&[("CLIENT_KEY", &text)]);
        let public = VerifyingKey::from(key.public_key());
        let known = assertion(Known::Public(public, key_id), audience);
        let said = lets_in(&surroundings.authorization_server, known);
        let bench = surroundings.start(&configuration(&json!({
            "auth_method": "private_key_jwt",
            "private_key": "${env:CLIENT_KEY}",
            "key_id": key_id,
            "assertion_audience": Some(audience).filter(|one| *one != ISSUER),
        })));
        for number in 0..3 {
            let response = ask(&bench, &format!("kanarie-assertion-{number}"));
            assert_eq!(response.status, 200, "{:?}", said.lock().unwrap());
        }
        assert_eq!(bench.authorization_server.count(), 3);
        assert_eq!(bench.arrived().len(), 3);
    }
}

/// RFC7662-2.3-a: who cannot prove to be the client is told nothing, and the
/// client's token has gone to the authorization server alone.
#[test]
fn a_wrong_key_or_audience_lets_nobody_in() {
    let (own, other) = (key(7), key(8));
    let own_pem = pkcs8(&own);
    let another = "kanarie-another-secret of 32 bytes & more";
    for (auth, known, audience, complaint) in [
        (
            json!({"auth_method": "private_key_jwt", "private_key": "${env:CLIENT_KEY}"}),
            Known::Public(VerifyingKey::from(other.public_key()), None),
            ISSUER,
            "the signature is another's",
        ),
        (
            json!({"auth_method": "private_key_jwt", "private_key": "${env:CLIENT_KEY}"}),
            Known::Public(VerifyingKey::from(own.public_key()), None),
            "https://other.example.com",
            "aud is \"https://auth.example.com\"",
        ),
        (
            json!({"auth_method": "client_secret_jwt", "client_secret": "${env:SHARED}"}),
            Known::Shared(another),
            ISSUER,
            "the signature is another's",
        ),
    ] {
        let surroundings = surroundings(&[("SHARED", SECRET), ("CLIENT_KEY", &own_pem)]);
        let known = assertion(known, audience);
        let said = lets_in(&surroundings.authorization_server, known);
        let bench = surroundings.start(&configuration(&auth));
        is_undecided(&bench, &ask(&bench, "kanarie-assertion-refused"));
        assert_eq!(*said.lock().unwrap(), [complaint]);
        assert_eq!(bench.authorization_server.count(), 1);
    }
}

/// CFG-failclosed, SECRET-a: a key that is none stops Envoy, and the reason has
/// the path and the variable, and nothing of the value.
#[test]
fn a_bad_key_is_refused_with_its_path_and_variable() {
    let mut surroundings = surroundings(&[("CLIENT_KEY", "-----BEGIN kanarie-no-key")]);
    let auth = json!({"auth_method": "private_key_jwt", "private_key": "${env:CLIENT_KEY}"});
    let module = mcp_token_guard_tests::module::path();
    let filter = mcp_token_guard_tests::envoy::pieces::guard(
        module,
        &configuration(&auth),
        &surroundings.setup.environment,
    );
    surroundings.setup.filters.push(filter);
    let not = surroundings.setup.try_start().expect_err("it starts");
    let log = not.to_string();
    assert!(
        log.contains("authorization_server.introspection.private_key: is not a private key in PEM")
            && log.contains("`CLIENT_KEY`"),
        "{log}"
    );
    assert!(!log.contains("kanarie-no-key"));
    assert!(!log.contains(CLIENT_ID));
}
