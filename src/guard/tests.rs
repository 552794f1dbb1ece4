//! Roles and fetched credentials, by what leaves.

use super::*;
use crate::flight::CallId;
use crate::introspection::Reply;

const TOKEN: &str = "kanarie-T-0123456789.abc";

const ACTIVE: &[u8] =
    br#"{"active":true,"aud":"https://gateway.example.com/mcp","sub":"user-1","exp":1800000600,
    "scope":"base one"}"#;

const NOW: Now = Now {
    wall_ms: 1_800_000_000_000,
    steady_ms: 5_000,
};

/// Long enough after it for what is not done over and over again.
const LATER: Now = Now {
    wall_ms: NOW.wall_ms + 5_000,
    steady_ms: NOW.steady_ms + 5_000,
};

/// What a verifier says to its injector.
const MARK: Option<&[u8]> = Some(b"files");

const STREAM: StreamId = StreamId(7);

/// In this role, with these members for the server besides.
fn guard(role: &str, server: &str) -> Guard {
    limited(role, server, 100)
}

/// With so many that may wait.
fn limited(role: &str, server: &str, waiting: usize) -> Guard {
    let text = format!(
        r#"{{
        "role": "{role}",
        "limits": {{"in_flight": 2, "waiting": {waiting}}},
        "authorization_server": {{
            "issuer": "https://auth.example.com",
            "introspection": {{
                "url": "https://auth.example.com/introspect", "cluster": "authorization-server",
                "client_id": "gw", "client_secret": "kanarie-client-secret"
            }}
        }},
        "servers": {{
            "files": {{"resource": "https://gateway.example.com/mcp", {server}}},
            "other": {{"resource": "https://gateway.example.com/other", "default_headers": {{}}}}
        }},
        "allowed_origins": ["https://app.example.com"],
        "identity_headers": {{"x-mcp-subject": "sub"}}
    }}"#
    );
    Guard::new(Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|e| panic!("{e}")))
}

const STATIC: &str =
    r#""default_headers": {"Authorization": "Bearer kanarie-credential", "X-Region": "eu"}"#;

/// A credential that is fetched by this grant.
fn fetched(grant: &str) -> String {
    format!(
        r#""default_headers": {{"X-Region": "eu"}},
        "credential": {{"grant": "{grant}", "url": "https://auth.example.com/token",
            "cluster": "authorization-server", "client_id": "gw", "client_secret": "s"}}"#
    )
}

/// A request with the client's token, and with what is never let by.
fn head() -> Vec<Field> {
    let bearer = format!("Bearer {TOKEN}");
    [
        (":method", "POST"),
        (":path", "/mcp"),
        (":authority", "gateway.example.com"),
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("x-access-token", "kanarie-other"),
        ("x-region", "us"),
        ("x-mcp-subject", "user-1"),
        ("x-note", "stays"),
    ]
    .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
    .into()
}

fn says(body: &[u8]) -> Reply<'_> {
    Reply::Whole {
        status: 200,
        content_type: Some(b"application/json"),
        retry_after: None,
        body,
    }
}

/// The one call that is to be made next, by a tick or by this step.
fn answer(guard: &mut Guard, step: Step, body: &[u8]) -> Step {
    let mut tasks = match step {
        Step::Wait => guard.tick(NOW),
        step @ (Step::Forward(..) | Step::Ignore | Step::Reply(..)) => panic!("{step:?}"),
        Step::Ask(ask) => vec![Task::Ask(ask)],
    };
    let Some(Task::Ask(ask)) = tasks.pop() else {
        panic!("nobody is asked");
    };
    guard.asked(&ask, CallId(1), NOW);
    guard.answered(CallId(1), &says(body), NOW);
    let (id, step) = guard.settle(NOW).expect("it has been answered");
    assert_eq!(id, STREAM);
    step
}

/// What becomes of the request at a gateway or verifier whose authorization
/// server says that its token is good.
fn sent(guard: &mut Guard) -> Step {
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    answer(guard, step, ACTIVE)
}

/// At an injector, with this mark.
fn injected(guard: &mut Guard, mark: Option<&[u8]>) -> Step {
    guard.inject(STREAM, &head(), Some("files"), mark, Some(NOW))
}

