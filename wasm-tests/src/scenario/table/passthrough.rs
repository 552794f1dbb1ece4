//! What reaches the upstream, and what comes back: standards.md section K.

use serde_json::json;

use super::super::build::{post, rule, status};
use super::super::{Check, Request, Scenario, Step, Upstream};

/// A server with one credential.
const MCP: &str = "/github/mcp";

/// Names of the built-in list of headers that carry credentials, and of the
/// configured ones.
const ALIASES: &[&str] = &[
    "Proxy-Authorization",
    "X-Authorization",
    "X-Forwarded-Authorization",
    "X-Original-Authorization",
    "X-Access-Token",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-Access-Token",
    "X-Id-Token",
    "DPoP",
    "X-Legacy-Token",
];

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [
        aliases(),
        injected(),
        identity(),
        leaks(),
        trailers(),
        untouched(),
        responses(),
    ]
    .concat()
}

/// A POST with a good token.
fn mcp() -> Request {
    post(MCP).token()
}

/// Headers that carry credentials.
fn aliases() -> Vec<Scenario> {
    let all = |change: fn(&str) -> String| {
        ALIASES.iter().fold(mcp(), |request, name| {
            request.header(&change(name), "Bearer {T}")
        })
    };
    let without = |step: Step, change: fn(&str) -> String| {
        ALIASES
            .iter()
            .fold(step, |step, name| step.sees_no(change(name).leak()))
    };
    let lower = |name: &str| name.to_ascii_lowercase();
    let underscored = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    vec![
        rule(
            "headers_that_carry_credentials_are_removed",
            &[
                "MCP-PASS-d",
                "MCP-PASS-a",
                "RFC9449-7.1-c",
                "incidents:apisix",
            ],
        )
        .step(without(all(str::to_owned).passes(), lower))
        .step(without(
            all(str::to_ascii_uppercase).passes().calls(0),
            lower,
        )),
        rule(
            "names_with_underscores_are_the_same_names",
            &["MCP-PASS-d", "contract:underscore"],
        )
        .step(without(all(underscored).passes(), underscored)),
        rule("several_fields_of_a_name_are_all_removed", &["MCP-PASS-d"]).step(
            mcp()
                .header("X-Access-Token", "{T}")
                .header("x-access-token", "{U}")
                .header("X_Access_Token", "{T}")
                .header("X_Access-Token", "{T}")
                .passes()
                .sees_no("x_access_token")
                .sees_no("x_access-token"),
        ),
        rule(
            "cookies_that_carry_the_token_are_removed",
            &["RFC6750-5.3-c", "MCP-PASS-d", "incidents:jwt_authn"],
        )
        .step(
            mcp()
                .header("Cookie", "a=1; access_token={T}; b=2")
                .passes()
                .sees("cookie", "a=1; b=2"),
        )
        .step(
            mcp()
                .header("Cookie", "session={T}; b=2")
                .passes()
                .calls(0)
                .sees("cookie", "b=2"),
        )
        .step(
            mcp()
                .header("Cookie", "access_token=other; b=2")
                .passes()
                .calls(0)
                .sees("cookie", "b=2"),
        )
        .step(
            mcp()
                .header("Cookie", "a={T%}; b=2")
                .passes()
                .calls(0)
                .sees("cookie", "b=2"),
        )
        .step(
            mcp()
                .header("Cookie", "a=x{T}y")
                .passes()
                .calls(0)
                .sees_no("cookie"),
        )
        .step(
            mcp()
                .header("Cookie", "access_token={T}")
                .passes()
                .calls(0)
                .sees_no("cookie"),
        ),
        rule(
            "cookies_in_several_fields_are_looked_at",
            &["RFC6750-5.3-c"],
        )
        .step({
            let step = mcp()
                .header("Cookie", "a=1")
                .header("Cookie", "access_token={T}")
                .passes();
            step.arrived(|arrived| {
                arrived
                    .headers
                    .push(Check::Contains("cookie", b"a=1".to_vec()))
            })
        }),
        rule("other_cookies_pass", &["MCP-FWD-a"]).step(
            mcp()
                .header("Cookie", "a=1; my_access_token=2")
                .passes()
                .sees("cookie", "a=1; my_access_token=2"),
        ),
        rule("a_header_named_by_connection_is_gone", &["RFC9110-7.6.1-a"])
            .step(
                mcp()
                    .header("Connection", "x-secret")
                    .header("X-Secret", "{T}")
                    .passes()
                    .sees_no("x-secret"),
            )
            .on_the_wire(),
    ]
}

