//! Audience and scope: standards.md sections F and G.

use serde_json::{Value, json};

use super::super::build::{is, post, rule};
use super::super::{Check, Request, Scenario};

/// The resource of the server `github`.
const GITHUB: &str = "https://gateway.example.com/github/mcp";

/// A step that refuses the token.
fn foreign(request: Request, audience: Value) -> super::super::Step {
    request
        .token()
        .refused(401, "invalid_token")
        .claims(|c| c["aud"] = audience)
        .calls(1)
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [audience(), path(), scope()].concat()
}

/// Whom the token was issued for.
fn audience() -> Vec<Scenario> {
    let here = || post("/github/mcp");
    let wrong = |name, proves, audience: Value| rule(name, proves).step(foreign(here(), audience));
    let right = |name, proves, audience: Value| {
        rule(name, proves).step(here().token().passes().claims(|c| c["aud"] = audience))
    };
    let single = || post("/single").to("single.example.com");
    vec![
        wrong(
            "another_audience_is_refused",
            &["MCP-AUD-a", "MCP-AUD-b"],
            json!("https://other.example.com/mcp"),
        ),
        wrong(
            "an_empty_list_of_audiences_is_refused",
            &["RFC7662-2.2-aud"],
            json!([]),
        ),
        wrong(
            "an_empty_audience_is_refused",
            &["RFC7662-2.2-aud"],
            json!(""),
        ),
        wrong("a_number_is_no_audience", &["RFC7662-2.2-aud"], json!([1])),
        wrong("an_object_is_no_audience", &["RFC7662-2.2-aud"], json!({})),
        wrong("null_is_no_audience", &["RFC7662-2.2-aud"], Value::Null),
        wrong(
            "an_audience_that_begins_like_ours_is_refused",
            &["RFC8707-3-b"],
            json!(format!("{GITHUB}-evil")),
        ),
        wrong(
            "a_parent_of_our_audience_is_refused",
            &["RFC8707-3-b"],
            json!("https://gateway.example.com/"),
        ),
        wrong(
            "our_audience_with_a_slash_is_refused",
            &["INTEROP-slash"],
            json!(format!("{GITHUB}/")),
        ),
        wrong(
            "our_audience_with_another_path_case_is_refused",
            &["MCP-CANON-a"],
            json!("https://gateway.example.com/GitHub/mcp"),
        ),
        wrong(
            "our_audience_by_http_is_refused",
            &["RFC8707-3-b"],
            json!("http://gateway.example.com/github/mcp"),
        ),
        wrong(
            "a_list_of_audiences_as_text_is_refused",
            &["RFC7662-2.2-aud"],
            json!(format!("{GITHUB} https://x")),
        ),
        right(
            "one_of_several_audiences_will_do",
            &["RFC7662-2.2-aud", "MCP-AUD-e"],
            json!(["https://other.example.com", GITHUB]),
        ),
        right(
            "an_audience_with_an_upper_case_host_will_do",
            &["MCP-CANON-a"],
            json!("HTTPS://GateWay.Example.com/github/mcp"),
        ),
        rule("a_missing_audience_is_refused", &["MCP-AUD-a"]).step(
            here()
                .token()
                .refused(401, "invalid_token")
                .no_claim("aud")
                .calls(1),
        ),
        rule("a_bare_origin_has_two_forms", &["INTEROP-slash"])
            .step(
                single()
                    .header("Authorization", "Bearer a{T}")
                    .passes()
                    .claims(|c| c["aud"] = "https://single.example.com".into()),
            )
            .step(
                single()
                    .header("Authorization", "Bearer b{T}")
                    .passes()
                    .claims(|c| c["aud"] = "https://single.example.com/".into()),
            )
            .step(
                single()
                    .header("Authorization", "Bearer c{T}")
                    .refused(401, "invalid_token")
                    .claims(|c| c["aud"] = "https://single.example.com/x".into())
                    .calls(1),
            ),
        rule(
            "a_token_for_one_server_does_not_open_another",
            &["RFC8707-3-a"],
        )
        .step(foreign(post("/linear/mcp"), json!(GITHUB)))
        .step(post("/github/mcp").token().passes().calls(0)),
        rule(
            "an_audience_that_the_authorization_server_checks_may_be_absent",
            &["MCP-AUD-c"],
        )
        .step(post("/unaimed/mcp").token().passes().no_claim("aud")),
        rule(
            "an_audience_that_the_authorization_server_checks_may_not_be_foreign",
            &["MCP-AUD-c"],
        )
        .step(foreign(
            post("/unaimed/mcp"),
            json!("https://other.example.com"),
        )),
        rule(
            "the_clients_host_does_not_choose_the_audience",
            &["MCP-AUD-d"],
        )
        .step(foreign(
            here()
                .to("evil.example.com")
                .header("X-Forwarded-Host", "evil.example.com"),
            json!("https://evil.example.com/github/mcp"),
        ))
        .step(
            here()
                .to("evil.example.com")
                .header("Authorization", "Bearer b{T}")
                .passes(),
        ),
    ]
}