/// What leaves of the fields that are not to leave as they came, and the mark.
fn left(step: Step) -> (Vec<(String, String)>, Option<String>) {
    let Step::Forward(forward, _) = step else {
        panic!("{step:?}");
    };
    let mut left = head();
    let sets_out = |name: &str| name.starts_with(':') || name == "content-type";
    left.retain(|(name, value)| !sets_out(name) && value != b"stays");
    for (name, value) in forward.changes() {
        // Routes that match on its presence stay where they are.
        let replaced = forward.mark().is_none() && ["authorization", "x-region"].contains(&name);
        assert!(value.is_some() || !replaced, "{name} is removed first");
        left.retain(|(known, _)| known != name);
        left.extend(value.map(|value| (name.to_owned(), value.to_vec())));
    }
    left.sort();
    let text = |(name, value)| (name, String::from_utf8(value).expect("text"));
    let mark = forward.mark().map(str::to_owned);
    (left.into_iter().map(text).collect(), mark)
}

fn with(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    all.iter().map(owned).collect()
}

fn status(step: &Step) -> u16 {
    let Step::Reply(reply, _) = step else {
        panic!("{step:?}");
    };
    reply.status
}

#[test]
fn a_gateway_sets_the_credential_in_place_of_the_token() {
    let wanted = with(&[
        ("authorization", "Bearer kanarie-credential"),
        ("x-mcp-subject", "user-1"),
        ("x-region", "eu"),
    ]);
    let mut guard = guard("gateway", STATIC);
    assert_eq!(left(sent(&mut guard)), (wanted, None));
}

#[test]
fn a_verifier_strips_and_marks_and_has_no_credential_to_give() {
    for server in [STATIC, &fetched("client_credentials")] {
        let wanted = with(&[("x-mcp-subject", "user-1")]);
        let mut guard = guard("verifier", server);
        let mark = Some("files".to_owned());
        assert_eq!(left(sent(&mut guard)), (wanted, mark));
    }
}

#[test]
fn an_injector_gives_the_credential_and_keeps_what_the_verifier_set() {
    let wanted = with(&[
        ("authorization", "Bearer kanarie-credential"),
        ("x-mcp-subject", "user-1"),
        ("x-region", "eu"),
    ]);
    let mut guard = guard("injector", STATIC);
    let step = injected(&mut guard, MARK);
    assert_eq!(left(step), (wanted, None));
}

#[test]
fn an_injector_lets_nothing_by_that_is_not_marked_for_its_cluster() {
    let mut guard = guard("injector", STATIC);
    for mark in [None, Some(&b""[..]), Some(b"other"), Some(b"nobody")] {
        assert!(status(&injected(&mut guard, mark)) >= 400, "{mark:?}");
        assert!(guard.streams.is_empty());
    }
    let step = guard.inject(STREAM, &head(), Some("foreign"), MARK, Some(NOW));
    assert_eq!(status(&step), 403);
}

#[test]
fn a_request_goes_with_the_credential_that_it_has_waited_for() {
    let token = br#"{"access_token":"kanarie-fetched","token_type":"Bearer","expires_in":300,
        "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
    let wanted = with(&[
        ("authorization", "Bearer kanarie-fetched"),
        ("x-mcp-subject", "user-1"),
        ("x-region", "eu"),
    ]);
    for grant in ["client_credentials", "token_exchange"] {
        let mut guard = guard("gateway", &fetched(grant));
        let step = sent(&mut guard);
        assert!(matches!(step, Step::Wait), "{step:?}");
        let step = answer(&mut guard, step, token);
        assert_eq!(left(step), (wanted.clone(), None), "{grant}");
    }
    let mut guard = guard("injector", &fetched("client_credentials"));
    let step = injected(&mut guard, MARK);
    assert!(matches!(step, Step::Wait), "{step:?}");
    let step = answer(&mut guard, step, token);
    assert_eq!(left(step), (wanted, None));
}

#[test]
fn a_credential_with_the_clients_token_in_it_does_not_leave() {
    let echo = format!(
        r#"{{"access_token":"x{TOKEN}","token_type":"Bearer","expires_in":300,
        "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}}"#
    );
    for (grant, outcome) in [
        ("client_credentials", "leak_blocked"),
        ("token_exchange", "credential_unavailable"),
    ] {
        let mut guard = guard("gateway", &fetched(grant));
        let step = sent(&mut guard);
        let step = answer(&mut guard, step, echo.as_bytes());
        let Step::Reply(_, audit) = &step else {
            panic!("{grant}: {step:?}");
        };
        assert!(audit.json.contains(outcome), "{grant}: {}", audit.json);
    }
}

