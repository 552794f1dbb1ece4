//! Protected resource metadata (RFC 9728): standards.md section I.

use serde_json::json;

use super::super::build::{get, head, options, post, rule};
use super::super::{BodyCheck, Configuration, Request, Scenario, Step, request};

/// The metadata URL of the server `github`.
const GITHUB: &str = "/.well-known/oauth-protected-resource/github/mcp";

/// The metadata URL of the server `elsewhere`.
const ELSEWHERE_PATH: &str = "/.well-known/oauth-protected-resource/elsewhere/mcp";

/// No other server is alone at its authority.
const ONE_ROOT: Configuration = Configuration {
    name: "one root document",
    patch: |value| drop(value["servers"].as_object_mut().unwrap().remove("lone")),
};

/// A server whose metadata path Envoy routes to a cluster that is none of ours,
/// as a proxy on the way out does that knows no other path for it.
const ELSEWHERE: Configuration = Configuration {
    name: "metadata behind an ignored cluster",
    patch: |value| {
        value["unlisted_clusters"] = "ignore".into();
        value["servers"]["elsewhere"] = json!({
            "resource": "https://gateway.example.com/elsewhere/mcp",
            "default_headers": {},
        });
    },
};

/// A document is served, to anybody.
fn served(request: Request, resource: &str) -> Step {
    request
        .step()
        .status(200)
        .gets("content-type", "application/json")
        .gets("access-control-allow-origin", "*")
        .gets_in("cache-control", "public")
        .gets_in("cache-control", "max-age=")
        .content(BodyCheck::Member("resource", json!(resource)))
        .content(BodyCheck::Member(
            "authorization_servers",
            json!(["https://auth.example.com"]),
        ))
        .content(BodyCheck::Member(
            "bearer_methods_supported",
            json!(["header"]),
        ))
}

/// Refused here, and not sent on.
fn not_found(path: &str) -> Step {
    get(path).refused(404, "*")
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [documents(), methods(), others()].concat()
}

/// Who gets which document.
fn documents() -> Vec<Scenario> {
    let github = "https://gateway.example.com/github/mcp";
    vec![
        rule(
            "metadata_is_served_at_the_resources_own_url",
            &[
                "MCP-PRM-a",
                "RFC9728-3-a",
                "RFC9728-3.2-a",
                "RFC9728-2-r",
                "MCP-PRM-c",
                "RFC9728-2-b",
                "RFC9728-2-s",
                "RFC9728-7.10-a",
                "PRM-local",
            ],
        )
        .step(
            served(get(GITHUB), github)
                .content(BodyCheck::Member("scopes_supported", json!(["mcp:read"]))),
        )
        .step(served(
            get("/.well-known/oauth-protected-resource/linear/mcp"),
            "https://gateway.example.com/linear/mcp",
        ))
        .step(served(
            get("/.well-known/oauth-protected-resource/shared/a"),
            "https://gateway.example.com/shared/a",
        ))
        .step(served(
            get("/.well-known/oauth-protected-resource/shared/a/b"),
            "https://gateway.example.com/shared/a/b",
        )),
        rule("metadata_has_no_empty_members", &["RFC9728-3.2-b"]).step(
            served(
                get("/.well-known/oauth-protected-resource/plain/mcp"),
                "https://gateway.example.com/plain/mcp",
            )
            .content(BodyCheck::NoMember("scopes_supported")),
        ),
        rule(
            "the_root_document_is_of_the_only_server_of_its_authority",
            &["MCP-PRM-b", "RFC9728-3-a", "K2"],
        )
        .step(served(
            get("/.well-known/oauth-protected-resource").to("single.example.com"),
            "https://single.example.com",
        ))
        .step(served(
            get("/.well-known/oauth-protected-resource").to("lone.example.com"),
            "https://lone.example.com/mcp",
        )),
        rule(
            "several_servers_of_an_authority_have_no_root_document",
            &["MCP-PRM-b", "K2"],
        )
        .step(
            get("/.well-known/oauth-protected-resource")
                .to("gateway.example.com")
                .refused(404, "*"),
        )
        .step(
            get("/.well-known/oauth-protected-resource")
                .to("evil.example.com")
                .refused(404, "*"),
        ),
        rule(
            "the_only_root_document_is_not_of_other_authorities",
            &["MCP-PRM-b", "PRM-trust"],
        )
        .under(ONE_ROOT)
        .step(served(
            get("/.well-known/oauth-protected-resource").to("single.example.com"),
            "https://single.example.com",
        ))
        .step(
            get("/.well-known/oauth-protected-resource")
                .to("gateway.example.com")
                .refused(404, "*"),
        ),
        rule("metadata_asks_for_no_token_and_minds_none", &["PRM-noauth"])
            .step(served(
                get(GITHUB)
                    .token()
                    .header("MCP-Protocol-Version", "2025-11-25"),
                github,
            ))
            .step(served(
                get(GITHUB).header("Authorization", "Bearer a b"),
                github,
            ))
            .step(served(
                get(GITHUB).header("Origin", "https://evil.example.com"),
                github,
            )),
        rule(
            "metadata_is_built_from_the_configuration",
            &["PRM-trust", "incidents:portkey-host"],
        )
        .step(served(
            get(GITHUB)
                .to("evil.example.com")
                .header("X-Forwarded-Proto", "http")
                .header("X-Forwarded-Host", "evil.example.com"),
            github,
        )),
        rule(
            "metadata_of_other_hosts_is_left_alone_where_their_clusters_are",
            &["contract:unlisted-ignored", "RFC9728-3-a"],
        )
        .under(ELSEWHERE)
        .step(served(
            get(ELSEWHERE_PATH).to("gateway.example.com"),
            "https://gateway.example.com/elsewhere/mcp",
        ))
        .step(
            get(ELSEWHERE_PATH)
                .to("other.example.com")
                .step()
                .untouched()
                .sees_path(ELSEWHERE_PATH),
        ),
        rule(
            "metadata_does_not_mention_proof_of_possession",
            &["RFC9449-7.1-c"],
        )
        .step(
            served(get(GITHUB), github)
                .content(BodyCheck::NoMember("dpop_bound_access_tokens_required"))
                .content(BodyCheck::NoMember("dpop_signing_alg_values_supported"))
                .content(BodyCheck::NoMember(
                    "tls_client_certificate_bound_access_tokens",
                )),
        ),
    ]
}

