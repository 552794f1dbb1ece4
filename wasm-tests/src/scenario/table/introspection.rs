//! The introspection call and its answer: standards.md sections C and D.

use serde_json::{Value, json};

use super::super::build::{inactive, is, post, rule, status};
use super::super::{Check, Configuration, Scenario, Step};

/// `client_secret_post`.
const POST_AUTH: Configuration = Configuration {
    name: "client_secret_post",
    patch: |value| introspection(value)["auth_method"] = "client_secret_post".into(),
};

/// A bearer token of our own.
const BEARER_AUTH: Configuration = Configuration {
    name: "introspection by bearer token",
    patch: |value| {
        let introspection = introspection(value);
        introspection["auth_method"] = "bearer".into();
        introspection["token"] = "${env:INTROSPECTION_TOKEN}".into();
        without_client(introspection);
        value["session_key"] = "${env:SESSION_KEY}".into();
    },
};

/// No authentication of ours.
const NO_AUTH: Configuration = Configuration {
    name: "introspection without authentication",
    patch: |value| {
        let introspection = introspection(value);
        introspection["auth_method"] = "none".into();
        without_client(introspection);
        value["session_key"] = "${env:SESSION_KEY}".into();
    },
};

/// The part about introspection.
fn introspection(value: &mut Value) -> &mut Value {
    &mut value["authorization_server"]["introspection"]
}

/// Takes id and secret out.
fn without_client(introspection: &mut Value) {
    let members = introspection.as_object_mut().expect("an object");
    members.remove("client_id");
    members.remove("client_secret");
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [calls(), verdicts(), claims()].concat()
}

/// A good request to the server with one scope.
pub(super) fn good() -> Step {
    post("/github/mcp").token().passes()
}

/// A token that is refused after one call.
fn bad() -> Step {
    post("/github/mcp")
        .token()
        .refused(401, "invalid_token")
        .calls(1)
}

/// Nobody can say whether the token is good.
pub(super) fn undecided() -> Step {
    post("/github/mcp")
        .token()
        .refused(503, "*")
        .calls_at_most(2)
}

/// What the call looks like, beyond what the judge checks of every call.
fn calls() -> Vec<Scenario> {
    // RFC 6749 section 2.3.1: form-encoded, then joined, then base64.
    let basic =
        "Basic Z3clM0FycysxOnMzY3IlMkJ0JTJGd2l0aCUyNTIwc3ArYWNlJTI2JTNBJTNEa2FuYXJpZS1zZWNyZXQ=";
    let noisy = post("/github/mcp")
        .header("Cookie", "session=1")
        .header("X-Forwarded-For", "203.0.113.7")
        .header("Mcp-Method", "tools/call")
        .header("User-Agent", "client/1")
        .header("Accept-Language", "nl");
    vec![
        rule("the_token_is_asked_about_exactly_as_it_came", &["RFC7662-2.1-a", "RFC7662-2.1-b", "RFC7662-2.1-c", "RFC7662-2.1-e", "RFC9110-7.2-a"])
            .step(good()),
        rule("basic_authentication_is_form_encoded_first", &["RFC6749-2.3.1-a", "RFC6749-2.3-a", "RFC7662-2.1-f"])
            .step(good().call(is("authorization", basic))),
        rule("nothing_of_the_request_but_the_token_goes_to_the_authorization_server", &["RFC7662-5-a"])
            .step(noisy.token().passes().call(Check::Absent("cookie"))),
        rule("a_jwt_is_not_believed_about_where_to_ask", &["INTRO-ssrf"]).step(
            // {"alg":"none"}.{"iss":"http://evil.example.com"}.
            post("/github/mcp")
                .header("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwOi8vZXZpbC5leGFtcGxlLmNvbSJ9.{R}")
                .passes()
                .call(is("host", "127.0.0.1")),
        ),
        rule("secret_and_id_can_go_in_the_body", &["OAUTH21-2.4.1-a", "RFC6749-2.3-a", "RFC7662-2.1-d"]).under(POST_AUTH).step(
            good().call(Check::Absent("authorization")).call(Check::Pseudo(
                ":body",
                b"token={T+}&token_type_hint=access_token&client_id=gw%3Ars+1&client_secret=s3cr%2Bt%2Fwith%2520sp+ace%26%3A%3Dkanarie-secret".to_vec(),
            )),
        ),
        rule("a_token_of_our_own_can_authorize_the_call", &["RFC7662-2.1-f", "RFC7662-5-a"]).under(BEARER_AUTH).step(
            good().call(is("authorization", "Bearer kanarie-introspection-bearer")),
        ),
        rule("our_own_introspection_token_is_no_token", &["contract:own-credential"]).under(BEARER_AUTH).step(
            // Not a header value, so it is asked about; but nothing may break.
            post("/github/mcp")
                .header("Authorization", "Bearer kanarie-introspection-bearer")
                .refused(401, "invalid_token")
                .answered(inactive())
                .calls_at_most(1),
        ),
        rule("the_call_can_be_made_without_authentication", &["RFC7662-2.1-f"])
            .under(NO_AUTH)
            .step(good().call(Check::Absent("authorization"))),
    ]
}

