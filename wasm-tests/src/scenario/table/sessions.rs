//! MCP sessions: standards.md section L, contract section 4.

use super::super::build::{delete, get, post, rule, status};
use super::super::{Check, Reply, Request, Scenario, Step};

/// The server that gives a session.
const MCP: &str = "/github/mcp";

/// What the upstream calls the session.
const RAW: &str = "raw-session.1~/+==";

/// An answer that begins a session.
fn begun() -> Reply {
    status(200).header("Mcp-Session-Id", RAW)
}

/// A request that begins a session, which is kept as `{session}`.
fn begin() -> Step {
    post(MCP)
        .token()
        .passes()
        .upstream(begun())
        .capture("mcp-session-id", "session")
        .gets_in("mcp-session-id", "")
        .lacks("set-cookie", RAW)
}

/// In the session.
fn within(request: Request) -> Request {
    request.header("Mcp-Session-Id", "{session}")
}

/// Not given to this caller on this server.
fn unknown(request: Request) -> Step {
    request.refused(404, "*").calls_at_most(1)
}

/// The scenarios of this file.
pub(super) fn scenarios() -> Vec<Scenario> {
    [kept(), refused(), versions()].concat()
}

/// Sessions in the right hands.
fn kept() -> Vec<Scenario> {
    let inside = |request: Request| {
        within(request.token())
            .passes()
            .calls(0)
            .sees("mcp-session-id", RAW)
    };
    vec![
        rule(
            "the_upstream_gets_its_own_session_id_back",
            &["MCP-SESS-b", "contract:sessions"],
        )
        .step(begin())
        .step(inside(post(MCP)))
        .step(inside(get(MCP).header("Last-Event-ID", "7")).sees("last-event-id", "7"))
        .step(inside(delete(MCP))),
        rule(
            "a_session_has_the_same_id_each_time",
            &["contract:sessions"],
        )
        .step(begin())
        .step(
            inside(post(MCP))
                .upstream(begun())
                .gets("mcp-session-id", "{session}"),
        ),
        rule(
            "a_session_goes_on_with_a_new_token_of_the_same_caller",
            &["MCP-SESS-b", "contract:sessions"],
        )
        .step(begin())
        .step(
            within(post(MCP).header("Authorization", "Bearer {U}"))
                .passes()
                .sees("mcp-session-id", RAW),
        ),
        rule(
            "a_session_of_a_caller_without_a_name_goes_on_with_its_token",
            &["contract:sessions"],
        )
        .step(nameless(begin()))
        .step({
            let mut step = inside(post(MCP));
            anonymous(&mut step);
            step
        }),
        rule("a_request_without_a_session_is_fine", &["MCP-SESS-c"])
            .step(post(MCP).token().passes().sees_no("mcp-session-id")),
        rule(
            "a_session_id_needs_a_token_as_well",
            &["MCP-SESS-a", "MCP-AUTH-every"],
        )
        .step(begin())
        .step(within(post(MCP)).unauthorized())
        .step(within(get(MCP)).unauthorized())
        .step(within(delete(MCP)).unauthorized()),
    ]
}

/// Sessions in the wrong hands.
fn refused() -> Vec<Scenario> {
    let other = |request: Request| request.header("Authorization", "Bearer {U}");
    vec![
        rule(
            "another_caller_cannot_use_a_session",
            &["MCP-SESS-b", "incidents:portkey-session"],
        )
        .step(begin())
        .step(unknown(within(other(post(MCP)))).claims(|c| c["sub"] = "user-2".into()))
        .step(unknown(within(other(get(MCP)))))
        .step(unknown(within(other(delete(MCP))))),
        rule(
            "another_client_of_the_same_user_cannot_use_a_session",
            &["MCP-SESS-b"],
        )
        .step(begin())
        .step(unknown(within(other(post(MCP)))).claims(|c| c["client_id"] = "client-2".into())),
        rule(
            "a_caller_without_a_name_cannot_use_a_session_with_another_token",
            &["contract:sessions"],
        )
        .step(nameless(begin()))
        .step(nameless(unknown(within(other(post(MCP)))))),
        rule(
            "a_session_cannot_be_used_at_another_server",
            &["MCP-SESS-b", "incidents:portkey-session"],
        )
        .step(begin())
        .step(unknown(within(
            post("/linear/mcp").header("Authorization", "Bearer {U}"),
        ))),
        rule(
            "a_session_id_that_was_not_given_out_is_404",
            &["MCP-SESS-b", "contract:sessions"],
        )
        .step(begin())
        .steps(
            [
                RAW,
                "",
                "x",
                "{session}x",
                "x{session}",
                "{session}.{session}",
                "{session},{session}",
            ]
            .map(|id| unknown(post(MCP).token().header("Mcp-Session-Id", id))),
        ),
        rule("two_session_ids_are_404", &["MCP-SESS-b"])
            .step(begin())
            .step(unknown(
                within(post(MCP).token()).header("Mcp-Session-Id", RAW),
            ))
            .step(unknown(
                post(MCP)
                    .token()
                    .header("Mcp-Session-Id", RAW)
                    .header("Mcp-Session-Id", "{session}"),
            ))
            .step(unknown(within(within(post(MCP).token())))),
        rule(
            "a_session_id_with_an_underscore_goes_nowhere",
            &["MCP-SESS-b", "contract:underscore"],
        )
        .step(
            post(MCP)
                .token()
                .header("Mcp_Session_Id", RAW)
                .passes()
                .sees_no("mcp_session_id"),
        ),
    ]
}

/// Revisions that have no sessions.
fn versions() -> Vec<Scenario> {
    let version = |version: &str| {
        post(MCP)
            .token()
            .header("MCP-Protocol-Version", version)
            .header("Mcp-Session-Id", "any")
    };
    vec![
        rule(
            "newer_revisions_have_no_sessions",
            &["MCP-SESS-c", "contract:sessions"],
        )
        .step(version("2026-07-28").passes().sees_no("mcp-session-id"))
        .step(
            version("2027-01-01")
                .passes()
                .calls(0)
                .sees_no("mcp-session-id"),
        ),
        rule(
            "older_revisions_have_their_sessions_judged",
            &["MCP-SESS-b", "contract:sessions"],
        )
        .step(unknown(version("2025-11-25")))
        .step(unknown(version("2026-07-27")))
        .step(unknown(version("9")))
        .step(unknown(version("2026-07-28x")))
        .step(unknown(version("zzzz-zz-zz"))),
    ]
}

/// The claims name nobody.
fn nameless(step: Step) -> Step {
    let mut step = step.claims(|c| {
        let claims = c.as_object_mut().unwrap();
        claims.remove("sub");
        claims.remove("client_id");
    });
    anonymous(&mut step);
    step
}

/// The upstream is told nobody's name.
fn anonymous(step: &mut Step) {
    if let super::super::Upstream::One(arrived) = &mut step.expect.upstream {
        arrived
            .headers
            .retain(|c| !matches!(c, Check::Is("x-mcp-subject" | "x-mcp-client-id", _)));
        arrived.headers.push(Check::Absent("x-mcp-subject"));
        arrived.headers.push(Check::Absent("x-mcp-client-id"));
    }
}