/// The credentials that are set.
fn injected() -> Vec<Scenario> {
    let linear = || post("/linear/mcp").token();
    vec![
        rule(
            "the_servers_own_headers_take_the_place_of_the_clients",
            &["MCP-PASS-b", "RFC9700-4.13-a"],
        )
        .step(
            linear()
                .header("X-Api-Key", "mine")
                .header("x-api-key", "mine too")
                .header("X_Api_Key", "mine")
                .header("X-Region", "us")
                .passes()
                .sees_no("x_api_key"),
        )
        .step(
            post("/plain/mcp")
                .header("Authorization", "Bearer b{T}")
                .header("X-Api-Key", "mine")
                .passes()
                .sees("x-api-key", "mine"),
        ),
        rule("a_server_without_credentials_gets_none", &["MCP-PASS-c"])
            .step(post("/plain/mcp").token().passes().sees_no("authorization")),
        rule(
            "each_server_gets_its_own_credential",
            &["MCP-PASS-f", "MCP-PASS-b"],
        )
        .step(mcp().passes())
        .step(
            post("/shared/a")
                .header("Authorization", "Bearer b{T}")
                .passes(),
        )
        .step(
            linear()
                .header("X-Envoy-Original-Path", "/github/mcp")
                .passes()
                .arrived(|arrived| {
                    arrived.headers.push(Check::Absent("authorization"));
                }),
        ),
    ]
}

/// Who calls, told by the guard only.
fn identity() -> Vec<Scenario> {
    vec![
        rule(
            "identity_headers_come_from_the_claims",
            &["INTRO-id", "RFC9700-4.13-a", "incidents:portkey-audit"],
        )
        .step(
            mcp()
                .header("X-Mcp-Subject", "admin")
                .header("x-mcp-subject", "root")
                .header("X_MCP_Subject", "admin")
                .header("X-Mcp-Client-Id", "admin")
                .passes()
                .sees_no("x_mcp_subject"),
        ),
        rule(
            "identity_headers_of_absent_claims_are_absent",
            &["INTRO-id", "incidents:kong-absent-claims"],
        )
        .step(
            mcp()
                .header("X-Mcp-Subject", "admin")
                .passes()
                .claims(|c| drop(c.as_object_mut().unwrap().remove("sub")))
                .sees_no("x-mcp-subject")
                .arrived(|a| {
                    a.headers
                        .retain(|c| !matches!(c, Check::Is("x-mcp-subject", _)))
                }),
        ),
        rule(
            "an_identity_that_could_split_a_header_goes_nowhere",
            &["INTRO-id"],
        )
        .step({
            let mut step = mcp()
                .passes()
                .claims(|c| c["sub"] = "a\r\nx-evil: y".into());
            step.expect.upstream = Upstream::Nothing;
            step.status(500)
        }),
    ]
}

