//! Finding the token in a request: standards.md section A.

use super::super::build::{delete, get, head, inactive, post, rule};
use super::super::{Request, Scenario};

/// A server with one credential.
const MCP: &str = "/github/mcp";

/// A POST with this `Authorization`.
fn with(authorization: impl AsRef<[u8]>) -> Request {
    post(MCP).header("Authorization", authorization)
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [
        accepted(),
        not_token68(),
        none(),
        two(),
        elsewhere(),
        own_credential(),
    ]
    .concat()
}

/// Tokens that are found.
fn accepted() -> Vec<Scenario> {
    vec![
        rule(
            "a_good_token_is_let_in",
            &["RFC6750-2.1-a", "MCP-PASS-a", "MCP-PASS-b"],
        )
        .step(post(MCP).token().passes()),
        rule(
            "a_good_token_is_let_in_for_get_and_delete",
            &["RFC6750-2.1-a", "MCP-METH-a"],
        )
        .step(get(MCP).token().passes())
        .step(delete(MCP).token().passes().calls(0)),
        rule("the_scheme_is_in_any_case", &["RFC9110-11.1-a"])
            .step(with("bearer {T}").passes())
            .step(with("BEARER {T}").passes().calls(0))
            .step(with("bEaReR {T}").passes().calls(0)),
        rule(
            "several_spaces_may_separate_scheme_and_token",
            &["RFC6750-2.1-b"],
        )
        .step(with("Bearer   {T}").passes()),
        rule(
            "white_space_around_the_field_is_not_part_of_it",
            &["RFC9110-5.5-a"],
        )
        .step(with("  Bearer {T}  ").passes())
        .on_the_wire(),
        rule("a_token_of_8_kib_is_asked_about", &["RFC9110-5.4-a"])
            .step(with(format!("Bearer {}{{R}}", "t".repeat(8191))).passes()),
    ]
}

/// Credentials of the scheme Bearer that cannot be a token.
fn not_token68() -> Vec<Scenario> {
    let refused = |value: &[u8]| with(value).refused(401, "invalid_token");
    vec![
        rule(
            "a_tab_does_not_separate_scheme_and_token",
            &["RFC6750-2.1-b"],
        )
        .step(with("Bearer\t{T}").refused(401, "*")),
        rule(
            "what_is_not_token68_is_no_token",
            &["RFC9110-11.2-a", "RFC6750-3.1-m"],
        )
        .steps([
            refused(b"Bearer a=b"),
            refused(b"Bearer a b"),
            refused(b"Bearer \"a\""),
            refused(b"Bearer a%20"),
            refused(b"Bearer a:b"),
            refused(b"Bearer ="),
            refused(b"Bearer {T}\x80"),
            refused(b"Bearer \xff\xfe"),
            refused("Bearer tök".as_bytes()),
        ]),
        rule(
            "a_token_over_8_kib_is_no_token",
            &["RFC9110-5.4-a", "RFC9110-15.6-a"],
        )
        .steps([
            with(format!("Bearer {}", "t".repeat(8193))).refused(401, "invalid_token"),
            with(format!("Bearer {}", "t".repeat(50_000))).refused(401, "invalid_token"),
        ]),
        rule("a_nul_in_the_token_is_refused", &["RFC9110-5.5-a"])
            .step(with(b"Bearer {T}\0").step().status(400))
            .on_the_wire(),
    ]
}

/// Requests without a token where tokens belong.
fn none() -> Vec<Scenario> {
    vec![
        rule(
            "no_token_is_401_without_an_error",
            &["RFC6750-3.1-a", "RFC6750-3-a"],
        )
        .step(post(MCP).unauthorized()),
        rule("an_empty_token_is_no_token", &["RFC6750-2.1-c"])
            .step(with("Bearer").unauthorized())
            .step(with("Bearer ").unauthorized())
            .step(with("").unauthorized()),
        rule(
            "another_scheme_is_no_token",
            &["RFC6750-3.1-u", "RFC9449-7.1-c"],
        )
        .steps([
            with("Basic Zm9vOmJhcg==").unauthorized(),
            with("Digest username=\"x\"").unauthorized(),
            with("DPoP {T}").unauthorized(),
            with("Negotiate {T}").unauthorized(),
            with("Bearerx {T}").unauthorized(),
            with("{T}").unauthorized(),
        ]),
        rule(
            "every_method_needs_a_token",
            &["MCP-AUTH-every", "MCP-SESS-a", "RFC9110-9.1-a"],
        )
        .step(
            post(MCP)
                .header("Mcp-Session-Id", "some-session")
                .unauthorized(),
        )
        .step(
            get(MCP)
                .header("Mcp-Session-Id", "some-session")
                .unauthorized(),
        )
        .step(
            delete(MCP)
                .header("Mcp-Session-Id", "some-session")
                .unauthorized(),
        )
        .step(
            head(MCP)
                .step()
                .status(401)
                .gets_in("www-authenticate", "Bearer "),
        )
        .step(super::super::request("PATCH", MCP).unauthorized()),
        rule(
            "nothing_upstream_while_the_answer_is_inactive",
            &["MCP-PASS-e", "RFC7662-2.2-b"],
        )
        .step(
            post(MCP)
                .token()
                .refused(401, "invalid_token")
                .answered(inactive())
                .calls(1),
        ),
    ]
}

