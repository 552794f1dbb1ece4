//! Each method of authentication with its keys.

use super::*;
use crate::json;

type Read = (ClientAuth, KeySource);

/// `auth` is members, with a comma first.
fn with(auth: &str) -> Result<Read, String> {
    let text = format!(r#"{{"other":1{auth}}}"#);
    let json = json::parse(text.as_bytes()).unwrap();
    let env = |name: &str| match name {
        "SECRET" => Some("p:q r/%+~".to_owned()),
        "KEY" => Some(KEY.to_owned()),
        "NO_KEY" => Some("canary".to_owned()),
        _ => None,
    };
    let mut reader = Reader::new(&env);
    let mut members = Node::root(&json).object(&mut reader).unwrap();
    members.take("other");
    let issuer = Some("https://as.example");
    let (auth, key) = read(&mut members, issuer, &mut reader);
    members.finish(&mut reader);
    reader
        .finish(auth.map(|auth| (auth, key)))
        .map_err(|errors| errors.to_string())
}

/// RFC 6749 section 2.3.1.
#[test]
fn basic_encodes_id_and_secret_each() {
    let (auth, key) = with(r#","client_id":"a:b","client_secret":"${env:SECRET}""#).unwrap();
    let [Credential::Authorization(authorization)] = &*auth.credentials else {
        panic!("not basic");
    };
    assert_eq!(auth.client_id, "a:b");
    let pair = authorization.expose().strip_prefix(b"Basic ").unwrap();
    let pair = STANDARD.decode(pair).unwrap();
    assert_eq!(pair, b"a%3Ab:p%3Aq+r%2F%25%2B%7E");
    assert!(matches!(
        &key,
        KeySource::ClientSecrets(secrets) if secrets[0].matches(b"p:q r/%+~")
    ));
}

/// OAUTH21-2.4.1-a.
#[test]
fn post_puts_id_and_secret_in_the_form() {
    let post = r#","auth_method":"client_secret_post","client_id":"a&b","client_secret":"c=d""#;
    let (auth, _) = with(post).unwrap();
    let [Credential::Form(form)] = &*auth.credentials else {
        panic!("not post");
    };
    assert_eq!(auth.client_id, "a&b");
    assert!(form.matches(b"&client_id=a%26b&client_secret=c%3Dd"));
}

#[test]
fn bearer_has_a_token_and_nothing_else() {
    let (auth, key) = with(r#","auth_method":"bearer","token":"ab.c==""#).unwrap();
    assert!(matches!(key, KeySource::Nothing));
    assert!(matches!(
        &*auth.credentials,
        [Credential::Authorization(value)] if value.matches(b"Bearer ab.c==")
    ));
    for token in ["Bearer x", "=", "a=b", "a b", "a\\n", ""] {
        let auth = format!(r#","auth_method":"bearer","token":"{token}""#);
        assert!(with(&auth).is_err(), "{token}");
    }
}

/// RFC7662-2.1-f: no authentication only where the configuration says so.
#[test]
fn each_method_has_its_keys() {
    for auth in [
        "",
        r#","client_id":"a""#,
        r#","client_secret":"b""#,
        r#","client_id":"","client_secret":"b""#,
        r#","client_id":"a","client_secret":"""#,
        r#","client_id":"a","client_secret":"b","token":"c""#,
        r#","auth_method":"client_secret_post","client_id":"a""#,
        r#","auth_method":"bearer""#,
        r#","auth_method":"bearer","token":"a","client_id":"a""#,
        r#","auth_method":"none","client_secret":"a""#,
        r#","auth_method":"none","token":"a""#,
        r#","auth_method":"private_key_jwt""#,
        r#","auth_method":null"#,
        r#","client_id":"a\u0000","client_secret":"b""#,
        r#","client_id":"a","client_secret":"b\n""#,
    ] {
        assert!(with(auth).is_err(), "{auth}");
    }
    assert!(with(r#","auth_method":"none""#).is_ok());
    assert!(with(r#","client_id":"a","client_secret":"b""#).is_ok());
}

#[test]
fn an_unknown_method_is_one_error() {
    let errors = with(r#","auth_method":"x","client_id":"a","client_secret":"b""#);
    assert_eq!(errors.err().unwrap().lines().count(), 1);
}

/// The number one, on P-256.
pub(in crate::config) const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\n\
    MDECAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoAoGCCqGSM49AwEH\n\
    -----END EC PRIVATE KEY-----\n";

const LONG: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn assertions_have_a_key_that_is_strong_enough() {
    let secret = |secret: &str| {
        with(&format!(
            r#","auth_method":"client_secret_jwt","client_id":"a","client_secret":"{secret}""#
        ))
    };
    let (auth, key) = secret(LONG).unwrap();
    assert!(matches!(&*auth.credentials, [Credential::Assertions(_)]));
    assert!(matches!(key, KeySource::ClientSecrets(_)));
    let error = secret(LONG.trim_start_matches('0')).unwrap_err();
    assert!(
        error.starts_with("client_secret: is shorter than 32 bytes"),
        "{error}"
    );
    let private = |more: &str| {
        with(&format!(
            r#","auth_method":"private_key_jwt","client_id":"a"{more}"#
        ))
    };
    let (auth, key) = private(r#","private_key":"${env:KEY}","key_id":"k""#).unwrap();
    assert!(matches!(&*auth.credentials, [Credential::Assertions(_)]));
    assert!(matches!(key, KeySource::Nothing));
    let error = private(r#","private_key":"${env:NO_KEY}""#).unwrap_err();
    assert!(
        error.starts_with("private_key: is not a private key in PEM") && error.contains("`NO_KEY`"),
        "{error}"
    );
    for bad in [
        "",
        r#","private_key":"${env:KEY}","key_id":"""#,
        r#","private_key":"${env:KEY}","assertion_audience":"""#,
        r#","private_key":"${env:KEY}","assertion_audience":"a\n""#,
        r#","private_key":"${env:KEY}","client_secret":"b""#,
        r#","private_key":["${env:KEY}"]"#,
    ] {
        let error = private(bad).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
    }
    assert!(with(r#","client_id":"a","client_secret":"b","key_id":"c""#).is_err());
}

/// RFC 8705 section 2: `client_id` is all that is said.
#[test]
fn a_certificate_needs_an_id_only() {
    let (auth, key) = with(r#","auth_method":"tls_client_auth","client_id":"a&b""#).unwrap();
    assert!(matches!(
        &*auth.credentials,
        [Credential::Form(part)] if part.matches(b"&client_id=a%26b")
    ));
    assert!(matches!(key, KeySource::Nothing));
    for bad in ["", r#","client_id":"a","client_secret":"b""#] {
        assert!(with(&format!(r#","auth_method":"tls_client_auth"{bad}"#)).is_err());
    }
}

#[test]
fn a_secret_may_be_two() {
    let read = |secrets: &str| {
        with(&format!(r#","client_id":"a","client_secret":{secrets}"#))
            .map(|(auth, _)| auth.credentials.len())
    };
    assert_eq!(read(r#"["b"]"#), Ok(1));
    assert_eq!(read(r#"["b","${env:SECRET}"]"#), Ok(2));
    // There is nothing else to try.
    assert_eq!(read(r#"["b","b"]"#), Ok(1));
    for bad in [
        "[]",
        r#"["b","c","d"]"#,
        r#"["b",""]"#,
        r#"["b",null]"#,
        r#"[["b"]]"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    let (auth, _) = with(r#","auth_method":"bearer","token":["b","c"]"#).unwrap();
    assert_eq!(auth.credentials.len(), 2);
    let (_, key) = with(r#","client_id":"a","client_secret":["b","c"]"#).unwrap();
    assert!(matches!(
        key,
        KeySource::ClientSecrets(keys) if keys[0].matches(b"b") && keys[1].matches(b"c")
    ));
}
