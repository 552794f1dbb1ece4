//! An answer of the authorization server lets in only whom it names.

use mcp_token_guard::Reply;
use serde_json::Value;
use url::Url;

use crate::world::{
    CREDENTIAL, Fate, ISSUER, NOW_MS, RESOURCE, TOKEN, bearer, decoded, fields, holds, send,
    with_guard,
};

/// The first byte picks status and type, the rest is the content.
pub(crate) fn law(bytes: &[u8]) {
    let (first, body) = bytes.split_first().unwrap_or((&0, b""));
    let json: Option<&[u8]> = Some(b"application/json");
    let (status, content_type) = match first % 16 {
        0 => (400, json),
        1 => (401, json),
        2 => (429, json),
        3 => (200, None),
        4 => (200, Some(&b"text/html"[..])),
        5 => (200, Some(&b"Application/JSON; charset=utf-8"[..])),
        _ => (200, json),
    };
    let answer = Reply::Whole {
        status,
        content_type,
        retry_after: Some(body),
        body,
    };
    let head = fields(b"/mcp", &[("authorization", &bearer())]);
    match with_guard(|guard| send(guard, "files", &head, &answer)) {
        Fate::Answered(reply) => {
            assert!(matches!(reply.status, 401 | 403 | 500 | 503), "{reply:?}");
        }
        Fate::Left(left) => {
            assert_eq!(status, 200);
            assert!(content_type.is_some_and(|kind| kind != b"text/html"));
            let claims: Value = serde_json::from_slice(body).expect("JSON");
            check(&claims);
            for (name, value) in left {
                let token = TOKEN.as_bytes();
                assert!(!holds(&value, token) && !holds(&decoded(&value), token));
                assert!(!value.contains(&b'\n') && !value.contains(&b'\r'), "{name}");
                if name == "authorization" {
                    assert_eq!(value, CREDENTIAL.as_bytes());
                }
            }
        }
    }
}

/// The claims are those of a token that is good here and now.
fn check(claims: &Value) {
    assert_eq!(claims["active"], true);
    let audience = match &claims["aud"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    assert!(audience.iter().all(Value::is_string));
    assert!(audience.iter().any(is_ours), "{audience:?}");
    let seconds = f64::from(u32::try_from(NOW_MS / 1_000).unwrap());
    match claims.get("exp") {
        None => {}
        Some(exp) => assert!(exp.as_f64().unwrap() > seconds),
    }
    match claims.get("nbf") {
        None => {}
        Some(nbf) => assert!(nbf.as_f64().unwrap() <= seconds),
    }
    assert!(claims.get("iss").is_none_or(|iss| iss == ISSUER));
    let is_bearer = |kind: &Value| kind.as_str().unwrap().eq_ignore_ascii_case("bearer");
    assert!(claims.get("token_type").is_none_or(is_bearer));
    assert!(claims.get("cnf").is_none_or(Value::is_null));
    let scope = claims["scope"].as_str().expect("a scope");
    assert!(scope.split(' ').any(|scope| scope == "mcp:read"));
}

/// Whether an audience is our resource, as URLs are compared.
fn is_ours(audience: &Value) -> bool {
    let url = |text: &str| Url::parse(text).ok();
    let text = audience.as_str().unwrap();
    let bare = text.strip_suffix('/').unwrap_or(text);
    [text, bare].iter().any(|text| url(text) == url(RESOURCE))
}
