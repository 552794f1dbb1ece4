//! Several authorization servers.

use super::*;

/// One for tokens that begin so, one for all others; the second server is the
/// first one's alone.
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
        let Step::Ask(ask) = step else {
            panic!("{step:?}");
        };
        assert_eq!(ask.callout.cluster, "authorization-server");
        let step = answer_now(&mut guard, Step::Ask(ask), INACTIVE);
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