/// What the client gets of this answer, without its status.
fn answered(guard: &mut Guard, status: &str, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all = vec![(":status".to_owned(), status.as_bytes().to_vec())];
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    all.extend(fields.iter().map(owned));
    match guard.answer(STREAM, &all, Some("files")) {
        Answer::Pass(edits) => {
            for (name, value) in edits {
                all.retain(|(known, _)| *known != name);
                all.extend(value.map(|value| (name, value)));
            }
        }
        Answer::Replace(reply, _) => return with(&[("replaced", &reply.status.to_string())]),
    }
    all.remove(0);
    all.sort();
    let text = |(name, value)| (name, String::from_utf8(value).expect("text"));
    all.into_iter().map(text).collect()
}

const ANSWER: &[(&str, &str)] = &[
    ("access-control-allow-origin", "*"),
    ("access-control-max-age", "9"),
    ("authentication-info", "x"),
    ("proxy-authenticate", "Basic"),
    ("proxy-authentication-info", "x"),
    ("vary", "Accept"),
    ("vary", "Accept-Language"),
    ("www-authenticate", "Bearer"),
    ("x-echo", "got Bearer kanarie-credential."),
    ("x-note", "stays"),
];

#[test]
fn an_answer_goes_without_the_upstreams_authentication() {
    let mut guard = guard("gateway", STATIC);
    left(sent(&mut guard));
    let wanted = with(&[
        ("access-control-allow-origin", "*"),
        ("access-control-max-age", "9"),
        ("vary", "Accept"),
        ("vary", "Accept-Language"),
        ("x-note", "stays"),
    ]);
    assert_eq!(answered(&mut guard, "200", ANSWER), wanted);
}

#[test]
fn a_page_gets_the_guards_word_on_origins_and_no_other() {
    let mut guard = guard("gateway", STATIC);
    let mut head = head();
    head.push(("origin".to_owned(), b"https://app.example.com".to_vec()));
    let step = guard.request(STREAM, &head, Some("files"), NOW);
    left(answer(&mut guard, step, ACTIVE));
    let got = answered(&mut guard, "200", ANSWER);
    let names: Vec<&str> = got.iter().map(|(name, _)| name.as_str()).collect();
    let wanted = [
        "access-control-allow-origin",
        "access-control-expose-headers",
        "vary",
        "x-note",
    ];
    assert_eq!(names, wanted);
    assert_eq!(got[0].1, "https://app.example.com");
    assert_eq!(got[2].1, "Accept, Accept-Language, Origin");
}

#[test]
fn a_credential_that_the_upstream_refuses_is_fetched_anew() {
    let token = br#"{"access_token":"kanarie-fetched","token_type":"Bearer","expires_in":300}"#;
    let echo = [("x-echo", "kanarie-fetched"), ("x-note", "kanarie-fetche")];
    let kept = with(&[("x-note", "kanarie-fetche")]);
    for role in ["gateway", "injector"] {
        for status in ["200", "401", "407"] {
            let mut guard = guard(role, &fetched("client_credentials"));
            let at = |guard: &mut Guard, now: Now| match role {
                "injector" => guard.inject(STREAM, &head(), Some("files"), MARK, Some(now)),
                _ => guard.request(STREAM, &head(), Some("files"), now),
            };
            let mut step = at(&mut guard, NOW);
            if role == "gateway" {
                step = answer(&mut guard, step, ACTIVE);
            }
            left(answer(&mut guard, step, token));
            let wanted = match (role, status) {
                ("gateway", "401" | "407") => with(&[("replaced", "502")]),
                _ => kept.clone(),
            };
            assert_eq!(answered(&mut guard, status, &echo), wanted, "{role}");
            guard.gone(STREAM);
            let step = at(&mut guard, LATER);
            let waits = matches!(step, Step::Wait);
            assert_eq!(waits, status != "200", "{role} {status}: {step:?}");
        }
    }
}

/// The record of a request with these fields besides.
fn record_of(more: &[(&str, &str)], said: &[u8]) -> (Step, String) {
    let mut guard = guard("gateway", STATIC);
    let mut head = head();
    for (name, value) in more {
        head.retain(|(known, _)| known != name);
        head.push(((*name).to_owned(), value.as_bytes().to_vec()));
    }
    let step = guard.request(STREAM, &head, Some("files"), NOW);
    let step = answer(&mut guard, step, said);
    let (Step::Forward(_, audit) | Step::Reply(_, audit)) = &step else {
        panic!("{step:?}");
    };
    let json = audit.json.clone();
    (step, json)
}

