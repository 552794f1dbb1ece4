//! Several authorization servers.

use super::*;

/// One for tokens that begin so, one for all others.
fn several() -> Guard {
    let one = |issuer: &str, more: &str| {
        format!(
            r#"{{"issuer": "https://{issuer}", {more} "introspection": {{
                "url": "https://{issuer}/introspect", "cluster": "authorization-server",
                "client_id": "gw", "client_secret": "kanarie-client-secret"
            }}}}"#
        )
    };
    let text = format!(
        r#"{{
        "authorization_servers": {{"corp": {}, "partner": {}}},
        "session_key": "a-key-for-the-sessions-of-both",
        "servers": {{
            "files": {{"resource": "https://gateway.example.com/mcp",
                "authorization_servers": ["corp", "partner"],
                "default_headers": {{"Authorization": "Bearer x.eyJpc3MiOiJodHRwczovL2VsIn0.x"}}}}
        }}
    }}"#,
        one("corp.example.com", r#""token_prefix": "corp-","#),
        one("partner.example.com", "")
    );
    Guard::new(Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|e| panic!("{e}")))
}

fn head_of(token: &str) -> Vec<Field> {
    head_with(&[("authorization", &format!("Bearer {token}"))])
}

#[test]
fn the_record_says_who_was_asked() {
    for (token, name) in [("corp-1", "corp"), ("another", "partner")] {
        let mut guard = several();
        let step = guard.request(STREAM, &head_of(token), Some("files"), NOW);
        let step = answer_now(&mut guard, step, INACTIVE);
        let (status, json) = refused(&step);
        let wanted = format!(r#""authorization_server":"{name}""#);
        assert!(status == 401 && json.contains(&wanted), "{json}");
    }
    // Where there is one alone, it goes without saying.
    let mut alone = guard("gateway", STATIC);
    let step = alone.request(STREAM, &head(), Some("files"), NOW);
    let step = answer_now(&mut alone, step, INACTIVE);
    let (_, json) = refused(&step);
    assert!(!json.contains("authorization_server"), "{json}");
}

#[test]
fn a_token_of_nobody_is_refused_and_our_own_credential_is_said_to_be_so() {
    let foreign = "x.eyJpc3MiOiJodHRwczovL25vIn0.x";
    let own = "x.eyJpc3MiOiJodHRwczovL2VsIn0.x";
    for (token, word) in [(foreign, "unknown_issuer"), (own, "own_credential")] {
        let mut guard = several();
        let step = guard.request(STREAM, &head_of(token), Some("files"), NOW);
        let (_, json) = refused(&step);
        assert!(json.contains(word), "{token}: {json}");
        assert!(guard.streams.is_empty());
    }
}

/// One server at one authorization server, with these members.
fn one_server(client: &str, server: &str) -> Guard {
    let text = format!(
        r#"{{
        "authorization_server": {{
            "issuer": "https://auth.example.com",
            "introspection": {{
                "url": "https://auth.example.com/introspect", "cluster": "authorization-server",
                "client_id": "gw", {client}
            }}
        }},
        "servers": {{
            "files": {{"resource": "https://gateway.example.com/mcp", {STATIC}, {server}}}
        }}
    }}"#
    );
    Guard::new(Config::parse(text.as_bytes(), &|_| None).unwrap_or_else(|e| panic!("{e}")))
}

#[test]
fn of_two_secrets_the_other_is_tried_for_all_who_wait() {
    let refusal = whole(401, b"");
    let two = r#""client_secret": ["kanarie-old", "kanarie-new"]"#;
    for (first, second, status) in [
        (&refusal, ACTIVE, None),
        (&refusal, INACTIVE, Some(401)),
        // It is not our secret that this is about.
        (&Reply::Broken, ACTIVE, Some(503)),
    ] {
        let mut guard = one_server(two, r#""required_scopes": []"#);
        let step = guard.request(STREAM, &head(), Some("files"), NOW);
        let Step::Ask(ask) = step else {
            panic!("{step:?}");
        };
        replied(&mut guard, &ask, first, NOW);
        let step = match guard.settle(NOW) {
            Some((_, step)) => step,
            None => answer_now(&mut guard, Step::Wait, second),
        };
        match status {
            None => drop(left(&step)),
            Some(status) => assert_eq!(refused(&step).0, status),
        }
        let told = usize::from(status != Some(503));
        assert_eq!(guard.tally().notices.len(), told, "{status:?}");
    }
    // Not a third time.
    let mut guard = one_server(two, r#""required_scopes": []"#);
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    let Step::Ask(ask) = step else {
        panic!("{step:?}");
    };
    replied(&mut guard, &ask, &refusal, NOW);
    assert!(guard.settle(NOW).is_none());
    let Some(Task::Ask(ask)) = guard.tick(NOW).pop() else {
        panic!("nobody is asked");
    };
    replied(&mut guard, &ask, &refusal, NOW);
    let (_, step) = guard.settle(NOW).expect("it is refused");
    assert_eq!(refused(&step).0, 503);
}

#[test]
fn a_certificate_is_asked_for_by_path_where_servers_share_a_cluster() {
    let secret = r#""client_secret": "s""#;
    let mut bound = one_server(secret, r#""certificate_bound_tokens": true"#);
    assert!(bound.wants_certificate(&head(), Some("files")));
    assert!(!bound.wants_certificate(&head(), None));
    bound = one_server(secret, r#""certificate_bound_tokens": false"#);
    assert!(!bound.wants_certificate(&head(), Some("files")));
    let more = r#""certificate_bound_tokens": true},
        "open": {"cluster": "files", "resource": "https://gateway.example.com/open",
            "default_headers": {}"#;
    let shared = one_server(secret, more);
    for (path, wants) in [("/mcp", true), ("/open", false), ("/no", false)] {
        let head = head_with(&[(":path", path)]);
        assert_eq!(shared.wants_certificate(&head, Some("files")), wants);
    }
}
