use proptest::prelude::*;

use super::*;
use crate::certificate::Confirmation;

const TOKEN: &[u8] = b"canary-token-0123456789";

fn whole(status: u16, body: &str) -> Result<Introspection, Undetermined> {
    let reply = Reply::Whole {
        status,
        content_type: Some(b"application/json; charset=utf-8"),
        retry_after: None,
        body: body.as_bytes(),
    };
    Introspection::read(&reply, &[("x-sub".into(), "sub".into())], TOKEN)
}

fn active(members: &str) -> Claims {
    match whole(200, &format!(r#"{{"active":true{members}}}"#)) {
        Ok(Introspection::Active(claims)) => Rc::unwrap_or_clone(claims),
        other => panic!("{other:?}"),
    }
}

fn cause(answer: Result<Introspection, Undetermined>) -> Cause {
    answer.map(|_| ()).unwrap_err().cause
}

/// RFC7662-2.2-a: only the literal `true` is active.
#[test]
fn active_is_a_boolean_or_there_is_no_answer() {
    for body in [
        r#"{"active":"true"}"#,
        r#"{"active":1}"#,
        r#"{"active":null}"#,
        r#"{"active":[true]}"#,
        "{}",
        "[]",
        "true",
        "",
        "<html>",
        r#"{"active":true"#,
        r#"{"active":true}x"#,
        "\u{feff}{\"active\":true}",
    ] {
        assert_eq!(cause(whole(200, body)), Cause::Malformed, "{body}");
    }
}

/// INTRO-size: a member twice, at any depth, is no answer.
#[test]
fn a_member_twice_is_no_answer() {
    for body in [
        r#"{"active":false,"active":true}"#,
        r#"{"active":true,"exp":9,"exp":1}"#,
        r#"{"active":true,"x":{"a":1,"a":2}}"#,
    ] {
        assert_eq!(cause(whole(200, body)), Cause::Malformed, "{body}");
    }
}

#[test]
fn deep_nesting_is_no_answer_and_no_overflow() {
    let body = format!(r#"{{"active":true,"x":{}"#, "[".repeat(50_000));
    assert_eq!(cause(whole(200, &body)), Cause::Malformed);
}

/// RFC7662-2.2-b.
#[test]
fn inactive_needs_nothing_else() {
    let answer = whole(200, r#"{"active":false,"exp":"x"}"#);
    assert!(matches!(answer, Ok(Introspection::Inactive)));
}

/// RFC7662-2.2-exp, -nbf, -scope: wrong types are no answer.
#[test]
fn times_and_scope_have_their_types() {
    for member in [
        r#""exp":"123""#,
        r#""exp":null"#,
        r#""nbf":"0""#,
        r#""scope":["a"]"#,
        r#""scope":null"#,
        r#""scope":1"#,
    ] {
        let body = format!(r#"{{"active":true,{member}}}"#);
        assert_eq!(cause(whole(200, &body)), Cause::Malformed, "{member}");
    }
    let claims = active(r#","exp":1.5,"nbf":-1,"scope":"a  b ""#);
    assert_eq!((claims.expires, claims.not_before), (Some(1.5), Some(-1.0)));
    assert_eq!(claims.scopes().collect::<Vec<_>>(), ["a", "b"]);
}

/// RFC7662-2.2-aud, MCP-CANON-a.
#[test]
fn an_audience_is_a_text_or_a_list_of_texts() {
    let read = |aud: &str| active(&format!(r#","aud":{aud}"#)).audience;
    assert_eq!(read(r#""HTTPS://GW""#), Some(vec!["https://gw/".into()]));
    assert_eq!(read(r#"["a","b"]"#), Some(vec!["a".into(), "b".into()]));
    assert_eq!(read("[]"), Some(vec![]));
    for wrong in [r#"["a",1]"#, "{}", "1", "null"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

/// CNF-unknown: `null` is absent, anything else binds the token.
#[test]
fn any_confirmation_binds_the_token() {
    assert_eq!(active(r#","cnf":null"#).confirmation, Confirmation::Bearer);
    for cnf in ["{}", r#"{"jkt":"x"}"#, r#""x""#, "false"] {
        assert!(
            active(&format!(r#","cnf":{cnf}"#)).confirmation != Confirmation::Bearer,
            "{cnf}"
        );
    }
}

#[test]
fn an_issuer_or_type_of_a_wrong_type_matches_nothing() {
    let claims = active(r#","iss":1,"token_type":null"#);
    assert_eq!(claims.issuer.as_deref(), Some(""));
    assert_eq!(claims.token_type.as_deref(), Some(""));
}

#[test]
fn claims_that_repeat_the_token_are_dropped() {
    let claims = active(r#","sub":"x-canary-token-0123456789-x","jti":"canary-token-0123456789""#);
    assert_eq!((claims.subject, claims.token_id), (None, None));
    assert_eq!(claims.identity, [None]);
}

#[test]
fn identity_claims_are_texts() {
    assert_eq!(active(r#","sub":"u""#).identity, [Some("u".into())]);
    assert_eq!(active(r#","sub":7"#).identity, [Some("7".into())]);
    assert_eq!(active(r#","sub":0.5"#).identity, [None]);
    assert_eq!(active(r#","sub":9007199254740993"#).identity, [None]);
    assert_eq!(active(r#","sub":{"a":1}"#).identity, [None]);
    assert_eq!(active("").identity, [None]);
}

/// RFC7662-2.3-a, INTRO-400, INTRO-429, INTRO-redir, RFC9110-15.6-a.
#[test]
fn a_status_other_than_200_says_why() {
    for status in [401, 403] {
        assert_eq!(cause(whole(status, "")), Cause::CredentialsRefused);
    }
    for error in ["invalid_client", "unauthorized_client"] {
        let body = format!(r#"{{"error":"{error}"}}"#);
        assert_eq!(cause(whole(400, &body)), Cause::CredentialsRefused);
    }
    for body in [r#"{"error":"unsupported_token_type"}"#, "", "<html>"] {
        assert!(
            matches!(whole(400, body), Ok(Introspection::Inactive)),
            "{body}"
        );
    }
    for status in [201, 204, 301, 307, 404, 500, 502] {
        assert_eq!(
            cause(whole(status, r#"{"active":true}"#)),
            Cause::Status,
            "{status}"
        );
    }
    for status in [503, 504] {
        assert_eq!(cause(whole(status, "")), Cause::Unreachable);
    }
}

#[test]
fn a_throttling_server_says_how_long_up_to_a_bound() {
    let after = |value: Option<&'static [u8]>| {
        let reply = Reply::Whole {
            status: 429,
            content_type: None,
            retry_after: value,
            body: b"",
        };
        Introspection::read(&reply, &[], TOKEN)
            .unwrap_err()
            .retry_after
    };
    assert_eq!(after(Some(b"7")), 7);
    for long in [&b"31"[..], b"99999999999999999999"] {
        let reply = Reply::Whole {
            status: 429,
            content_type: None,
            retry_after: Some(long),
            body: b"",
        };
        let undetermined = Introspection::read(&reply, &[], TOKEN).unwrap_err();
        assert_eq!(undetermined.retry_after, 30);
    }
    for other in [
        None,
        Some(&b"-1"[..]),
        Some(b""),
        Some(b"Wed, 21 Oct 2026 07:28:00 GMT"),
    ] {
        assert_eq!(after(other), RETRY_AFTER);
    }
}

/// RFC7662-2.2-ct.
#[test]
fn another_content_type_is_no_answer() {
    for content_type in [
        None,
        Some(&b"text/html"[..]),
        Some(b"application/jwt"),
        Some(b"application/json-seq"),
    ] {
        let reply = Reply::Whole {
            status: 200,
            content_type,
            retry_after: None,
            body: br#"{"active":true}"#,
        };
        assert_eq!(
            cause(Introspection::read(&reply, &[], TOKEN)),
            Cause::Malformed
        );
    }
}

#[test]
fn what_did_not_come_whole_is_undetermined() {
    assert_eq!(
        cause(Introspection::read(&Reply::NotSent, &[], TOKEN)),
        Cause::Unreachable
    );
    assert_eq!(
        cause(Introspection::read(&Reply::Broken, &[], TOKEN)),
        Cause::Unreachable
    );
    assert_eq!(
        cause(Introspection::read(&Reply::TooLarge, &[], TOKEN)),
        Cause::TooLarge
    );
}

proptest! {
    /// A body that says `active` in no way that RFC 7662 allows lets nobody in.
    #[test]
    fn any_bytes_are_no_active_answer(body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let reply = Reply::Whole {
            status: 200,
            content_type: Some(b"application/json"),
            retry_after: None,
            body: &body,
        };
        let answer = Introspection::read(&reply, &[], TOKEN);
        prop_assert!(!matches!(answer, Ok(Introspection::Active(_))));
    }

    /// An active answer with some of it changed is active only where it still
    /// says so.
    #[test]
    fn a_damaged_answer_is_active_only_if_it_says_so(
        place in 0..60_usize, byte in any::<u8>(), cut in 0..3_usize
    ) {
        let mut body = br#"{"active":true,"exp":1900000000,"aud":["a"],"scope":"b c"}"#.to_vec();
        let place = place.min(body.len());
        let end = place.saturating_add(cut).min(body.len());
        body.splice(place..end, [byte]);
        let reply = Reply::Whole {
            status: 200,
            content_type: Some(b"application/json"),
            retry_after: None,
            body: &body,
        };
        if matches!(Introspection::read(&reply, &[], TOKEN), Ok(Introspection::Active(_))) {
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(&said["active"], &serde_json::Value::Bool(true));
        }
    }

    #[test]
    fn any_status_and_fields_are_read(
        status in any::<u16>(), content_type in proptest::collection::vec(any::<u8>(), 0..20),
        retry_after in proptest::collection::vec(any::<u8>(), 0..20)
    ) {
        let reply = Reply::Whole {
            status,
            content_type: Some(&content_type),
            retry_after: Some(&retry_after),
            body: b"{}",
        };
        if let Err(undetermined) = Introspection::read(&reply, &[], TOKEN) {
            prop_assert!(undetermined.retry_after <= LONGEST_RETRY);
        }
    }
}