#[test]
fn the_token_leaves_nowhere_else() {
    let path = format!("/mcp/{TOKEN}");
    let query = format!("/mcp?a={TOKEN}");
    for (name, value) in [
        ("x-note", TOKEN),
        (":path", &path),
        (":path", &query),
        ("user-agent", &format!("x{TOKEN}x")),
    ] {
        let (_, json) = record_of(&[(name, value)], ACTIVE);
        assert!(json.contains("leak_blocked"), "{name}: {json}");
    }
    let claimed = String::from_utf8_lossy(ACTIVE).replace("user-1", TOKEN);
    let (step, json) = record_of(&[], claimed.as_bytes());
    assert!(!json.contains(TOKEN), "{json}");
    let (fields, _) = left(step);
    assert!(fields.iter().all(|(name, _)| name != "x-mcp-subject"));
}

#[test]
fn cookies_go_without_the_token_and_an_alias_of_the_session_not_at_all() {
    let cookie = format!("a=b; access_token=x; c={TOKEN}; {TOKEN}=d; Access-Token=y; e=f");
    let more = [
        ("cookie", cookie.as_str()),
        ("mcp_session_id", "x"),
        ("x-note", "stays"),
    ];
    let (step, _) = record_of(&more, ACTIVE);
    let Step::Forward(forward, _) = step else {
        panic!("{step:?}");
    };
    let mut changes = forward.changes();
    assert!(changes.any(|change| change == ("cookie", Some(&b"a=b; e=f"[..]))));
    let mut changes = forward.changes();
    assert!(changes.any(|change| change == ("mcp_session_id", None)));
    for innocent in ["a=b; e=f", "a=b;e=f"] {
        let (step, _) = record_of(&[("cookie", innocent)], ACTIVE);
        let Step::Forward(forward, _) = step else {
            panic!("{step:?}");
        };
        let mut changes = forward.changes();
        assert!(changes.all(|(name, _)| name != "cookie"), "{innocent}");
    }
    let (step, _) = record_of(&[("cookie", "access_token=x")], ACTIVE);
    let Step::Forward(forward, _) = step else {
        panic!("{step:?}");
    };
    let mut changes = forward.changes();
    assert!(changes.any(|change| change == ("cookie", None)));
}

#[test]
fn trailers_go_without_what_is_stripped_and_not_with_the_token() {
    let strip = [
        "authorization",
        "x-access-token",
        "mcp-session-id",
        "Mcp_Session_Id",
        "cookie",
    ];
    let mut trailers: Vec<Field> = strip.map(|name| (name.to_owned(), b"x".to_vec())).into();
    trailers.push(("cookie".to_owned(), b"y".to_vec()));
    trailers.push(("x-note".to_owned(), b"stays".to_vec()));
    for (leaks, note) in [(false, "stays"), (true, TOKEN)] {
        let mut guard = guard("gateway", STATIC);
        left(sent(&mut guard));
        trailers.push(("x-last".to_owned(), note.as_bytes().to_vec()));
        match guard.trailers(STREAM, &trailers) {
            TrailersStep::Continue(names) => assert!(names == strip && !leaks, "{names:?}"),
            TrailersStep::Reply(reply, _) => assert!(leaks, "{reply:?}"),
            step @ (TrailersStep::Hold(_) | TrailersStep::Reset(_)) => panic!("{step:?}"),
        }
    }
}

#[test]
fn a_session_gets_another_name_and_one_that_is_the_credential_none() {
    let mut guard = guard("gateway", STATIC);
    left(sent(&mut guard));
    let got = answered(&mut guard, "200", &[("mcp-session-id", "s-1")]);
    assert_eq!(got.len(), 1);
    assert!(got[0].1 != "s-1" && !got[0].1.is_empty(), "{got:?}");
    let id = [("mcp-session-id", "Bearer kanarie-credential")];
    assert_eq!(answered(&mut guard, "200", &id), []);
}

const RULES: &str = r#""required_scopes": ["base"],
    "default_headers": {"Authorization": "Bearer kanarie-credential"},
    "rules": [
        {"methods": ["tools/call"], "names": ["a*"], "required_scopes": ["one"]},
        {"methods": ["tools/call"], "names": ["b"], "deny": true},
        {"methods": ["tools/call"], "required_scopes": ["two"]}
    ]"#;

/// A call of this tool.
fn call(name: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}"}}}}"#)
        .into()
}

/// This much later.
fn after(ms: u64) -> Now {
    Now {
        wall_ms: NOW.wall_ms.saturating_add(ms),
        steady_ms: NOW.steady_ms.saturating_add(ms),
    }
}

