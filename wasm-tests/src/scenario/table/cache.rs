//! What is kept, for how long and for whom: standards.md section E.

use core::time::Duration;

use serde_json::{Value, json};

use super::super::build::{inactive, post, rule, status};
use super::super::{Configuration, Scenario, Step};

/// Nothing is kept.
const NOTHING_KEPT: Configuration = Configuration {
    name: "nothing kept",
    patch: |value| {
        value["cache"] = json!({"ttl": "0s", "negative_ttl": "0s"});
    },
};

/// Answers are kept for a second.
const A_SECOND: Configuration = Configuration {
    name: "kept for a second",
    patch: |value| {
        value["cache"] = json!({"ttl": "1s", "negative_ttl": "1s"});
    },
};

/// Answers are kept for a second, and longer while nobody can be asked.
const STALE: Configuration = Configuration {
    name: "stale if error",
    patch: |value| {
        value["cache"] = json!({"ttl": "1s", "negative_ttl": "1s", "stale_if_error": "1m"});
    },
};

/// More than the second for which things are kept.
const LATER: Duration = Duration::from_millis(1_300);

/// A good request.
fn good() -> Step {
    post("/github/mcp").token().passes()
}

/// A request that is refused as inactive.
fn bad() -> Step {
    post("/github/mcp")
        .token()
        .refused(401, "invalid_token")
        .answered(inactive())
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    let down = || {
        post("/github/mcp")
            .token()
            .refused(503, "*")
            .answered(status(500))
            .calls_at_most(2)
    };
    let both = |c: &mut Value| {
        c["aud"] = json!([
            "https://gateway.example.com/github/mcp",
            "https://gateway.example.com/linear/mcp"
        ]);
        c["scope"] = "mcp:read".into();
    };
    let other =
        |token: &str| post("/github/mcp").header("Authorization", format!("Bearer {token}"));
    vec![
        rule("an_active_answer_is_kept", &["RFC7662-4-ca"])
            .step(good().calls(1))
            .step(good().calls(0))
            // Whatever the authorization server would say now.
            .step(good().calls(0).answered(inactive()))
            .step(good().calls(0).answered(status(500))),
        rule("an_inactive_answer_is_kept", &["CACHE-neg"])
            .step(bad().calls(1))
            .step(bad().calls(0).claims(|_| ())),
        rule("nothing_is_kept_if_so_configured", &["RFC7662-4-ca"])
            .under(NOTHING_KEPT)
            .step(good().calls(1))
            .step(good().calls(1))
            .step(bad().calls(1))
            .step(bad().calls(1))
            .step(good().calls(1)),
        rule(
            "an_active_answer_is_asked_about_again_after_its_time",
            &["RFC7662-4-cc", "CACHE-recheck"],
        )
        .under(A_SECOND)
        .step(good().calls(1))
        .step(bad().calls(1).after(LATER)),
        rule(
            "an_inactive_answer_is_asked_about_again_after_its_time",
            &["CACHE-neg"],
        )
        .under(A_SECOND)
        .step(bad().calls(1))
        .step(good().calls(1).after(LATER)),
        rule("nothing_is_kept_past_exp", &["RFC7662-4-cb"])
            .step(good().claims(|c| c["exp"] = "@now+2".into()))
            .step(bad().calls(1).after(Duration::from_millis(2_300))),
        rule(
            "claims_are_judged_again_at_another_server",
            &["CACHE-recheck", "MCP-SCOPE-d"],
        )
        .step(good().claims(both))
        .step(
            post("/linear/mcp")
                .token()
                .refused(403, "insufficient_scope")
                .calls(0),
        )
        .step(good().calls(0)),
        rule(
            "a_refusal_at_one_server_is_not_kept_for_another",
            &["CACHE-recheck"],
        )
        .step(
            post("/linear/mcp")
                .token()
                .refused(403, "insufficient_scope")
                .claims(both)
                .calls(1),
        )
        .step(good().calls(0)),
        rule(
            "an_audience_is_judged_again_at_another_server",
            &["CACHE-recheck", "RFC8707-3-a"],
        )
        .step(good())
        .step(
            post("/linear/mcp")
                .token()
                .refused(401, "invalid_token")
                .calls(0),
        ),
        rule(
            "almost_equal_tokens_are_different_tokens",
            &["CACHE-key", "incidents:litellm-prefix"],
        )
        .step(other("{T}").passes())
        .step(
            other("{T}=")
                .refused(401, "invalid_token")
                .answered(inactive())
                .calls(1),
        )
        .step(
            other("x{T}")
                .refused(401, "invalid_token")
                .answered(inactive())
                .calls(1),
        )
        .step(other("{T}").passes().calls(0)),
        rule("a_failure_is_not_kept_after_many", &["CACHE-neg"])
            .step(down())
            .step(down())
            .step(good()),
        rule(
            "a_stale_answer_serves_while_nobody_can_be_asked",
            &["contract:stale-if-error"],
        )
        .under(STALE)
        .step(good())
        .step(good().after(LATER).answered(status(500)).calls_at_most(2))
        // An answer counts again as soon as there is one.
        .step(bad().calls(1)),
        rule(
            "a_stale_answer_does_not_serve_past_exp",
            &["contract:stale-if-error", "RFC7662-4-cb"],
        )
        .under(STALE)
        .step(good().claims(|c| c["exp"] = "@now+3".into()))
        .step(down().after(Duration::from_millis(3_300))),
        rule(
            "an_inactive_answer_does_not_serve_when_stale",
            &["contract:stale-if-error"],
        )
        .under(STALE)
        .step(bad().calls(1))
        .step(down().after(LATER)),
        rule(
            "without_stale_if_error_there_is_no_stale_answer",
            &["contract:stale-if-error"],
        )
        .under(A_SECOND)
        .step(good())
        .step(down().after(LATER)),
    ]
}
