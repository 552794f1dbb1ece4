//! What the client gets of an answer.

use super::*;

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

/// The head that the client gets, or the status of the answer in its place.
fn got(
    guard: &mut Guard,
    status: &str,
    fields: &[(&str, &str)],
) -> Result<Vec<(String, String)>, u16> {
    let status = (":status".to_owned(), status.as_bytes().to_vec());
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    let mut all: Vec<Field> = fields.iter().map(owned).chain([status]).collect();
    match guard.answer(STREAM, &all, Some("files")) {
        Answer::Pass(edits) => {
            for (name, value) in edits {
                all.retain(|(known, _)| *known != name);
                all.extend(value.map(|value| (name, value)));
            }
        }
        Answer::Replace(reply, _) => return Err(reply.status),
    }
    all.retain(|(name, _)| name != ":status");
    all.sort();
    let text = |(name, value)| (name, String::from_utf8(value).expect("text"));
    Ok(all.into_iter().map(text).collect())
}

#[test]
fn an_answer_goes_without_the_upstreams_authentication() {
    let mut guard = guard("gateway", STATIC);
    left(&sent(&mut guard));
    let wanted = with(&[
        ("access-control-allow-origin", "*"),
        ("access-control-max-age", "9"),
        ("vary", "Accept"),
        ("vary", "Accept-Language"),
        ("x-note", "stays"),
    ]);
    assert_eq!(got(&mut guard, "200", ANSWER), Ok(wanted));
}

#[test]
fn a_page_gets_the_guards_word_on_origins_and_no_other() {
    let mut guard = guard("gateway", STATIC);
    let page = head_with(&[("origin", "https://app.example.com")]);
    left(&sent_with(&mut guard, &page));
    let wanted = with(&[
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-expose-headers", crate::reply::EXPOSED),
        ("vary", "Accept, Accept-Language, Origin"),
        ("x-note", "stays"),
    ]);
    assert_eq!(got(&mut guard, "200", ANSWER), Ok(wanted));
}

#[test]
fn a_session_gets_another_name_and_one_that_is_the_credential_none() {
    let mut guard = guard("gateway", STATIC);
    left(&sent(&mut guard));
    let fields = got(&mut guard, "200", &[("mcp-session-id", "s-1")]);
    let fields = fields.expect("an answer");
    assert_eq!(fields.len(), 1);
    assert!(
        fields[0].1 != "s-1" && !fields[0].1.is_empty(),
        "{fields:?}"
    );
    let id = [("mcp-session-id", "Bearer kanarie-credential")];
    assert_eq!(got(&mut guard, "200", &id), Ok(vec![]));
}

#[test]
fn a_credential_that_the_upstream_refuses_is_fetched_anew() {
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
                step = answer_now(&mut guard, step, ACTIVE);
            }
            left(&answer_now(&mut guard, step, FETCHED));
            let wanted = match (role, status) {
                ("gateway", "401" | "407") => Err(502),
                _ => Ok(kept.clone()),
            };
            assert_eq!(got(&mut guard, status, &echo), wanted, "{role}");
            guard.gone(STREAM);
            // One that is refused at once is not fetched over and over again.
            let step = at(&mut guard, after(5_000));
            let waits = matches!(step, Step::Wait);
            assert_eq!(waits, status != "200", "{role} {status}: {step:?}");
        }
    }
}