/// A request whose token is good and whose body is still to come.
fn waiting_for_its_body(guard: &mut Guard) {
    let step = sent(guard);
    assert!(matches!(step, Step::Wait), "{step:?}");
}

/// The end of a body has come, and this is done.
fn refused(step: &BodyStep) -> (u16, String, String) {
    let BodyStep::Reply(reply, audit) = step else {
        panic!("{step:?}");
    };
    let challenge =
        |(name, value): &(&str, String)| (*name == "www-authenticate").then(|| value.clone());
    let challenge = reply.headers.iter().find_map(challenge);
    assert!(!audit.json.contains("allowed"), "{}", audit.json);
    let challenge = challenge.unwrap_or_default();
    (reply.status, challenge, reply.body.clone())
}

#[test]
fn a_body_is_read_behind_a_head_that_is_held_back() {
    let mut guard = guard("gateway", RULES);
    waiting_for_its_body(&mut guard);
    let body = call("a1");
    let (first, rest) = body.split_at(20);
    assert_eq!(guard.reads(STREAM), Some(0));
    assert!(matches!(
        guard.read(STREAM, first, false, NOW),
        BodyStep::Wait
    ));
    assert_eq!(guard.reads(STREAM), Some(20));
    let step = guard.read(STREAM, rest, true, NOW);
    let BodyStep::Forward(forward, audit) = step else {
        panic!("{step:?}");
    };
    let text = r#""mcp_method":"tools/call","mcp_name":"a1""#;
    assert!(audit.json.contains(text), "{}", audit.json);
    assert_eq!(guard.reads(STREAM), None);
    left(Step::Forward(forward, audit));
}

#[test]
fn a_body_may_be_there_before_the_answer_about_the_token() {
    let mut guard = guard("gateway", RULES);
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    let early = guard.read(STREAM, &call("a1"), true, NOW);
    assert!(matches!(early, BodyStep::Wait), "{early:?}");
    left(answer(&mut guard, step, ACTIVE));
}

#[test]
fn a_call_needs_the_scopes_of_its_rule() {
    for (name, scope) in [("c", "base two"), ("b", "")] {
        let mut guard = guard("gateway", RULES);
        waiting_for_its_body(&mut guard);
        let step = guard.read(STREAM, &call(name), true, NOW);
        let (status, challenge, _) = refused(&step);
        assert_eq!(status, 403, "{name}");
        let named = challenge.contains(&format!("scope=\"{scope}\""));
        assert_eq!(named, !scope.is_empty(), "{challenge}");
        assert_eq!(guard.reads(STREAM), None);
    }
}

#[test]
fn scopes_come_last_and_all_that_are_needed_are_named() {
    let text = String::from_utf8_lossy(ACTIVE);
    let narrow = text.replace("base one", "one");
    let other = text.replace("gateway.example.com/mcp", "gateway.example.com/other");
    for (said, name, wanted) in [
        (&narrow, "a1", (403, "scope=\"base one\"")),
        (&narrow, "b", (403, "")),
        (&other, "b", (401, "invalid_token")),
    ] {
        let mut guard = guard("gateway", RULES);
        let step = guard.request(STREAM, &head(), Some("files"), NOW);
        let early = guard.read(STREAM, &call(name), true, NOW);
        assert!(matches!(early, BodyStep::Wait), "{early:?}");
        let step = answer(&mut guard, step, said.as_bytes());
        let Step::Reply(reply, audit) = step else {
            panic!("{step:?}");
        };
        let (status, challenge, _) = refused(&BodyStep::Reply(reply, audit));
        assert_eq!(status, wanted.0, "{name}");
        assert!(challenge.contains(wanted.1), "{challenge}");
        assert_eq!(challenge.is_empty(), wanted.1.is_empty(), "{challenge}");
    }
}

#[test]
fn a_certificate_is_asked_for_where_it_counts() {
    let bound = format!("{STATIC}, \"certificate_bound_tokens\": true");
    let plain = guard("gateway", STATIC);
    let bound = guard("gateway", &bound);
    assert!(!plain.wants_certificate(&head(), Some("files")));
    assert!(bound.wants_certificate(&head(), Some("files")));
    for cluster in [Some("other"), Some("foreign"), None] {
        assert!(!bound.wants_certificate(&head(), cluster), "{cluster:?}");
    }
}

