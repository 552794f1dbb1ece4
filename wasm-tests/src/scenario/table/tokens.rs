//! Finding the token in a request: standards.md section A.

use super::super::Scenario;
use super::super::build::{post, rule};

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        rule(
            "a_good_token_is_let_in",
            &["RFC6750-2.1-a", "MCP-PASS-a", "MCP-PASS-b"],
        )
        .step(post("/github/mcp").token().passes()),
        rule("no_token_is_401_without_an_error", &["RFC6750-3.1-a"])
            .step(post("/github/mcp").unauthorized()),
    ]
}