/// The proof on what is about to leave.
fn leaks() -> Vec<Scenario> {
    let found = |request: Request| request.refused(400, "invalid_request").calls_at_most(1);
    let short = |path: &str| post(path).header("Authorization", "Bearer short-{R}");
    vec![
        rule(
            "the_token_in_any_other_header_is_refused",
            &["MCP-PASS-a", "contract:leak-blocked"],
        )
        .steps([
            found(mcp().header("X-Anything", "{T}")),
            found(mcp().header("X-Anything", "a{T}b")),
            found(mcp().header("X-Anything", "{T%}")),
            found(mcp().header("X-Anything", "Bearer {T}")),
            found(mcp().header("X-Anything", "1").header("X-Anything", "{T}")),
            found(mcp().header("User-Agent", "client/{T}")),
            found(mcp().header("Referer", "https://app.example.com/?t={T%}")),
            found(mcp().header("Mcp-Name", "{T}")),
            found(mcp().header("Mcp-Param-Region", "{T}")),
            found(mcp().header("Traceparent", "00-{T}-01")),
            found(mcp().header("Accept", "{T}")),
            found(mcp().header("X-Bytes", b"\xff{T}\xfe")),
        ]),
        rule(
            "the_token_in_the_path_is_refused",
            &["MCP-PASS-a", "OAUTH21-5.1-q2", "contract:leak-blocked"],
        )
        .steps([
            found(post("/github/mcp/{T%}").token()),
            found(post("/github/mcp/x{T%}y/z").token()),
            found(post("/github/mcp?t={T%}").token()),
            found(post("/github/mcp?t={T}").token()),
            found(post("/github/mcp?{T%}").token()),
            found(post("/github/mcp?a=1&b=x{T}y").token()),
        ]),
        rule(
            "a_short_token_is_refused_where_it_is_the_whole_value",
            &["contract:leak-blocked"],
        )
        .steps([
            found(short(MCP).header("X-Anything", "short-{R}")),
            found(short("/github/mcp/short-{R}")),
            found(short("/github/mcp?a=short-{R}")),
        ]),
        rule(
            "a_short_token_may_be_part_of_something",
            &["contract:leak-blocked"],
        )
        .steps([
            short(MCP)
                .header("X-Anything", "a-short-{R}-b")
                .passes()
                .calls_at_most(1),
            short("/github/mcp/short-{R}2?a=xshort-{R}")
                .passes()
                .calls_at_most(1),
        ]),
        rule("another_token_is_not_looked_for", &["MCP-FWD-a"]).step(
            mcp()
                .header("X-Anything", "something-long-enough-to-be-a-token")
                .passes(),
        ),
        rule(
            "bytes_that_are_not_text_pass",
            &["incidents:sdk-utf8", "host:1.1"],
        )
        .step(
            mcp()
                .header("X-Bytes", b"caf\xe9 \xff\x80")
                .passes()
                .sees("x-bytes", b"caf\xe9 \xff\x80"),
        )
        .step(
            mcp()
                .header("Cookie", b"a=\xff; access_token=\xfe")
                .passes()
                .calls(0)
                .sees("cookie", b"a=\xff"),
        )
        .step(
            mcp()
                .header("Mcp-Name", b"d\xc3\xa9l")
                .passes()
                .calls(0)
                .sees("mcp-name", b"d\xc3\xa9l"),
        )
        .step(mcp().header("User-Agent", b"\xff").passes().calls(0))
        .step(mcp().header("Origin", b"https://\xff").refused(403, "*"))
        .step(
            mcp()
                .header("Content-Type", b"\xff/json")
                .passes()
                .calls(0)
                .arrived(|_| ()),
        )
        .step(
            mcp()
                .header("Mcp-Session-Id", b"\xff\xfe")
                .refused(404, "*"),
        ),
    ]
}

/// Trailers of requests.
fn trailers() -> Vec<Scenario> {
    let sees = |step: Step, check: Check| step.arrived(|arrived| arrived.trailers.push(check));
    let found = |request: Request| {
        let mut step = request.step().status(400).calls_at_most(1);
        step.expect.upstream = Upstream::NoToken;
        step
    };
    vec![
        rule(
            "trailers_that_carry_credentials_are_removed",
            &["RFC9110-6.5.1-a", "MCP-PASS-a"],
        )
        .step({
            let step = mcp()
                .trailer("Authorization", "Bearer {T}")
                .trailer("X-Access-Token", "{T}")
                .trailer("X-Api-Key", "mine")
                .trailer("X-Mcp-Subject", "admin")
                .trailer("x-legacy-token", "{T}")
                .trailer("X-Checksum", "abc")
                .passes();
            [
                "authorization",
                "x-access-token",
                "x-mcp-subject",
                "x-legacy-token",
            ]
            .into_iter()
            .fold(
                sees(step, super::super::build::is("x-checksum", "abc")),
                |step, name| sees(step, Check::Absent(name)),
            )
        }),
        rule(
            "trailers_over_http2_are_looked_at_too",
            &["RFC9110-6.5.1-a", "MCP-PASS-a"],
        )
        .step({
            let step = post("/linear/mcp")
                .token()
                .trailer("Authorization", "Bearer {T}")
                .trailer("X_Api_Key", "mine")
                .trailer("X-Checksum", "abc")
                .passes();
            let step = sees(step, super::super::build::is("x-checksum", "abc"));
            sees(
                sees(step, Check::Absent("authorization")),
                Check::Absent("x_api_key"),
            )
        }),
        rule(
            "the_token_in_a_trailer_is_refused",
            &["MCP-PASS-a", "contract:leak-blocked-trailer"],
        )
        .step(found(mcp().trailer("X-Checksum", "{T}")))
        .step(found(mcp().trailer("X-Checksum", "a{T%}b"))),
        rule("trailers_of_a_refused_request_go_nowhere", &["MCP-PASS-e"]).step(
            mcp()
                .trailer("X-Checksum", "abc")
                .refused(401, "invalid_token")
                .answered(super::super::inactive())
                .calls(1),
        ),
    ]
}