#[test]
fn a_role_is_what_the_configuration_says() {
    for (role, injects) in [("gateway", false), ("verifier", false), ("injector", true)] {
        assert_eq!(guard(role, STATIC).is_injector(), injects, "{role}");
    }
    assert!(!guard("gateway", STATIC).fetches_credentials());
    let fetched = fetched("client_credentials");
    assert!(guard("gateway", &fetched).fetches_credentials());
}

#[test]
fn headers_have_to_say_what_the_body_says() {
    for (id, said) in [("7", "\"id\":7,"), ("\"x\"", "\"id\":\"x\","), ("null", "")] {
        let mut guard = guard("gateway", RULES);
        let mut head = head();
        head.push(("mcp-method".to_owned(), b"tools/list".to_vec()));
        let step = guard.request(STREAM, &head, Some("files"), NOW);
        let step = answer(&mut guard, step, ACTIVE);
        assert!(matches!(step, Step::Wait), "{step:?}");
        let body = String::from_utf8(call("a1")).expect("text");
        let body = body.replace("\"id\":7", &format!("\"id\":{id}"));
        let step = guard.read(STREAM, body.as_bytes(), true, NOW);
        let (status, _, body) = refused(&step);
        assert_eq!(status, 400);
        let wanted = format!("{{\"jsonrpc\":\"2.0\",{said}\"error\":{{\"code\":-32020,");
        assert!(body.starts_with(&wanted), "{body}");
    }
}

#[test]
fn a_head_that_is_held_back_in_vain_goes_on_and_its_body_is_held_to_the_rules() {
    for (name, allowed) in [("a1", true), ("b", false)] {
        let mut guard = guard("gateway", RULES);
        waiting_for_its_body(&mut guard);
        assert!(guard.tick(after(249)).is_empty());
        assert!(guard.settle(after(249)).is_none(), "too soon");
        assert!(guard.tick(after(250)).is_empty());
        let (id, step) = guard.settle(after(250)).expect("it goes on");
        assert_eq!(id, STREAM);
        left(step);
        assert!(guard.settle(after(250)).is_none(), "twice");
        let step = guard.read(STREAM, &call(name), true, after(250));
        match (allowed, &step) {
            (true, BodyStep::Pass(audit)) => {
                assert!(audit.json.contains("a1"), "{}", audit.json);
            }
            (false, BodyStep::Reply(reply, _)) => assert_eq!(reply.status, 403),
            (_, step) => panic!("{step:?}"),
        }
        // Now it is known how Envoy does it: the next goes on at once, if its
        // token may.
        guard.gone(STREAM);
        left(guard.request(STREAM, &head(), Some("files"), after(251)));
        let fields = [(":status".to_owned(), b"200".to_vec())];
        let _ = guard.answer(STREAM, &fields, Some("files"));
        let step = guard.read(STREAM, &call("b"), true, after(252));
        assert!(matches!(step, BodyStep::Reset(_)), "{step:?}");
    }
}

#[test]
fn a_head_is_held_back_for_good_where_bodies_come_meanwhile() {
    let mut guard = guard("gateway", RULES);
    waiting_for_its_body(&mut guard);
    let step = guard.read(STREAM, b"{", false, NOW);
    assert!(matches!(step, BodyStep::Wait), "{step:?}");
    assert!(guard.tick(after(9_000)).is_empty());
    assert!(guard.settle(after(9_000)).is_none());
}

#[test]
fn so_many_heads_are_held_back_and_no_more() {
    let mut guard = limited("gateway", RULES, 2);
    waiting_for_its_body(&mut guard);
    let mut next = |id| guard.request(StreamId(id), &head(), Some("files"), NOW);
    assert!(matches!(next(21), Step::Wait));
    assert_eq!(status(&next(22)), 503);
    guard.gone(STREAM);
    let step = guard.request(StreamId(23), &head(), Some("files"), NOW);
    assert!(matches!(step, Step::Wait), "{step:?}");
    let step = guard.request(StreamId(24), &head(), Some("files"), NOW);
    assert_eq!(status(&step), 503);
}

#[test]
fn so_many_wait_for_a_credential_and_no_more() {
    let mut guard = limited("gateway", &fetched("client_credentials"), 2);
    let step = sent(&mut guard);
    assert!(matches!(step, Step::Wait), "{step:?}");
    let mut next = |id| guard.request(StreamId(id), &head(), Some("files"), NOW);
    assert!(matches!(next(21), Step::Wait));
    assert_eq!(status(&next(22)), 503);
    // One call for all of them.
    assert_eq!(guard.tick(NOW).len(), 1);
}
