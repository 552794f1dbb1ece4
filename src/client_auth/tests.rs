//! Tests of assertions, and of which credential goes first.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::EncodePrivateKey as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;

/// The key of RFC 7515 appendix A.3.
const SCALAR: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

fn secret_key(scalar: &[u8]) -> p256::SecretKey {
    p256::SecretKey::from_slice(scalar).unwrap()
}

fn rfc7515() -> p256::SecretKey {
    secret_key(&URL_SAFE_NO_PAD.decode(SCALAR).unwrap())
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn pkcs8(key: &p256::SecretKey) -> String {
    pem("PRIVATE KEY", key.to_pkcs8_der().unwrap().as_bytes())
}

/// What a call has in its form besides its own.
fn form(authenticator: &mut Authenticator, turn: Turn, now: Now) -> Vec<(String, String)> {
    let Proof::Form(part) = authenticator.prove(turn, now) else {
        panic!("not in the form");
    };
    let part = part.expose().strip_prefix(b"&").unwrap();
    url::form_urlencoded::parse(part).into_owned().collect()
}

fn of(key: Key, key_id: Option<&str>) -> Authenticator {
    Authenticator::new(&Rc::new(ClientAuth {
        client_id: "gw&\"1".into(),
        credentials: vec![Credential::Assertions(Box::new(Assertions::new(
            key,
            "gw&\"1",
            "https://as.example",
            key_id,
        )))],
        place: "here".into(),
    }))
}

/// Header and claims, and what was signed with what.
fn taken_apart(assertion: &str) -> (Value, Value, String, Vec<u8>) {
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("{} parts", parts.len());
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let json = |part: &str| serde_json::from_slice(&decode(part)).unwrap();
    let signed = format!("{header}.{claims}");
    (json(header), json(claims), signed, decode(signature))
}

/// RFC 7523 sections 2.2 and 3.
#[test]
fn an_assertion_says_who_to_whom_and_for_how_long() {
    let secret = Secret::new(b"a secret that has thirty-two bytes or more");
    let mut one = of(Key::shared(&secret).unwrap(), None);
    let first = one.first();
    let form = form(&mut one, first, Now::at_seconds(1_700_000_000));
    let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["client_id", "client_assertion_type", "client_assertion"]
    );
    assert_eq!(form[0].1, "gw&\"1");
    assert_eq!(
        form[1].1,
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let (header, mut claims, signed, signature) = taken_apart(&form[2].1);
    assert_eq!(
        header,
        json!({"alg": "HS256", "typ": "client-authentication+jwt"})
    );
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 22);
    assert_eq!(
        claims,
        json!({
            "iss": "gw&\"1", "sub": "gw&\"1", "aud": "https://as.example",
            "iat": 1_700_000_000, "exp": 1_700_000_060,
        })
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).unwrap();
    mac.update(signed.as_bytes());
    mac.verify_slice(&signature).unwrap();
}

#[test]
fn a_private_key_signs_with_es256_and_its_id() {
    let key = rfc7515();
    let mut one = of(Key::private(pkcs8(&key).as_bytes()).unwrap(), Some("k\"1"));
    let first = one.first();
    let form = form(&mut one, first, Now::at_seconds(1));
    let (header, claims, signed, signature) = taken_apart(&form[2].1);
    assert_eq!(
        header,
        json!({"alg": "ES256", "typ": "client-authentication+jwt", "kid": "k\"1"})
    );
    assert_eq!(claims["exp"], 61);
    let signature = Signature::from_slice(&signature).unwrap();
    VerifyingKey::from(key.public_key())
        .verify(signed.as_bytes(), &signature)
        .unwrap();
}

/// RFC 7523 section 3: `jti` is what a server knows a replay by.
#[test]
fn no_two_assertions_have_one_id() {
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let mut ids = Ids::default();
        for _ in 0..1_000 {
            assert!(seen.insert(ids.next()));
        }
        assert!(!format!("{ids:?}").contains("seed: ["));
    }
}

