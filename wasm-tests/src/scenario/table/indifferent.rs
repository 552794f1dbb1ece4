//! What the guard could look at and does not: it neither grants nor denies
//! anything for it, and passes it on as it is.

use serde_json::json;

use super::super::build::{get, post, rule, status};
use super::super::{BodyCheck, Request, Scenario, Step, default_claims};

/// A call of a tool, as its headers say it.
fn tool(name: &str) -> Request {
    post("/github/mcp")
        .header("MCP-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/call")
        .header("Mcp-Name", name)
}

/// A call of a tool that arrives with its headers as they were.
fn unchanged(name: &str) -> Step {
    tool(name)
        .token()
        .passes()
        .sees("mcp-name", name)
        .sees("mcp-method", "tools/call")
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    let claims = default_claims(b"/github/mcp");
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/call"}]"#;
    let cacheable = || status(200).header("cache-control", "public, max-age=600");
    vec![
        rule(
            "the_time_to_keep_an_answer_is_the_configured_one",
            &["CACHE-http"],
        )
        .step(
            post("/github/mcp")
                .token()
                .passes()
                .answered(status(200).header("cache-control", "no-store").json(claims)),
        )
        .step(post("/github/mcp").token().passes().calls(0)),
        rule(
            "answers_of_the_mcp_server_are_kept_for_nobody",
            &["RFC9111-3.5-a", "MCP-CACHE-a"],
        )
        .step(get("/github/mcp").token().passes().upstream(cacheable()))
        .step(
            get("/github/mcp")
                .token()
                .passes()
                .upstream(cacheable())
                .calls(0),
        )
        .step(
            get("/github/mcp")
                .header("Authorization", "Bearer {U}")
                .passes()
                .upstream(cacheable()),
        ),
        rule(
            "headers_about_the_call_grant_and_deny_nothing",
            &["MCP-TOOLSCOPE-a", "MCP-VER-a"],
        )
        .step(
            tool("read")
                .token()
                .refused(403, "insufficient_scope")
                .claims(|c| c["scope"] = "other".into())
                .calls(1),
        )
        .step(
            tool("delete")
                .header("Authorization", "Bearer {U}")
                .passes(),
        )
        .step(
            post("/github/mcp")
                .header("Authorization", "Bearer {U}")
                .passes()
                .calls(0),
        ),
        rule(
            "names_in_headers_are_passed_on_encoded_or_not",
            &["MCP-NAME-b", "MCP-NAME-c"],
        )
        .step(unchanged("=?base64?ZMOpbMOpdGU=?="))
        .step(unchanged("=?base64?***?=").calls(0))
        .step(unchanged("echo").calls(0)),
        rule(
            "the_revision_and_the_body_are_for_the_mcp_server_to_judge",
            &["MCP-VER-b"],
        )
        .step(
            post("/github/mcp")
                .header("MCP-Protocol-Version", "1999-01-01")
                .header("Mcp-Method", "tools/call")
                .token()
                .passes()
                .sees("mcp-protocol-version", "1999-01-01"),
        ),
        rule(
            "a_batch_needs_its_token_and_arrives_as_it_is",
            &["MCP-BATCH-a"],
        )
        .step(post("/github/mcp").body(batch).unauthorized())
        .step(
            post("/github/mcp")
                .body(batch)
                .token()
                .passes()
                .arrived(|arrived| arrived.body = Some(batch.into())),
        ),
        rule(
            "when_a_token_was_issued_does_not_matter",
            &["RFC7662-2.2-iat"],
        )
        .step(
            post("/github/mcp")
                .token()
                .passes()
                .claims(|c| c["iat"] = "@now+86400".into()),
        ),
        rule(
            "the_metadata_has_a_name_and_no_other_optional_member",
            &["RFC9728-2-n"],
        )
        .step(
            get("/.well-known/oauth-protected-resource/github/mcp")
                .step()
                .status(200)
                .content(BodyCheck::Json(json!({
                    "resource": "https://gateway.example.com/github/mcp",
                    "resource_name": "github",
                    "authorization_servers": ["https://auth.example.com"],
                    "bearer_methods_supported": ["header"],
                    "scopes_supported": ["mcp:read"],
                }))),
        ),
    ]
}
