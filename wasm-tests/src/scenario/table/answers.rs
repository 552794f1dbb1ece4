//! What passes unchanged, and what comes back: standards.md sections K and L.

use serde_json::json;

use super::super::build::{post, rule, status};
use super::super::{BodyCheck, Request, Scenario};

/// A POST with a good token.
fn mcp() -> Request {
    post("/github/mcp").token()
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [untouched(), responses()].concat()
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
            .content(BodyCheck::Json(error.clone()))
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