#[test]
fn a_private_key_is_read_in_every_usual_form() {
    let key = rfc7515();
    let sec1 = pem("EC PRIVATE KEY", &key.to_sec1_der().unwrap());
    let parameters = pem("EC PARAMETERS", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
    let good = pkcs8(&key);
    for text in [
        good.clone(),
        sec1.clone(),
        parameters + &sec1,
        good.replace('\n', "\\n"),
        good.replace('\n', "\r\n"),
        good.replace('\n', " "),
        format!("a comment\n{good}"),
    ] {
        assert!(Key::private(text.as_bytes()).is_ok(), "{text}");
    }
}

/// No other key is taken, and no error has a byte of it.
#[test]
fn another_key_is_refused_in_a_sentence() {
    let good = pkcs8(&rfc7515());
    let der = rfc7515().to_pkcs8_der().unwrap();
    let der = der.as_bytes();
    // secp384r1 where P-256 was.
    let place = der.windows(4).position(|at| at == [0x86, 0x48, 0xce, 0x3d]);
    let mut other = der.to_vec();
    other[place.unwrap() + 4] ^= 1;
    for (text, start) in [
        (String::new(), "is not a private key in PEM"),
        ("canary".to_owned(), "is not a private key in PEM"),
        (good.replace("-----END", ""), "is not a private key in PEM"),
        (good.replace("MIG", "M!G"), "is not a private key in PEM"),
        (pem("PUBLIC KEY", der), "is not a private key in PEM"),
        (pem("ENCRYPTED PRIVATE KEY", der), "is encrypted"),
        (
            pem("RSA PRIVATE KEY", der),
            "is not a private key on the curve P-256",
        ),
        (
            pem("PRIVATE KEY", &der[1..]),
            "is not a private key on the curve P-256",
        ),
        (
            pem("PRIVATE KEY", &other),
            "is not a private key on the curve P-256",
        ),
        (
            pem("EC PRIVATE KEY", der),
            "is not a private key on the curve P-256",
        ),
    ] {
        let error = Key::private(text.as_bytes()).unwrap_err();
        assert!(error.starts_with(start), "{text}: {error}");
    }
    assert!(Key::private(b"\xff").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Nothing that can stand in an environment variable panics.
    #[test]
    fn any_bytes_are_a_key_or_an_error(der in prop::collection::vec(any::<u8>(), 0..200)) {
        for label in ["PRIVATE KEY", "EC PRIVATE KEY"] {
            prop_assert!(Key::private(pem(label, &der).as_bytes()).is_err());
        }
        let _ = Key::private(&der);
    }

    /// A key that is damaged anywhere does not panic either.
    #[test]
    fn a_damaged_key_is_a_key_or_an_error(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for (label, der) in [
            ("PRIVATE KEY", rfc7515().to_pkcs8_der().unwrap().as_bytes().to_vec()),
            ("EC PRIVATE KEY", rfc7515().to_sec1_der().unwrap().to_vec()),
        ] {
            let mut der = der;
            let place = place.index(der.len());
            der[place] = byte;
            let _ = Key::private(pem(label, &der).as_bytes());
        }
    }

    /// Whatever the key and the message: a signature that holds.
    #[test]
    fn every_key_signs(scalar in any::<[u8; 32]>(), now in any::<u64>(), id in "[ -~]{1,40}") {
        let Ok(key) = p256::SecretKey::from_slice(&scalar) else {
            return Ok(());
        };
        let mut one = of(Key::private(pkcs8(&key).as_bytes()).unwrap(), Some(&id));
        let now = Now { wall_ms: now, steady_ms: now };
        let first = one.first();
        let form = form(&mut one, first, now);
        let (_, _, signed, signature) = taken_apart(&form[2].1);
        let signature = Signature::from_slice(&signature).unwrap();
        let verifying = VerifyingKey::from(key.public_key());
        prop_assert!(verifying.verify(signed.as_bytes(), &signature).is_ok());
    }
}

/// The edges of the range of keys.
#[test]
fn the_smallest_and_the_largest_key_sign() {
    let mut smallest = [0; 32];
    smallest[31] = 1;
    let largest: Vec<u8> = (0..32)
        .map(|at| {
            let order = b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\
                \xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
            order[at] - u8::from(at == 31)
        })
        .collect();
    for scalar in [&smallest[..], &largest] {
        let pem = pkcs8(&secret_key(scalar));
        let mut one = of(Key::private(pem.as_bytes()).unwrap(), None);
        let first = one.first();
        assert_eq!(form(&mut one, first, Now::at_seconds(1)).len(), 3);
    }
}

/// SECRET-a.
#[test]
fn debug_shows_no_key() {
    let key = rfc7515();
    let shown = format!(
        "{:?} {:?}",
        of(Key::private(pkcs8(&key).as_bytes()).unwrap(), None),
        of(Key::shared(&Secret::new(b"kanarie")).unwrap(), None)
    );
    assert!(
        shown.contains("Key(ES256)") && shown.contains("Key(HS256)"),
        "{shown}"
    );
    assert!(!shown.contains("kanarie") && !shown.contains("SigningKey"));
}

#[test]
fn the_one_that_was_taken_goes_first() {
    let secret = |value: &str| Credential::Authorization(Secret::new(value.as_bytes()));
    let mut two = Authenticator::new(&Rc::new(ClientAuth {
        client_id: "gw".into(),
        credentials: vec![secret("old"), secret("new")],
        place: "the.place".into(),
    }));
    let now = Now::default();
    let first = two.first();
    assert!(matches!(
        two.prove(first, now),
        Proof::Authorization(value) if value.matches(b"old")
    ));
    assert_eq!(two.taken(first), None);
    let second = two.other(first).unwrap();
    let notice = two.taken(second).unwrap();
    assert!(
        notice.starts_with("the.place: the first of the two is refused"),
        "{notice}"
    );
    assert_eq!((two.first(), two.taken(second)), (second, None));
    assert!(matches!(
        two.prove(second, now),
        Proof::Authorization(value) if value.matches(b"new")
    ));
    assert_eq!(two.other(second), Some(first));
    let notice = two.taken(first).unwrap();
    assert!(
        notice.starts_with("the.place: the second of the two is refused"),
        "{notice}"
    );
}

#[test]
fn where_there_is_one_there_is_no_other() {
    let secret = Secret::new(b"a secret that has thirty-two bytes or more");
    let one = of(Key::shared(&secret).unwrap(), None);
    assert_eq!(one.other(one.first()), None);
    let none = Authenticator::new(&Rc::new(ClientAuth {
        client_id: String::new(),
        credentials: Vec::new(),
        place: String::new(),
    }));
    assert_eq!(none.other(none.first()), None);
}
