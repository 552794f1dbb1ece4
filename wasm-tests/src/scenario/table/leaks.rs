//! The proof on what is about to leave: contract sections 1 and 3.

use super::super::build::{inactive, is, post, rule};
use super::super::{Check, Request, Scenario, Step, Upstream};

/// A server with one credential.
const MCP: &str = "/github/mcp";

/// A POST with a good token.
fn mcp() -> Request {
    post(MCP).token()
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [leaks(), trailers()].concat()
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
            found(post("/github/mcp/{T%/}").token()),
            found(post("/github/mcp/x{T}y/z").token()),
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
            .fold(sees(step, is("x-checksum", "abc")), |step, name| {
                sees(step, Check::Absent(name))
            })
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
            let step = sees(step, is("x-checksum", "abc"));
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
        .step(found(mcp().trailer("X-Checksum", "a{T%}b")))
        .step(found(mcp().trailer("X-Checksum", "a{T}b"))),
        rule("trailers_of_a_refused_request_go_nowhere", &["MCP-PASS-e"]).step(
            mcp()
                .trailer("X-Checksum", "abc")
                .refused(401, "invalid_token")
                .answered(inactive())
                .calls(1),
        ),
    ]
}