/// What is not the guard's business.
fn untouched() -> Vec<Scenario> {
    let error =
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32022, "message": "unsupported"}});
    let answered = |code: u16| {
        mcp()
            .passes()
            .calls(0)
            .upstream(status(code).json(error.clone()))
            .status(code)
            .content(super::super::BodyCheck::Json(error.clone()))
            .gets("content-type", "application/json")
    };
    vec![
        rule(
            "mcp_headers_pass_unchanged",
            &["MCP-FWD-a", "MCP-FWD-b", "MCP-NAME-a"],
        )
        .step(
            mcp()
                .header("Mcp-Param-Region", "us")
                .header("Mcp-Method", "tools/call")
                .header("Mcp-Name", "=?base64?ZMOpbGV0ZQ==?=")
                .header("MCP-Protocol-Version", "2026-07-28")
                .header("Last-Event-ID", "42")
                .header("Mcp-Unknown", "x")
                .passes()
                .sees("mcp-param-region", "us")
                .sees("mcp-method", "tools/call")
                .sees("mcp-name", "=?base64?ZMOpbGV0ZQ==?=")
                .sees("mcp-protocol-version", "2026-07-28")
                .sees("last-event-id", "42")
                .sees("mcp-unknown", "x")
                .sees("accept", "application/json, text/event-stream"),
        ),
        rule("content_passes_unchanged", &["MCP-FWD-b"])
            .step(
                mcp()
                    .body("any \u{1} bytes")
                    .passes()
                    .arrived(|a| a.body = Some(b"any \x01 bytes".to_vec())),
            )
            .step(
                mcp()
                    .body("")
                    .passes()
                    .calls(0)
                    .arrived(|a| a.body = Some(Vec::new())),
            ),
        rule("the_query_passes_unchanged", &["MCP-FWD-a"]).step(
            post("/github/mcp/?a=1&b=%20&c&=&%zz")
                .token()
                .passes()
                .sees_path("/github/mcp/?a=1&b=%20&c&=&%zz"),
        ),
        rule(
            "answers_of_the_upstream_pass_unchanged",
            &["MCP-FWD-b", "MCP-METH-a"],
        )
        .step(mcp().passes())
        .steps([200, 202, 400, 403, 404, 405, 429, 500, 503].map(answered)),
        rule("fields_of_the_answer_pass_unchanged", &["MCP-FWD-b"]).step(
            mcp()
                .passes()
                .upstream(
                    status(200)
                        .header("X-Accel-Buffering", "no")
                        .header("X-Bytes", b"\xff\xe9")
                        .header("Retry-After", "9"),
                )
                .gets("x-accel-buffering", "no")
                .gets("x-bytes", b"\xff\xe9")
                .gets("retry-after", "9"),
        ),
    ]
}

/// Our credential in the answer of the upstream.
fn responses() -> Vec<Scenario> {
    vec![
        rule(
            "answer_fields_that_repeat_our_credential_are_removed",
            &["MCP-PASS-h", "contract:response-credential"],
        )
        .step(
            mcp()
                .passes()
                .upstream(
                    status(200)
                        .header("X-Echo", "Bearer kanarie-alpha-credential")
                        .header("X-Echo-Part", "a;kanarie-alpha-credential;b")
                        .header("Set-Cookie", "key=kanarie-alpha-credential; Path=/")
                        .header("X-Good", "stays"),
                )
                .gets_no("x-echo")
                .gets_no("x-echo-part")
                .gets_no("set-cookie")
                .gets("x-good", "stays"),
        )
        .step(
            post("/linear/mcp")
                .header("Authorization", "Bearer b{T}")
                .passes()
                .upstream(
                    status(200)
                        .header("X-Echo", "kanarie-beta-key")
                        .header("X-Region", "eu"),
                )
                .gets_no("x-echo")
                .gets("x-region", "eu"),
        ),
        rule(
            "one_of_several_answer_fields_that_repeats_our_credential_is_removed",
            &["MCP-PASS-h"],
        )
        .step(
            mcp()
                .passes()
                .upstream(
                    status(200)
                        .header("Set-Cookie", "a=1")
                        .header("Set-Cookie", "b=kanarie-alpha-credential")
                        .header("Set-Cookie", "c=3"),
                )
                .lacks("set-cookie", "kanarie-alpha-credential"),
        ),
    ]
}