/// More than one way of sending a token at once.
fn two() -> Vec<Scenario> {
    let twice = |a: &str, b: &str| {
        post(MCP)
            .header("Authorization", a)
            .header("authorization", b)
            .refused(400, "invalid_request")
    };
    let form = "application/x-www-form-urlencoded";
    vec![
        rule(
            "two_authorization_fields_are_refused",
            &["RFC9110-5.3-a", "ENVOY-dup-a"],
        )
        .steps([
            twice("Bearer {T}", "Bearer {U}"),
            twice("Bearer {U}", "Bearer {T}"),
            twice("Bearer {T}", "Bearer {T}"),
            twice("Basic Zm9v", "Bearer {T}"),
            twice("Bearer {T}", "Basic Zm9v"),
            twice("DPoP {T}", "Bearer {T}"),
        ]),
        rule(
            "two_tokens_in_one_field_are_refused",
            &["ENVOY-dup-a", "RFC6750-3.1-d"],
        )
        .step(with("Bearer {T},Bearer {U}").refused(400, "invalid_request"))
        .step(with("Bearer {T}, Bearer {U}").refused(400, "invalid_request"))
        .step(with("Basic Zm9v,Bearer {T}").refused(400, "invalid_request")),
        rule(
            "a_token_in_the_header_and_one_in_the_query_are_refused",
            &["RFC6750-2-a", "OAUTH21-5.1-q2", "K1"],
        )
        .steps(
            [
                "?access_token={T%}",
                "?access_token=x",
                "?x=1&access%5Ftoken=Z",
                "?%61ccess_token=",
                "?access_token",
            ]
            .map(|query| {
                post(&format!("{MCP}{query}"))
                    .token()
                    .refused(400, "invalid_request")
            }),
        ),
        rule(
            "a_token_in_the_header_and_a_form_body_are_refused",
            &["RFC6750-2.2-b", "RFC6750-2-a"],
        )
        .steps(
            [
                form,
                "application/x-www-form-urlencoded; charset=utf-8",
                "Application/X-WWW-Form-Urlencoded",
            ]
            .map(|media| {
                let mut request = post(MCP).token().body("access_token={T%}");
                request.headers[0].value = media.into();
                request.refused(400, "invalid_request")
            }),
        ),
        rule(
            "a_parameter_that_is_not_called_access_token_passes",
            &["OAUTH21-5.1-q2", "MCP-FWD-a"],
        )
        .step(
            post("/github/mcp?x_access_token=1&token=2&access_token_x=3")
                .token()
                .passes()
                .sees_path("/github/mcp?x_access_token=1&token=2&access_token_x=3"),
        ),
    ]
}

/// Tokens where none are looked for.
fn elsewhere() -> Vec<Scenario> {
    let mut form = post(MCP).body("access_token={T%}");
    form.headers[0].value = b"application/x-www-form-urlencoded".to_vec();
    vec![
        rule("a_token_in_the_query_is_no_token", &["OAUTH21-5.1-q", "K1"])
            .step(post("/github/mcp?access_token={T%}").unauthorized())
            .step(post("/github/mcp?access%5Ftoken={T%}&x=1").unauthorized()),
        rule("a_token_in_a_form_is_no_token", &["RFC6750-2.2-a"]).step(form.unauthorized()),
        rule("a_token_in_a_cookie_is_no_token", &["RFC6750-5.3-c"]).step(
            post(MCP)
                .header("Cookie", "access_token={T}")
                .unauthorized(),
        ),
        rule(
            "a_token_in_an_alias_header_is_no_token",
            &["RFC6750-3.1-u", "MCP-PASS-d"],
        )
        .step(post(MCP).header("X-Access-Token", "{T}").unauthorized())
        .step(
            post(MCP)
                .header("Proxy-Authorization", "Bearer {T}")
                .unauthorized(),
        )
        .step(
            post(MCP)
                .header("X-Forwarded-Authorization", "Bearer {T}")
                .unauthorized(),
        ),
        rule("a_token_in_a_trailer_is_no_token", &["RFC9110-6.5.1-a"]).step(
            post(MCP)
                .trailer("Authorization", "Bearer {T}")
                .unauthorized(),
        ),
        rule(
            "a_header_named_by_connection_is_not_forwarded_unauthenticated",
            &["RFC9110-7.6.1-a"],
        )
        .step(
            with("Bearer {T}")
                .header("Connection", "authorization")
                .unauthorized(),
        )
        .on_the_wire(),
        rule(
            "a_client_certificate_header_is_no_token",
            &["RFC8705-6.5-d"],
        )
        .step(
            post(MCP)
                .header(
                    "X-Forwarded-Client-Cert",
                    "Hash=468ed33be74eee6556d90c0149c1309e",
                )
                .unauthorized(),
        ),
    ]
}

/// Our own credentials, coming back as the client's token.
fn own_credential() -> Vec<Scenario> {
    let back = |path: &str, credential: &str| {
        post(path)
            .header("Authorization", format!("Bearer {credential}"))
            .refused(401, "invalid_token")
    };
    vec![
        rule(
            "our_own_credential_is_no_token",
            &["contract:own-credential", "host:6"],
        )
        .steps([
            back(MCP, "kanarie-alpha-credential"),
            back(MCP, "kanarie-beta-key"),
            back("/linear/mcp", "kanarie-alpha-credential"),
            back("/plain/mcp", "kanarie-team-a-credential"),
        ]),
        // `X-Region: eu` neither came from the environment nor is it a
        // credential by its name.
        rule(
            "a_plain_default_header_is_not_a_credential",
            &["contract:own-credential"],
        )
        .step(
            post("/plain/mcp")
                .header("Authorization", "Bearer eu")
                .passes()
                .calls_at_most(1),
        ),
    ]
}