/// Servers behind one cluster.
fn path() -> Vec<Scenario> {
    vec![
        rule(
            "the_longest_path_decides_between_servers_of_one_cluster",
            &["contract:shared-cluster"],
        )
        .step(post("/shared/a").token().passes())
        .step(post("/shared/a/x/y?z=1").token().passes().calls(0))
        .step(
            post("/shared/a/b")
                .header("Authorization", "Bearer b{T}")
                .passes(),
        )
        .step(
            post("/shared/a/b/c")
                .header("Authorization", "Bearer b{T}")
                .passes()
                .calls(0),
        ),
        rule(
            "paths_are_compared_by_whole_segments",
            &["contract:shared-cluster"],
        )
        .step(post("/shared/ab").token().refused(403, "access_denied"))
        .step(
            post("/shared/a/bc")
                .token()
                .passes()
                .claims(|c| {
                    c["aud"] = "https://gateway.example.com/shared/a".into();
                })
                .arrived(|arrived| {
                    // `passes` takes the path for one of the other server.
                    arrived
                        .headers
                        .retain(|c| !matches!(c, Check::Is("authorization", _)));
                    arrived
                        .headers
                        .push(is("authorization", "Bearer kanarie-team-a-credential"));
                }),
        ),
        rule(
            "a_path_of_no_server_of_the_cluster_is_403",
            &["contract:shared-cluster"],
        )
        .step(post("/shared").token().refused(403, "access_denied"))
        .step(post("/shared/c/a").refused(403, "access_denied")),
        rule(
            "a_token_for_one_path_does_not_open_another",
            &["contract:shared-cluster", "RFC8707-3-a"],
        )
        .step(post("/shared/a").token().passes())
        .step(
            post("/shared/a/b")
                .token()
                .refused(401, "invalid_token")
                .calls(0),
        ),
        rule(
            "one_server_can_have_several_clusters",
            &["contract:cluster-list"],
        )
        .step(post("/unaimed/mcp").token().passes()),
        rule(
            "a_pattern_finds_its_clusters",
            &["contract:cluster-pattern", "MCP-PASS-c"],
        )
        .step(
            post("/plain/mcp")
                .token()
                .passes()
                .sees_no("authorization")
                .sees_no("x-api-key"),
        ),
    ]
}

/// What the token lets its bearer do.
fn scope() -> Vec<Scenario> {
    let with = |scope: &'static str| move |c: &mut Value| c["scope"] = scope.into();
    let right = |name, proves, scope| {
        rule(name, proves).step(post("/linear/mcp").token().passes().claims(with(scope)))
    };
    let wrong = |name, proves, scope| {
        rule(name, proves).step(
            post("/linear/mcp")
                .token()
                .refused(403, "insufficient_scope")
                .claims(with(scope))
                .calls(1)
                .gets_in("www-authenticate", r#"scope="mcp:read mcp:write""#),
        )
    };
    vec![
        right(
            "scopes_are_in_any_order",
            &["RFC7662-2.2-scope"],
            "mcp:write other mcp:read",
        ),
        right(
            "scopes_may_be_separated_by_more_than_a_space",
            &["RFC7662-2.2-scope"],
            " mcp:read  mcp:write ",
        ),
        right("a_scope_may_imply_others", &["MCP-SCOPE-c"], "mcp:admin"),
        right(
            "a_scope_may_imply_others_over_several_steps",
            &["MCP-SCOPE-c"],
            "org:root",
        ),
        wrong(
            "one_of_two_scopes_is_not_enough",
            &["MCP-SCOPE-b", "OAUTH21-5.2-s"],
            "mcp:read",
        ),
        wrong("no_scope_is_not_enough", &["RFC7662-2.2-scope"], ""),
        wrong(
            "a_scope_in_another_case_is_another_scope",
            &["RFC7662-2.2-scope"],
            "mcp:READ mcp:write",
        ),
        wrong(
            "part_of_a_scope_is_not_the_scope",
            &["RFC7662-2.2-scope"],
            "mcp:reader mcp:write mcp:rea",
        ),
        wrong(
            "a_scope_by_tab_is_not_separate",
            &["RFC7662-2.2-scope"],
            "mcp:read\tmcp:write",
        ),
        rule("an_absent_scope_is_none", &["RFC7662-2.2-scope"]).step(
            post("/github/mcp")
                .token()
                .refused(403, "insufficient_scope")
                .no_claim("scope")
                .calls(1),
        ),
        rule(
            "a_server_that_needs_no_scope_asks_for_none",
            &["OAUTH21-5.2-s"],
        )
        .step(post("/plain/mcp").token().passes().no_claim("scope")),
        rule(
            "a_foreign_token_does_not_learn_the_scopes_it_lacks",
            &["MCP-SCOPE-f"],
        )
        .step(
            post("/linear/mcp")
                .token()
                .refused(401, "invalid_token")
                .claims(|c| {
                    c["aud"] = "https://other.example.com".into();
                    c["scope"] = "".into();
                })
                .calls(1),
        ),
        rule("the_same_request_is_challenged_alike", &["MCP-SCOPE-d"])
            .step(
                post("/linear/mcp")
                    .token()
                    .refused(403, "insufficient_scope")
                    .claims(with("mcp:read"))
                    .calls(1)
                    .capture(":reply", "first"),
            )
            .step({
                let mut step = post("/linear/mcp")
                    .token()
                    .refused(403, "insufficient_scope")
                    .calls(0);
                step.expect
                    .headers
                    .push(Check::Pseudo(":reply", b"{first}".to_vec()));
                step
            }),
    ]
}
