//! What leaves, in each role.

use super::*;

#[test]
fn a_credential_is_in_place_of_the_token_where_one_is_given() {
    let by_client = fetched("client_credentials");
    let full = with(&[
        ("authorization", "Bearer kanarie-credential"),
        ("x-mcp-subject", "user-1"),
        ("x-region", "eu"),
    ]);
    let bare = with(&[("x-mcp-subject", "user-1")]);
    for (role, server, wanted, marked) in [
        ("gateway", STATIC, &full, None),
        ("injector", STATIC, &full, None),
        ("verifier", STATIC, &bare, Some("files")),
        ("verifier", &by_client, &bare, Some("files")),
    ] {
        let mut guard = guard(role, server);
        assert_eq!(guard.is_injector(), role == "injector");
        let step = match role {
            "injector" => injected(&mut guard, MARK),
            _ => sent(&mut guard),
        };
        assert_eq!(left(&step), *wanted, "{role}");
        assert_eq!(mark(&step), marked, "{role}");
    }
}

#[test]
fn an_injector_lets_nothing_by_that_is_not_marked_for_its_cluster() {
    let mut guard = guard("injector", STATIC);
    for (mark, word) in [
        (None, "no_mark"),
        (Some(&b""[..]), "wrong_mark"),
        (Some(b"other"), "wrong_mark"),
        (Some(b"nobody"), "wrong_mark"),
    ] {
        let step = injected(&mut guard, mark);
        let (status, json) = refused(&step);
        assert!(status == 403 && json.contains(word), "{json}");
        assert!(guard.streams.is_empty());
    }
    let step = guard.inject(STREAM, &head(), Some("foreign"), MARK, Some(NOW));
    assert_eq!(refused(&step).0, 403);
}

#[test]
fn a_request_goes_with_the_credential_that_it_has_waited_for() {
    let wanted = with(&[
        ("authorization", "Bearer kanarie-fetched"),
        ("x-mcp-subject", "user-1"),
        ("x-region", "eu"),
    ]);
    for (role, grant) in [
        ("gateway", "client_credentials"),
        ("gateway", "token_exchange"),
        ("injector", "client_credentials"),
    ] {
        let mut guard = guard(role, &fetched(grant));
        assert!(guard.fetches_credentials());
        let step = match role {
            "injector" => injected(&mut guard, MARK),
            _ => sent(&mut guard),
        };
        assert!(matches!(step, Step::Wait), "{step:?}");
        let step = answer_now(&mut guard, step, FETCHED);
        assert_eq!(left(&step), wanted, "{role} {grant}");
    }
    assert!(!guard("gateway", STATIC).fetches_credentials());
}

#[test]
fn a_credential_with_the_clients_token_in_it_does_not_leave() {
    let echo = String::from_utf8_lossy(FETCHED).replace("kanarie-fetched", &format!("x{TOKEN}"));
    for (grant, outcome) in [
        ("client_credentials", "leak_blocked"),
        ("token_exchange", "credential_unavailable"),
    ] {
        let mut guard = guard("gateway", &fetched(grant));
        let step = sent(&mut guard);
        let step = answer_now(&mut guard, step, echo.as_bytes());
        let (_, json) = refused(&step);
        assert!(json.contains(outcome), "{grant}: {json}");
    }
}

#[test]
fn the_token_leaves_nowhere_else() {
    for (name, value) in [
        ("x-note", TOKEN.to_owned()),
        ("user-agent", format!("x{TOKEN}x")),
        (":path", format!("/mcp/{TOKEN}")),
        (":path", format!("/mcp?a={TOKEN}")),
    ] {
        let mut guard = guard("gateway", STATIC);
        let step = sent_with(&mut guard, &head_with(&[(name, &value)]));
        let (status, json) = refused(&step);
        assert!(
            status == 400 && json.contains("leak_blocked"),
            "{name}: {json}"
        );
    }
    let claimed = String::from_utf8_lossy(ACTIVE).replace("user-1", TOKEN);
    let mut guard = guard("gateway", STATIC);
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    let step = answer_now(&mut guard, step, claimed.as_bytes());
    let names: Vec<_> = left(&step).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["authorization", "x-region"]);
    let Step::Forward(_, audit) = &step else {
        panic!("{step:?}");
    };
    assert!(!audit.json.contains(TOKEN), "{}", audit.json);
}

#[test]
fn cookies_go_without_the_token() {
    let mixed = format!("a=b; access_token=x; c={TOKEN}; {TOKEN}=d; Access-Token=y; e=f");
    for (cookie, wanted) in [
        (mixed.as_str(), Some(Some("a=b; e=f"))),
        ("access_token=x", Some(None)),
        ("a=b; e=f", None),
        ("a=b;e=f", None),
    ] {
        let mut guard = guard("gateway", STATIC);
        let step = sent_with(&mut guard, &head_with(&[("cookie", cookie)]));
        let all = changes(&step);
        let change = all.iter().find(|(name, _)| name == "cookie");
        let change = change.map(|(_, value)| value.as_deref());
        assert_eq!(change, wanted, "{cookie}");
    }
}

#[test]
fn an_alias_of_the_sessions_field_does_not_leave() {
    let mut guard = guard("gateway", STATIC);
    let step = sent_with(&mut guard, &head_with(&[("mcp_session_id", "x")]));
    assert!(changes(&step).contains(&("mcp_session_id".to_owned(), None)));
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
    for (leaks, note) in [(false, "stays"), (true, TOKEN)] {
        let mut guard = guard("gateway", STATIC);
        left(&sent(&mut guard));
        let names = strip.iter().chain(&["cookie"]);
        let mut trailers: Vec<Field> = names
            .map(|name| ((*name).to_owned(), b"x".to_vec()))
            .collect();
        trailers.push(("x-note".to_owned(), note.as_bytes().to_vec()));
        match guard.trailers(STREAM, &trailers) {
            TrailersStep::Continue(names) => assert!(names == strip && !leaks, "{names:?}"),
            TrailersStep::Reply(reply, _) => assert!(leaks && reply.status == 400, "{reply:?}"),
            step @ (TrailersStep::Hold(_) | TrailersStep::Reset(_)) => panic!("{step:?}"),
        }
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