/// Answers that are verdicts on the token.
fn verdicts() -> Vec<Scenario> {
    let four_hundred = |error: &str| status(400).json(json!({"error": error}));
    vec![
        rule("a_400_about_the_token_is_a_verdict_on_it", &["INTRO-400", "K6", "contract:400"])
            .step(bad().answered(four_hundred("unsupported_token_type")))
            // Held as inactive.
            .step(bad().calls(0)),
        rule("a_400_invalid_request_is_a_verdict_on_the_token", &["INTRO-400", "contract:400"])
            .step(bad().answered(four_hundred("invalid_request"))),
        rule("a_400_about_our_client_is_not_a_verdict", &["RFC7662-2.3-a", "contract:400"])
            .step(undecided().answered(four_hundred("invalid_client")))
            .step(undecided().answered(four_hundred("unauthorized_client")))
            .step(good()),
        rule("too_many_requests_tell_when_to_come_back", &["INTRO-429"])
            .step(undecided().answered(status(429).header("Retry-After", "7")).gets("retry-after", "7"))
            .step(undecided().answered(status(429).header("Retry-After", "300")).gets("retry-after", "30"))
            .step(undecided().answered(status(429)).gets("retry-after", "2"))
            .step(undecided().answered(status(429).header("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")).gets("retry-after", "2"))
            .step(undecided().answered(status(503).header("Retry-After", "7")).gets("retry-after", "2"))
            .step(good()),
        rule("the_rest_is_undecided_for_two_seconds", &["RFC9110-15.6-a"])
            .step(undecided().answered(status(500)).gets("retry-after", "2").gets_no("www-authenticate")),
        rule("the_answers_type_may_have_parameters", &["RFC7662-2.2-ct"]).step(
            good().answered(
                status(200)
                    .header("content-type", "application/json;charset=UTF-8")
                    .bytes(r#"{"active":true,"aud":["https://gateway.example.com/github/mcp"],"scope":"mcp:read","sub":"user-1","client_id":"client-1"}"#),
            ),
        ),
        rule("unknown_members_are_ignored", &["RFC7662-2.2-c"])
            .step(good().claims(|c| c["x"] = json!({"y": [1, {"z": null}], "active": false}))),
    ]
}

/// Claims, and what they mean: RFC 7662 section 2.2.
fn claims() -> Vec<Scenario> {
    let bad_if = |change: fn(&mut Value)| bad().claims(change);
    let with = |name: &'static str, proves, change: fn(&mut Value)| {
        rule(name, proves).step(good().claims(change))
    };
    let without = |name: &'static str, proves, change: fn(&mut Value)| {
        rule(name, proves).step(bad_if(change))
    };
    vec![
        without("an_expired_token_is_refused", &["RFC7662-2.2-exp"], |c| {
            c["exp"] = "@now-1".into();
        }),
        without(
            "a_token_that_expired_before_1970_is_refused",
            &["RFC7662-2.2-exp"],
            |c| c["exp"] = json!(-1),
        ),
        with("exp_may_have_a_fraction", &["RFC7662-2.2-exp"], |c| {
            c["exp"] = "@now+60.5".into();
        }),
        with("exp_may_be_huge", &["RFC7662-2.2-exp"], |c| {
            c["exp"] = json!(1e300);
        }),
        rule("exp_may_be_absent", &["RFC7662-2.2-exp"]).step(good().no_claim("exp")),
        without(
            "a_token_that_is_not_valid_yet_is_refused",
            &["RFC7662-2.2-nbf"],
            |c| c["nbf"] = "@now+600".into(),
        ),
        with(
            "a_token_that_became_valid_is_let_in",
            &["RFC7662-2.2-nbf"],
            |c| c["nbf"] = "@now-1".into(),
        ),
        with("the_token_type_is_in_any_case", &["RFC7662-2.2-tt"], |c| {
            c["token_type"] = "bEARER".into();
        }),
        rule("the_token_type_may_be_absent", &["RFC7662-2.2-tt"])
            .step(good().no_claim("token_type")),
        without(
            "a_dpop_token_is_refused",
            &["RFC7662-2.2-tt", "RFC9449-6.2-b"],
            |c| c["token_type"] = "DPoP".into(),
        ),
        without("a_token_of_type_n_a_is_refused", &["RFC7662-2.2-tt"], |c| {
            c["token_type"] = "N_A".into();
        }),
        without("a_refresh_token_is_refused", &["RFC7662-2.1-rt"], |c| {
            *c = json!({"active": true, "scope": "mcp:read offline_access", "client_id": "x", "exp": "@now+1209600"});
        }),
        without("another_issuer_is_refused", &["RFC7662-2.2-iss"], |c| {
            c["iss"] = "https://evil.example.com".into();
        }),
        without(
            "an_almost_equal_issuer_is_refused",
            &["RFC7662-2.2-iss"],
            |c| c["iss"] = "https://auth.example.com/".into(),
        ),
        rule("iss_may_be_absent", &["RFC7662-2.2-iss"]).step(good().no_claim("iss")),
        without("an_actor_grants_nothing", &["RFC8693-4.1-a"], |c| {
            c["act"] = json!({"aud": c["aud"], "scope": c["scope"], "sub": "other"});
            c.as_object_mut().unwrap().remove("aud");
        }),
        without("a_dpop_bound_token_is_refused", &["RFC9449-7.2-a"], |c| {
            c["cnf"] = json!({"jkt": "x"});
        }),
        without(
            "a_certificate_bound_token_is_refused",
            &["RFC8705-3-a"],
            |c| c["cnf"] = json!({"x5t#S256": "x"}),
        ),
        without(
            "an_unknown_confirmation_is_refused",
            &["CNF-unknown"],
            |c| c["cnf"] = json!({"kid": "x"}),
        ),
        without("an_empty_confirmation_is_refused", &["CNF-unknown"], |c| {
            c["cnf"] = json!({});
        }),
        with("a_null_confirmation_is_none", &["CNF-unknown"], |c| {
            c["cnf"] = Value::Null;
        }),
    ]
}
