//! What refusals look like: standards.md section B, and requests that no server
//! is there for.

use serde_json::json;

use super::super::build::{get, head, inactive, post, rule, status};
use super::super::{BodyCheck, Check, Configuration, Scenario, Step};

/// Requests to other clusters are left alone.
const IGNORE: Configuration = Configuration {
    name: "unlisted clusters ignored",
    patch: |value| value["unlisted_clusters"] = "ignore".into(),
};

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [challenges(), alike(), unlisted(), upstream_refuses()].concat()
}

/// The challenge, to the byte.
fn challenges() -> Vec<Scenario> {
    let github = "https://gateway.example.com/.well-known/oauth-protected-resource/github/mcp";
    vec![
        rule("the_first_challenge_names_metadata_and_scopes", &["RFC9728-5.1-a", "MCP-SCOPE-a", "RFC6750-3-b", "contract:challenge"])
            .step(post("/github/mcp").unauthorized().gets(
                "www-authenticate",
                format!(r#"Bearer resource_metadata="{github}", scope="mcp:read""#),
            ))
            .step(post("/plain/mcp").unauthorized().gets(
                "www-authenticate",
                r#"Bearer resource_metadata="https://gateway.example.com/.well-known/oauth-protected-resource/plain/mcp""#,
            ))
            .step(post("/single").to("single.example.com").unauthorized().gets(
                "www-authenticate",
                r#"Bearer resource_metadata="https://single.example.com/.well-known/oauth-protected-resource""#,
            )),
        rule("the_challenge_leads_to_metadata_of_this_resource", &["RFC9728-5.1-a", "RFC9728-2-r"])
            .step(post("/github/mcp").unauthorized().gets_in("www-authenticate", github))
            .step(
                get("/.well-known/oauth-protected-resource/github/mcp")
                    .step()
                    .status(200)
                    .content(BodyCheck::Member("resource", json!("https://gateway.example.com/github/mcp"))),
            ),
        rule("an_inactive_token_is_invalid_token", &["RFC6750-3.1-b", "RFC7662-2.2-b", "MCP-ERR-table"]).step(
            post("/github/mcp")
                .token()
                .refused(401, "invalid_token")
                .answered(inactive())
                .calls(1)
                .gets_in("www-authenticate", format!(r#"Bearer resource_metadata="{github}", scope="mcp:read", error="invalid_token""#)),
        ),
        rule("a_missing_scope_is_insufficient_scope", &["RFC6750-3.1-c", "MCP-SCOPE-b", "MCP-403-rm", "INTEROP-stepup"]).step(
            post("/linear/mcp")
                .token()
                .refused(403, "insufficient_scope")
                .claims(|c| c["scope"] = "mcp:read".into())
                .calls(1)
                .gets_in("www-authenticate", r#"oauth-protected-resource/linear/mcp", scope="mcp:read mcp:write", error="insufficient_scope""#),
        ),
        rule("the_answer_to_head_has_no_content", &["RFC9110-9.3.2-a"])
            .step(head("/github/mcp").step().status(401).content(BodyCheck::Empty)),
        rule("nothing_of_the_answer_is_reflected", &["RFC6750-3-e", "PRIV-a", "OAUTH21-5.1-q2"]).step(
            post("/github/mcp")
                .token()
                .refused(401, "invalid_token")
                .answered(status(200).json(json!({
                    "active": false,
                    "error": "x\"\r\nSet-Cookie: kanarie-reflected",
                    "error_description": "kanarie-reflected",
                    "username": "kanarie-username",
                })))
                .calls(1)
                .content(BodyCheck::Lacks(b"kanarie-reflected".to_vec()))
                .gets_no("set-cookie")
                .lacks("www-authenticate", "kanarie-reflected"),
        ),
        rule("the_clients_host_is_not_in_the_challenge", &["MCP-AUD-d", "PRM-trust"]).step(
            post("/github/mcp")
                .to("evil.example.com")
                .header("X-Forwarded-Host", "evil.example.com")
                .header("X-Forwarded-Proto", "http")
                .header("Forwarded", "host=evil.example.com")
                .unauthorized()
                .gets_in("www-authenticate", github),
        ),
    ]
}

/// TIME-b: nothing tells why a token is not good.
fn alike() -> Vec<Scenario> {
    // A token each: two of the answers are kept, and all are of one length.
    let refused = |token: &str| {
        post("/github/mcp")
            .header("Authorization", format!("Bearer {token}"))
            .refused(401, "invalid_token")
            .calls(1)
    };
    let same = |mut step: Step| {
        step.expect
            .headers
            .push(Check::Pseudo(":reply", b"{first}".to_vec()));
        step
    };
    vec![
        rule(
            "all_bad_tokens_are_refused_alike",
            &["TIME-b", "contract:alike-to-the-byte"],
        )
        .step(
            refused("a{T}")
                .answered(inactive())
                .capture(":reply", "first"),
        )
        .steps(
            [
                refused("b{T}").claims(|c| c["exp"] = "@now-1".into()),
                refused("c{T}").claims(|c| c["nbf"] = "@now+600".into()),
                refused("d{T}").claims(|c| c["aud"] = "https://other.example.com/mcp".into()),
                refused("e{T}").no_claim("aud"),
                refused("f{T}").claims(|c| c["iss"] = "https://other.example.com".into()),
                refused("g{T}").claims(|c| c["token_type"] = "DPoP".into()),
                refused("h{T}").claims(|c| c["cnf"] = json!({"jkt": "x"})),
                refused("i{T}")
                    .answered(status(400).json(json!({"error": "unsupported_token_type"}))),
            ]
            .map(same),
        ),
    ]
}

/// No cluster, and clusters that no server names.
fn unlisted() -> Vec<Scenario> {
    vec![
        rule(
            "a_request_without_a_cluster_is_404",
            &["contract:no-cluster"],
        )
        .step(post("/nowhere").token().refused(404, "*"))
        .step(get("/direct").token().refused(404, "*"))
        .step(get("/moved").refused(404, "*").gets_no("location")),
        rule(
            "a_cluster_that_no_server_names_is_403",
            &["contract:unlisted", "MCP-DISABLE-a"],
        )
        .step(post("/unlisted").token().refused(403, "access_denied"))
        .step(post("/unlisted").refused(403, "access_denied")),
        rule(
            "an_unlisted_cluster_is_left_alone_if_so_configured",
            &["contract:unlisted-ignored"],
        )
        .under(IGNORE)
        .step(
            post("/unlisted/x?access_token={T%}")
                .token()
                .header("X-Access-Token", "{T}")
                .header("X-Mcp-Subject", "mine")
                .header("Origin", "https://evil.example.com")
                .header("Mcp-Session-Id", "mine")
                .step()
                .untouched()
                .sees_path("/unlisted/x?access_token={T%}")
                .sees("authorization", "Bearer {T}")
                .sees("x-access-token", "{T}")
                .sees("x-mcp-subject", "mine")
                .sees("mcp-session-id", "mine"),
        ),
        rule(
            "no_cluster_is_left_alone_if_so_configured",
            &["contract:no-cluster-ignored"],
        )
        .under(IGNORE)
        .step(
            get("/direct")
                .step()
                .status(200)
                .content(BodyCheck::Is(b"direct".to_vec())),
        )
        .step(
            get("/moved")
                .step()
                .status(301)
                .gets_in("location", "/elsewhere"),
        )
        .step(get("/nowhere").step().status(404).content(BodyCheck::Empty))
        .on_the_wire(),
        rule(
            "a_listed_cluster_is_guarded_when_others_are_ignored",
            &["contract:unlisted-ignored"],
        )
        .under(IGNORE)
        .step(post("/github/mcp").unauthorized())
        .step(post("/github/mcp").token().passes()),
        rule(
            "no_path_is_exempt",
            &["incidents:portkey-startswith", "MCP-DISABLE-a"],
        )
        .step(post("/oauth-demo/mcp").unauthorized())
        .step(get("/oauth").unauthorized())
        .step(get("/healthz").unauthorized()),
    ]
}

/// The upstream refuses our credential.
fn upstream_refuses() -> Vec<Scenario> {
    let refusal = |code: u16, challenge: &str| {
        status(code)
            .header(
                challenge,
                r#"Bearer resource_metadata="https://upstream.example.com/meta""#,
            )
            .header("content-type", "text/plain")
            .bytes("kanarie-upstream-refusal")
    };
    let turned = |step: Step| {
        step.status(502)
            .content(BodyCheck::Error("upstream_credential_rejected"))
            .content(BodyCheck::Lacks(b"kanarie-upstream-refusal".to_vec()))
            .gets_no("www-authenticate")
            .gets_no("proxy-authenticate")
    };
    vec![
        rule(
            "an_upstream_that_refuses_our_credential_is_502",
            &["RFC9110-15.5.2-b", "contract:upstream-401"],
        )
        .step(turned(
            post("/github/mcp")
                .token()
                .passes()
                .upstream(refusal(401, "WWW-Authenticate")),
        ))
        .step(turned(
            post("/github/mcp")
                .token()
                .passes()
                .calls(0)
                .upstream(refusal(407, "Proxy-Authenticate")),
        ))
        .step(turned(
            get("/github/mcp")
                .token()
                .passes()
                .calls(0)
                .upstream(refusal(401, "WWW-Authenticate")),
        )),
        rule(
            "an_upstream_that_refuses_over_http2_is_502",
            &["RFC9110-15.5.2-b"],
        )
        .step(turned(
            post("/linear/mcp")
                .token()
                .passes()
                .upstream(refusal(401, "WWW-Authenticate")),
        )),
        rule(
            "challenges_are_dropped_from_other_answers",
            &["RFC9110-15.5.2-b", "contract:challenges-dropped"],
        )
        .step(
            post("/github/mcp")
                .token()
                .passes()
                .upstream(refusal(403, "WWW-Authenticate"))
                .status(403)
                .gets_no("www-authenticate")
                .content(BodyCheck::Is(b"kanarie-upstream-refusal".to_vec())),
        )
        .step(
            post("/github/mcp")
                .token()
                .passes()
                .calls(0)
                .upstream(
                    refusal(200, "WWW-Authenticate")
                        .header("WWW-Authenticate", "Basic realm=x")
                        .header("Proxy-Authenticate", "Basic realm=x"),
                )
                .gets_no("www-authenticate")
                .gets_no("proxy-authenticate"),
        ),
        rule(
            "an_upstream_without_a_credential_that_says_401_is_502_too",
            &["RFC9110-15.5.2-b"],
        )
        .step(turned(
            post("/plain/mcp")
                .token()
                .passes()
                .upstream(refusal(401, "WWW-Authenticate")),
        )),
    ]
}
