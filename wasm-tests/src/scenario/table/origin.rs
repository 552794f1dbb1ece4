//! Browsers: Origin, preflights and CORS, standards.md section J.

use super::super::build::{inactive, is, options, post, rule, status};
use super::super::{BodyCheck, Check, Request, Scenario, Step};

/// The origin that is allowed.
const APP: &str = "https://app.example.com";

/// A preflight from an origin.
fn preflight(path: &str, origin: &str) -> Request {
    options(path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type,mcp-name,mcp-param-region",
        )
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [origins(), preflights(), answers()].concat()
}

/// Which origins may call.
fn origins() -> Vec<Scenario> {
    let refused = |origin: &str| {
        post("/github/mcp")
            .token()
            .header("Origin", origin)
            .refused(403, "*")
            .gets_no("access-control-allow-origin")
    };
    vec![
        rule(
            "an_origin_that_is_not_allowed_is_403",
            &["MCP-ORIGIN-a", "MCP-ORIGIN-b"],
        )
        .steps([
            refused("https://evil.example.com"),
            refused("http://app.example.com"),
            refused("https://app.example.com:8443"),
            refused("https://app.example.com.evil.example.com"),
            refused("https://app.example.com/"),
            refused("https://xapp.example.com"),
            refused("null"),
            refused("*"),
            refused("https://app.example.com https://evil.example.com"),
        ]),
        rule(
            "a_bad_origin_is_refused_before_the_token_is_looked_at",
            &["MCP-ORIGIN-a", "contract:order"],
        )
        .step(
            post("/github/mcp")
                .header("Origin", "https://evil.example.com")
                .refused(403, "*"),
        ),
        rule("the_resources_own_origin_may_call", &["MCP-ORIGIN-b"]).step(
            post("/github/mcp")
                .token()
                .header("Origin", "https://gateway.example.com")
                .passes(),
        ),
        rule("another_resources_origin_may_not_call", &["MCP-ORIGIN-b"]).step(
            post("/github/mcp")
                .token()
                .header("Origin", "https://single.example.com")
                .refused(403, "*"),
        ),
        rule(
            "an_allowed_origin_may_call",
            &[
                "MCP-ORIGIN-a",
                "FETCH-exp-a",
                "FETCH-cred-a",
                "RFC9111-4.1-v",
            ],
        )
        .step(post("/github/mcp").token().header("Origin", APP).passes()),
        rule("two_origins_are_refused", &["MCP-ORIGIN-b"]).step(
            post("/github/mcp")
                .token()
                .header("Origin", APP)
                .header("Origin", "https://evil.example.com")
                .refused(403, "*"),
        ),
    ]
}

/// Preflights, and requests that only look like one.
fn preflights() -> Vec<Scenario> {
    let allowed = |step: Step| {
        step.status(204)
            .content(BodyCheck::Empty)
            .gets("access-control-allow-origin", APP)
            .gets_listed("access-control-allow-methods", "POST")
            .gets_listed("access-control-allow-methods", "GET")
            .gets_listed("access-control-allow-methods", "DELETE")
            .gets_listed("access-control-allow-headers", "authorization")
            .gets_listed("access-control-allow-headers", "mcp-name")
            .gets_listed("access-control-allow-headers", "mcp-param-region")
            .gets_listed("vary", "Origin")
    };
    vec![
        rule(
            "a_preflight_is_answered_here",
            &["FETCH-pre-a", "FETCH-pre-b", "FETCH-meth-a"],
        )
        .step(allowed(preflight("/github/mcp", APP).step()))
        .step(allowed(preflight("/plain/mcp", APP).step())),
        rule(
            "a_preflight_from_elsewhere_is_403",
            &["FETCH-pre-a", "MCP-ORIGIN-a"],
        )
        .step(preflight("/github/mcp", "https://evil.example.com").refused(403, "*")),
        rule(
            "a_preflight_is_no_way_to_an_unlisted_cluster",
            &["OPTIONS-plain"],
        )
        .step(preflight("/unlisted", APP).step().status(403)),
        rule("other_options_need_a_token", &["OPTIONS-plain"])
            .step(options("/github/mcp").unauthorized())
            .step(options("/github/mcp").header("Origin", APP).unauthorized())
            .step(
                options("/github/mcp")
                    .header("Access-Control-Request-Method", "POST")
                    .unauthorized(),
            )
            .step(options("/github/mcp").token().passes()),
    ]
}

/// CORS on what is no preflight. The judge checks the fields of every reply to
/// the allowed origin.
fn answers() -> Vec<Scenario> {
    let browser = || post("/github/mcp").header("Origin", APP);
    let upstream = status(200)
        .header("Access-Control-Allow-Origin", "*")
        .header("Access-Control-Allow-Credentials", "true")
        .header("Access-Control-Expose-Headers", "x-upstream")
        .header("Vary", "Accept-Encoding");
    vec![
        rule("a_browser_sees_why_it_was_refused", &["FETCH-exp-a"])
            .step(browser().unauthorized())
            .step(
                browser()
                    .header("Authorization", "Bearer a b")
                    .refused(401, "invalid_token"),
            )
            .step(
                browser()
                    .header("Authorization", "Bearer {T},Bearer {U}")
                    .refused(400, "invalid_request"),
            )
            .step(
                browser()
                    .token()
                    .refused(503, "*")
                    .answered(status(500))
                    .calls_at_most(2),
            )
            .step(
                browser()
                    .token()
                    .refused(401, "invalid_token")
                    .answered(inactive())
                    .calls(1),
            )
            .step(
                browser()
                    .header("Authorization", "Bearer b{T}")
                    .refused(403, "insufficient_scope")
                    .claims(|c| c["scope"] = "".into())
                    .calls(1),
            ),
        rule(
            "our_cors_takes_the_place_of_the_upstreams",
            &["FETCH-cred-a", "CORS-order", "contract:cors"],
        )
        .step(
            browser()
                .token()
                .passes()
                .upstream(upstream.clone())
                .gets_no("access-control-allow-credentials"),
        ),
        rule("vary_of_the_upstream_stays", &["RFC9111-4.1-v"]).step({
            let mut step = browser().token().passes().upstream(upstream);
            // One field or two: both are one list.
            step.expect
                .headers
                .push(Check::Lacks("access-control-allow-origin", b"*".to_vec()));
            step
        }),
        rule(
            "an_upstreams_refusal_of_our_credential_is_readable_too",
            &["FETCH-exp-a", "contract:upstream-401"],
        )
        .step(
            browser()
                .token()
                .passes()
                .upstream(status(401).header("WWW-Authenticate", "Bearer"))
                .status(502)
                .content(BodyCheck::Error("upstream_credential_rejected")),
        ),
        rule(
            "the_origin_reaches_the_upstream_or_not_at_all_changed",
            &["MCP-FWD-a"],
        )
        .step(browser().token().passes().arrived(|arrived| {
            arrived.headers.push(is("origin", APP));
        })),
    ]
}
