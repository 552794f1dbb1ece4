//! What reaches the upstream, and what comes back: standards.md section K.

use super::super::build::{post, rule};
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
    [aliases(), injected(), identity()].concat()
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
                    .push(Check::Contains("cookie", b"a=1".to_vec()));
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
            post("/linear/mcp")
                .header("Authorization", "Bearer c{T}")
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
                .no_claim("sub")
                .sees_no("x-mcp-subject")
                .arrived(|a| {
                    a.headers
                        .retain(|c| !matches!(c, Check::Is("x-mcp-subject", _)));
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