/// In this role, before [`STREAM`] is answered.
fn open(role: &str, server: &str) -> Guard {
    let mut guard = configured(role, server, r#""unlisted_clusters": "ignore""#);
    let mut step = match role {
        "injector" => injected(&mut guard, MARK),
        _ => sent(&mut guard),
    };
    if matches!(step, Step::Wait) {
        step = answer_now(&mut guard, step, FETCHED);
    }
    left(&step);
    guard
}

#[test]
fn an_answer_is_looked_at_where_something_can_be_in_it() {
    let by_client = fetched("client_credentials");
    for (role, server, looks) in [
        ("gateway", STATIC, true),
        ("verifier", STATIC, true),
        ("injector", STATIC, false),
        ("injector", &by_client, true),
    ] {
        let mut guard = open(role, server);
        assert_eq!(guard.looks_at_answer(STREAM), looks, "{role}");
        assert!(!guard.looks_at_answer(OTHER), "of nobody");
        let step = match role {
            "injector" => guard.inject(OTHER, &head(), Some("foreign"), None, Some(NOW)),
            _ => guard.request(OTHER, &head(), Some("foreign"), NOW),
        };
        assert!(matches!(step, Step::Ignore), "{step:?}");
        assert_eq!(guard.looks_at_answer(OTHER), role != "injector");
    }
    let mut waiting = guard("gateway", STATIC);
    let step = waiting.request(STREAM, &head(), Some("files"), NOW);
    assert!(matches!(step, Step::Ask(_)), "{step:?}");
    assert!(!waiting.looks_at_answer(STREAM));
}

#[test]
fn an_answer_from_another_cluster_is_not_let_through() {
    let fields = [(":status".to_owned(), b"200".to_vec())];
    for (role, cluster, passes) in [
        ("gateway", Some("files"), true),
        ("gateway", None, true),
        ("gateway", Some("other"), false),
        ("gateway", Some("foreign"), false),
        // It is behind the injector, which has its own word on the cluster.
        ("verifier", Some("other"), true),
    ] {
        let mut guard = open(role, STATIC);
        let answer = guard.answer(STREAM, &fields, cluster);
        assert_eq!(matches!(answer, Answer::Pass(_)), passes, "{cluster:?}");
        // One that was let alone.
        let step = guard.request(OTHER, &head(), Some("foreign"), NOW);
        assert!(matches!(step, Step::Ignore), "{step:?}");
        let answer = guard.answer(OTHER, &fields, cluster);
        let ours = matches!(cluster, Some("files" | "other"));
        assert_eq!(matches!(answer, Answer::Pass(_)), !ours, "{cluster:?}");
    }
}

/// The answer, and what of its record is a line of the log.
fn said(step: Step) -> (LocalReply, Option<log::Level>) {
    let Step::Reply(reply, audit) = step else {
        panic!("{step:?}");
    };
    (reply, audit.log)
}

#[test]
fn the_log_is_as_loud_as_somebody_has_to_act() {
    const OURS: &[u8] = br#"{"error":"invalid_client"}"#;
    let by_client = fetched("client_credentials");
    for (audit_log, ours, theirs, allowed) in [
        ("all", Some(log::Level::Error), Some(log::Level::Warn), true),
        (
            "refused",
            Some(log::Level::Error),
            Some(log::Level::Warn),
            false,
        ),
        ("off", Some(log::Level::Error), None, false),
    ] {
        let top = format!(r#""audit_log": "{audit_log}""#);
        for (status, body, level) in [(400, OURS, ours), (500, &b""[..], theirs)] {
            let mut guard = configured("gateway", &by_client, &top);
            let step = sent(&mut guard);
            assert!(matches!(step, Step::Wait), "{step:?}");
            let mut tasks = guard.tick(NOW);
            let Some(Task::Ask(ask)) = tasks.pop() else {
                panic!("nobody is asked");
            };
            replied(&mut guard, &ask, &whole(status, body), NOW);
            let (_, step) = guard.settle(NOW).expect("it has been answered");
            assert_eq!(said(step).1, level, "{audit_log} {status}");
        }
        let mut guard = configured("gateway", STATIC, &top);
        let step = sent(&mut guard);
        let Step::Forward(_, audit) = &step else {
            panic!("{step:?}");
        };
        assert_eq!(audit.log, allowed.then_some(log::Level::Info));
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    let limits = r#""limits": {"in_flight": 1}"#;
    let mut guard = configured("gateway", STATIC, limits);
    let step = guard.request(OTHER, &head(), Some("files"), NOW);
    assert!(matches!(step, Step::Ask(_)), "{step:?}");
    let other = ("authorization", "Bearer kanarie-T-of-somebody-else");
    for (field, status, name, value) in [
        (other, 503, "retry-after", "2"),
        ((":method", "TRACE"), 405, "allow", "GET, POST, DELETE"),
        (("authorization", ""), 401, "none", ""),
    ] {
        let step = guard.request(STREAM, &head_with(&[field]), Some("files"), NOW);
        let (reply, _) = said(step);
        assert_eq!(reply.status, status);
        let told = ["retry-after", "allow"];
        let told: Vec<_> = reply
            .headers
            .iter()
            .filter(|(name, _)| told.contains(&&**name))
            .map(|(name, value)| (&**name, value.as_str()))
            .collect();
        let wanted: Vec<_> = [(name, value)]
            .into_iter()
            .filter(|one| !one.1.is_empty())
            .collect();
        assert_eq!(told, wanted, "{field:?}");
        let body: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
        let description = body["error_description"].as_str().unwrap_or_default();
        assert!(description.contains(' '), "{body}");
    }
}

#[test]
fn a_page_may_send_the_fields_that_it_asks_for_if_they_are_fields() {
    let mut guard = guard("gateway", STATIC);
    let asked = "X-A, , b c, \tmcp-param-é, Mcp-Param-X ,authorization,(x)";
    let preflight = head_with(&[
        (":method", "OPTIONS"),
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asked),
    ]);
    let step = guard.request(STREAM, &preflight, Some("files"), NOW);
    let (reply, _) = said(step);
    let is_list = |(name, _): &&(_, String)| *name == "access-control-allow-headers";
    let (_, list) = reply.headers.iter().find(is_list).expect("a list");
    assert!(list.ends_with(", X-A, Mcp-Param-X"), "{list}");
}