/// How it may be asked for.
fn methods() -> Vec<Scenario> {
    let preflight = options(GITHUB)
        .header("Origin", "https://any.example.com")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "mcp-protocol-version");
    vec![
        rule(
            "metadata_can_be_had_by_head",
            &["RFC9728-3.1-m", "RFC9110-9.3.2-a"],
        )
        .step(
            head(GITHUB)
                .step()
                .status(200)
                .gets("content-type", "application/json")
                .content(BodyCheck::Empty),
        ),
        rule(
            "metadata_cannot_be_had_by_other_methods",
            &["RFC9728-3.1-m"],
        )
        .step(
            post(GITHUB)
                .token()
                .refused(405, "*")
                .gets("allow", "GET, HEAD, OPTIONS"),
        )
        .step(
            request("DELETE", GITHUB)
                .refused(405, "*")
                .gets("allow", "GET, HEAD, OPTIONS"),
        )
        .step(
            request("PUT", GITHUB)
                .refused(405, "*")
                .gets("allow", "GET, HEAD, OPTIONS"),
        ),
        rule("metadata_answers_its_own_preflight", &["PRM-cors"]).step(
            preflight
                .step()
                .status(204)
                .gets("access-control-allow-origin", "*")
                .gets_listed("access-control-allow-methods", "GET")
                .gets_listed("access-control-allow-headers", "mcp-protocol-version"),
        ),
    ]
}

/// Other documents about authorization, which are the upstream's or nobody's.
fn others() -> Vec<Scenario> {
    vec![
        rule(
            "the_upstreams_own_authorization_documents_are_hidden",
            &["PRM-local", "RFC8414-compat"],
        )
        .steps([
            not_found("/.well-known/oauth-authorization-server"),
            not_found("/.well-known/oauth-authorization-server/github/mcp"),
            not_found("/.well-known/openid-configuration"),
            not_found("/.well-known/oauth-protected-resource/unknown"),
            not_found("/.well-known/oauth-protected-resource/github"),
            not_found("/.well-known/oauth-protected-resource/github/mcp/x"),
            not_found("/.well-known/oauth-anything"),
            not_found("/github/mcp/.well-known/openid-configuration"),
            not_found("/github/mcp/.well-known/oauth-authorization-server"),
            get("/.well-known/oauth-authorization-server")
                .token()
                .refused(404, "*"),
            post("/.well-known/openid-configuration")
                .token()
                .refused(404, "*"),
        ]),
        rule(
            "other_well_known_documents_need_a_token",
            &["MCP-DISABLE-a"],
        )
        .step(get("/.well-known/mcp.json").unauthorized())
        .step(get("/.well-known/mcp.json").token().passes()),
        rule(
            "the_metadata_path_is_no_way_around_the_token",
            &["PATH-norm"],
        )
        .step(get("/.well-known/oauth-protected-resource/../../github/mcp").unauthorized())
        .step(
            get("/.well-known/oauth-protected-resource/github/mcp/../../../../github/mcp")
                .unauthorized(),
        )
        .step(
            get("/.well-known/oauth-protected-resource/github/%2e%2e/%2e%2e/%2e%2e/github/mcp")
                .unauthorized(),
        )
        .step(get("//github/mcp").unauthorized())
        .step(get("/github/./mcp").unauthorized())
        .step(get("/github/mcp;x=1").unauthorized())
        .step(get("/github/mcp?/.well-known/oauth-protected-resource/github/mcp").unauthorized())
        .step(
            get("/.well-known/oauth-protected-resource/github/mcp%00")
                .step()
                .status(400),
        )
        .on_the_wire(),
    ]
}
