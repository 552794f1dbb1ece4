//! An authorization server that does not say whether a token is good:
//! standards.md section D, host.md section 3.

use serde_json::{Value, json};

use super::super::base::default_claims;
use super::super::build::{rule, status};
use super::super::{Answer, Configuration, Scenario};
use super::introspection::{good, undecided};

/// A short timeout, for answers that do not come.
const IMPATIENT: Configuration = Configuration {
    name: "a short timeout",
    patch: |value| value["authorization_server"]["introspection"]["timeout"] = "300ms".into(),
};

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    FAULTS
        .iter()
        .map(fault)
        .chain(ODD_ANSWERS.iter().map(odd_answer))
        .collect()
}

/// A name, what it proves, and something of a kind.
type Entry<T> = (&'static str, &'static [&'static str], T);

/// Answers after which nobody knows whether the token is good.
const FAULTS: &[Entry<fn() -> Answer>] = &[
    (
        "nobody_listens_at_the_authorization_server",
        &["RFC9110-15.6-a", "host:3"],
        || Answer::Refused,
    ),
    (
        "the_connection_is_reset_before_the_answer",
        &["RFC9110-15.6-a", "host:3"],
        || Answer::ResetBeforeHeaders,
    ),
    (
        "the_connection_is_reset_in_the_answer",
        &["RFC9110-15.6-a", "host:3"],
        || Answer::ResetAfterHeaders,
    ),
    (
        "the_answer_does_not_come",
        &["INTRO-timeout", "host:3"],
        || Answer::Hang,
    ),
    (
        "the_answer_comes_a_byte_at_a_time",
        &["INTRO-timeout", "host:3"],
        || Answer::Trickle,
    ),
    ("the_answer_is_500", &["RFC9110-15.6-a"], || {
        status(500).json(good_json()).into()
    }),
    ("the_answer_is_502", &["RFC9110-15.6-a"], || {
        status(502).into()
    }),
    ("the_answer_is_503", &["RFC9110-15.6-a"], || {
        status(503).into()
    }),
    ("the_answer_is_429", &["INTRO-429"], || {
        status(429).json(good_json()).into()
    }),
    ("the_answer_is_a_redirect", &["INTRO-redir"], || {
        status(307)
            .header("Location", "http://127.0.0.1/elsewhere")
            .json(good_json())
            .into()
    }),
    ("the_answer_is_302_with_content", &["INTRO-redir"], || {
        status(302)
            .header("Location", "/introspect2")
            .json(good_json())
            .into()
    }),
    ("our_client_is_refused_with_401", &["RFC7662-2.3-a"], || {
        status(401).json(json!({"error": "invalid_client"})).into()
    }),
    ("our_client_is_refused_with_403", &["RFC7662-2.3-a"], || {
        status(403).json(good_json()).into()
    }),
    ("the_answer_is_404", &["RFC7662-2.2-a"], || {
        status(404).json(good_json()).into()
    }),
    ("the_answer_is_204", &["RFC7662-2.2-a"], || {
        status(204).into()
    }),
    (
        "the_answer_has_the_type_of_html",
        &["RFC7662-2.2-ct"],
        || {
            status(200).header("content-type", "text/html").bytes(r#"{"active":true,"aud":"https://gateway.example.com/github/mcp","scope":"mcp:read"}"#).into()
        },
    ),
    ("the_answer_is_a_jwt_unasked", &["RFC9701-4-a"], || {
        status(200)
            .header("content-type", "application/token-introspection+jwt")
            .bytes("eyJ.eyJ.x")
            .into()
    }),
    ("the_answer_is_201", &["RFC7662-2.2-a"], || {
        status(201).json(good_json()).into()
    }),
    ("the_answer_is_3_megabytes", &["INTRO-size"], || {
        let mut claims = good_json();
        claims["padding"] = "x".repeat(3_000_000).into();
        status(200).json(claims).into()
    }),
    ("the_answer_is_a_little_too_long", &["INTRO-size"], || {
        let mut claims = good_json();
        claims["padding"] = "x".repeat(256 * 1024).into();
        status(200).json(claims).into()
    }),
];

/// Makes an odd answer of a good one.
type Oddly = fn(&str) -> String;

/// Answers of status 200 that RFC 7662 does not allow, made of a good one.
const ODD_ANSWERS: &[Entry<Oddly>] = &[
    (
        "active_is_the_text_true",
        &["RFC7662-2.2-a", "incidents:portkey-active"],
        |ok| format!(r#"{{"active":"true",{}"#, rest(ok)),
    ),
    (
        "active_is_the_text_false",
        &["RFC7662-2.2-a", "incidents:portkey-active"],
        |ok| format!(r#"{{"active":"false",{}"#, rest(ok)),
    ),
    ("active_is_one", &["RFC7662-2.2-a"], |ok| {
        format!(r#"{{"active":1,{}"#, rest(ok))
    }),
    ("active_is_null", &["RFC7662-2.2-a"], |ok| {
        format!(r#"{{"active":null,{}"#, rest(ok))
    }),
    ("active_is_an_array", &["RFC7662-2.2-a"], |ok| {
        format!(r#"{{"active":[true],{}"#, rest(ok))
    }),
    ("active_is_missing", &["RFC7662-2.2-a"], |ok| {
        format!("{{{}", rest(ok))
    }),
    ("active_is_there_twice", &["INTRO-size"], |ok| {
        format!(r#"{{"active":false,"active":true,{}"#, rest(ok))
    }),
    (
        "active_is_there_twice_and_true_first",
        &["INTRO-size"],
        |ok| format!(r#"{{"active":true,"active":false,{}"#, rest(ok)),
    ),
    (
        "active_is_there_twice_and_escaped_once",
        &["INTRO-size"],
        |ok| format!(r#"{{"active":true,"\u0061ctive":false,{}"#, rest(ok)),
    ),
    ("a_claim_is_there_twice", &["INTRO-size"], |ok| {
        format!(r#"{{"aud":"https://other.example.com",{}"#, &ok[1..])
    }),
    ("the_answer_is_an_array", &["RFC7662-2.2-a"], |ok| {
        format!("[{ok}]")
    }),
    ("the_answer_is_a_text", &["RFC7662-2.2-a"], |_| {
        r#""active""#.into()
    }),
    ("the_answer_is_true", &["RFC7662-2.2-a"], |_| "true".into()),
    ("the_answer_is_empty", &["RFC7662-2.2-a"], |_| String::new()),
    ("the_answer_is_html", &["RFC7662-2.2-a"], |_| {
        "<html>active</html>".into()
    }),
    ("the_answer_is_cut_off", &["RFC7662-2.2-a"], |ok| {
        ok[..ok.len() - 1].into()
    }),
    ("something_follows_the_answer", &["RFC7662-2.2-a"], |ok| {
        format!("{ok} {{}}")
    }),
    ("the_answer_is_50000_arrays", &["INTRO-size"], |_| {
        "[".repeat(50_000)
    }),
    ("a_member_is_10000_arrays", &["INTRO-size"], |ok| {
        format!(
            r#"{{"x":{}{},{}"#,
            "[".repeat(10_000),
            "]".repeat(10_000),
            &ok[1..]
        )
    }),
    ("exp_is_a_text", &["RFC7662-2.2-exp"], |ok| {
        ok.replace(r#""@now+300""#, r#""4102444800""#)
    }),
    ("exp_is_a_boolean", &["RFC7662-2.2-exp"], |ok| {
        ok.replace(r#""@now+300""#, "true")
    }),
    ("exp_is_no_number_of_json", &["RFC7662-2.2-exp"], |ok| {
        ok.replace(r#""@now+300""#, "1e999999")
    }),
    ("nbf_is_a_text", &["RFC7662-2.2-nbf"], |ok| {
        format!(r#"{{"nbf":"0",{}"#, &ok[1..])
    }),
    ("scope_is_an_array", &["RFC7662-2.2-scope"], |ok| {
        ok.replace(r#""mcp:read mcp:write""#, r#"["mcp:read","mcp:write"]"#)
    }),
    ("scope_is_a_number", &["RFC7662-2.2-scope"], |ok| {
        ok.replace(r#""mcp:read mcp:write""#, "1")
    }),
];

/// A good answer as JSON.
fn good_json() -> Value {
    default_claims(b"/github/mcp")
}

/// A good answer without its `active`, nor its first brace.
fn rest(ok: &str) -> String {
    ok[1..].replacen(r#""active":true,"#, "", 1)
}

/// Undecided, nothing kept, and the next request with the same token is well.
fn fault((name, proves, answer): &Entry<fn() -> Answer>) -> Scenario {
    let answer = answer();
    let scenario = rule(name, proves);
    let scenario = match answer {
        Answer::Hang | Answer::Trickle => scenario.under(IMPATIENT),
        Answer::Reply(_)
        | Answer::Refused
        | Answer::ResetBeforeHeaders
        | Answer::ResetAfterHeaders => scenario,
    };
    scenario
        .step(undecided().answered(answer).gets("retry-after", "2"))
        .step(good())
}

/// As [`fault`], for a body.
fn odd_answer((name, proves, body): &Entry<Oddly>) -> Scenario {
    // Times in it are far away enough to be fixed.
    let ok = good_json().to_string();
    let body = body(&ok).replace(r#""@now+300""#, "4102444800");
    let answer = status(200)
        .header("content-type", "application/json")
        .bytes(body);
    rule(name, proves)
        .step(undecided().answered(answer))
        .step(good())
}
