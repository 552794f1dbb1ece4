//! Each authorization server with tokens issued, revoked, expired and meant for
//! others, and with what is odd about it.

use std::time::Duration;

use serde_json::json;

use crate::authority::{Authority, INTROSPECTOR, OF_ALICE, REFRESH, ROBOT, member};
use crate::browser;
use crate::gateway::{Gateway, TTL};

/// A resource that is not ours.
const ELSEWHERE: &str = "https://elsewhere.example.com/mcp";

/// What holds for all of them.
fn lives_through(authority: &Authority) -> Gateway {
    let gateway = Gateway::start(authority);
    let good = authority.issued(ROBOT, &gateway.url);
    gateway.admits(&good);
    gateway.refuses(&authority.issued(ROBOT, ELSEWHERE), 401, "invalid_token");
    gateway.refuses("of-nobody", 401, "invalid_token");
    gateway.admits(&good);
    authority.revoke(&good);
    gateway.comes_to_refuse(&good, TTL);
    gateway
}

/// A token that was accepted and has then come to its end.
fn expires(authority: &Authority, life: Duration) {
    // Not for the cache's ttl, which is longer, but for its `exp`.
    let gateway = Gateway::start_with(authority, |configuration| {
        configuration["cache"]["ttl"] = "10m".into();
    });
    let brief = authority.issued(ROBOT, &gateway.url);
    gateway.admits(&brief);
    gateway.comes_to_refuse(&brief, life);
}

/// RFC7662-2.2-a, RFC6749-2.3.1-a: it insists on form-encoded Basic, and the
/// name and the secret of the guard need it.
#[test]
fn oidc_provider_from_issue_to_revocation() {
    let authority = Authority::oidc_provider(600);
    let gateway = lives_through(&authority);
    let with_the_wrong_secret = Gateway::start_with(&authority, |configuration| {
        configuration["authorization_server"]["introspection"]["client_secret"] = "wrong".into();
    });
    let good = authority.issued(ROBOT, &with_the_wrong_secret.url);
    with_the_wrong_secret.refuses(&good, 503, "temporarily_unavailable");
    drop(gateway);
}

/// RFC7662-4-cb
#[test]
fn oidc_provider_lets_a_token_expire() {
    expires(&Authority::oidc_provider(3), Duration::from_secs(3));
}

/// INTRO-400: a JWT that this server cannot introspect is no token of a client
/// that has to be kept waiting.
#[test]
fn oidc_provider_answers_400_for_a_jwt() {
    let authority = Authority::oidc_provider(600);
    let gateway = Gateway::start(&authority);
    let jwt = authority.issued(&format!("{ROBOT}-jwt"), &gateway.url);
    let (status, said) = authority.introspected(&jwt);
    assert_eq!(
        (status, member(&said, "error").as_str()),
        (400, "unsupported_token_type")
    );
    gateway.refuses(&jwt, 401, "invalid_token");
}

/// RFC7662-2.1-rt
#[test]
fn oidc_provider_calls_a_refresh_token_active() {
    let authority = Authority::oidc_provider(600);
    let gateway = Gateway::start(&authority);
    let tokens = browser::tokens(&authority, &gateway.url);
    gateway.admits(&member(&tokens, "access_token"));
    let refresh = member(&tokens, "refresh_token");
    let (_, said) = authority.introspected(&refresh);
    assert_eq!(said["active"], true, "{said}");
    assert!(
        said["aud"].is_null() && said["token_type"].is_null(),
        "{said}"
    );
    gateway.refuses(&refresh, 401, "invalid_token");
}

#[test]
fn django_oauth_toolkit_from_issue_to_revocation() {
    let authority = Authority::django(600);
    let gateway = lives_through(&authority);
    gateway.refuses(REFRESH, 401, "invalid_token");
    // It says 403 to a client that it does not know.
    let unknown = Gateway::start_with(&authority, |configuration| {
        configuration["authorization_server"]["introspection"]["client_id"] = "stranger".into();
    });
    let good = authority.issued(ROBOT, &unknown.url);
    unknown.refuses(&good, 503, "temporarily_unavailable");
}

/// RFC7662-4-cb
#[test]
fn django_oauth_toolkit_lets_a_token_expire() {
    expires(&Authority::django(3), Duration::from_secs(3));
}

/// RFC7662-2.1-f: a bearer token of the guard's own instead of Basic.
#[test]
fn django_oauth_toolkit_takes_a_bearer_token_too() {
    let authority = Authority::django(600);
    let gateway = Gateway::start_with(&authority, |configuration| {
        let introspection = &mut configuration["authorization_server"]["introspection"];
        introspection["auth_method"] = "bearer".into();
        introspection["token"] = "${env:INTROSPECTION_TOKEN}".into();
        let members = introspection.as_object_mut().expect("an object");
        members.remove("client_id");
        members.remove("client_secret");
        configuration["session_key"] = "${env:SESSION_KEY}".into();
    });
    gateway.admits(&authority.issued(ROBOT, &gateway.url));
    // Active, and for the scope `introspection` alone.
    gateway.refuses(INTROSPECTOR, 401, "invalid_token");
}

/// MCP-AUD-a, MCP-AUD-c: a token that was asked for without a resource has no
/// `aud` there, and it never says `iss` or `token_type`.
#[test]
fn django_oauth_toolkit_without_an_audience_needs_the_switch() {
    let authority = Authority::django(600);
    let (_, said) = authority.introspected(OF_ALICE);
    assert_eq!(said["active"], true, "{said}");
    assert_eq!(said["aud"], json!(null), "{said}");
    Gateway::start(&authority).refuses(OF_ALICE, 401, "invalid_token");
    let trusting = Gateway::start_with(&authority, |configuration| {
        configuration["servers"]["tools"]["audience_checked_by_authorization_server"] = true.into();
    });
    trusting.admits(OF_ALICE);
    trusting.refuses(&authority.issued(ROBOT, ELSEWHERE), 401, "invalid_token");
    trusting.refuses(REFRESH, 401, "invalid_token");
}

/// RFC7662-2.1-rt: its refresh tokens are active JWTs of type Bearer, for an
/// audience of its own; only `aud` keeps them out. RFC6749-2.3-a: the guard's name
/// and secret come in the form.
#[test]
fn nanoidp_from_issue_to_revocation() {
    let authority = Authority::nanoidp();
    let gateway = lives_through(&authority);
    let tokens = authority.granted(
        ROBOT,
        &[
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "alice"),
            ("resource", &gateway.url),
            ("scope", "mcp:read"),
        ],
    );
    gateway.admits(&member(&tokens, "access_token"));
    let refresh = member(&tokens, "refresh_token");
    let (_, said) = authority.introspected(&refresh);
    assert_eq!(
        (&said["active"], &said["token_type"]),
        (&json!(true), &json!("Bearer"))
    );
    gateway.refuses(&refresh, 401, "invalid_token");
}

/// RFC7662-4-cb
#[test]
fn nanoidp_lets_a_token_expire() {
    expires(&Authority::nanoidp(), Duration::from_secs(60));
}
