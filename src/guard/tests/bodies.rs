//! Requests whose body is read for the rules of their server.

use super::*;

/// A request whose token is good and whose body is still to come.
pub(super) fn waiting_for_its_body(guard: &mut Guard) {
    let step = sent(guard);
    assert!(matches!(step, Step::Wait), "{step:?}");
}

/// All of a body has come, and the request is refused: status, challenge, body.
fn refusal(step: BodyStep) -> (u16, String, String) {
    let BodyStep::Reply(reply, audit) = step else {
        panic!("{step:?}");
    };
    assert!(!audit.json.contains("allowed"), "{}", audit.json);
    let mut headers = reply.headers.into_iter();
    let challenge = headers.find(|(name, _)| *name == "www-authenticate");
    let challenge = challenge.map(|(_, value)| value);
    (reply.status, challenge.unwrap_or_default(), reply.body)
}

#[test]
fn a_body_is_read_behind_a_head_that_is_held_back() {
    let mut guard = guard("gateway", RULES);
    waiting_for_its_body(&mut guard);
    let body = call("a1");
    let (first, rest) = body.split_at(20);
    assert_eq!(guard.reads(STREAM), Some(0));
    let step = guard.read(STREAM, first, false, NOW);
    assert!(matches!(step, BodyStep::Wait), "{step:?}");
    assert_eq!(guard.reads(STREAM), Some(20));
    let step = guard.read(STREAM, rest, true, NOW);
    let BodyStep::Forward(_, audit) = step else {
        panic!("{step:?}");
    };
    let text = r#""mcp_method":"tools/call","mcp_name":"a1""#;
    assert!(audit.json.contains(text), "{}", audit.json);
    assert_eq!(guard.reads(STREAM), None);
}

#[test]
fn a_body_may_be_there_before_the_answer_about_the_token() {
    let mut guard = guard("gateway", RULES);
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    let early = guard.read(STREAM, &call("a1"), true, NOW);
    assert!(matches!(early, BodyStep::Wait), "{early:?}");
    left(&answer_now(&mut guard, step, ACTIVE));
}

#[test]
fn a_call_needs_the_scopes_of_its_rule() {
    for (name, scope) in [("c", Some("base two")), ("b", None)] {
        let mut guard = guard("gateway", RULES);
        waiting_for_its_body(&mut guard);
        let step = guard.read(STREAM, &call(name), true, NOW);
        let (status, challenge, _) = refusal(step);
        assert_eq!(status, 403, "{name}");
        match scope {
            Some(scope) => assert!(challenge.contains(&format!("scope=\"{scope}\""))),
            None => assert_eq!(challenge, ""),
        }
        assert_eq!(guard.reads(STREAM), None);
    }
}

#[test]
fn scopes_come_last_and_all_that_are_needed_are_named() {
    let text = String::from_utf8_lossy(ACTIVE);
    let narrow = text.replace("base one", "one");
    let other = text.replace("gateway.example.com/mcp", "gateway.example.com/other");
    for (said, name, status, told) in [
        (&narrow, "a1", 403, "scope=\"base one\""),
        (&narrow, "b", 403, ""),
        (&other, "b", 401, "invalid_token"),
    ] {
        let mut guard = guard("gateway", RULES);
        let step = guard.request(STREAM, &head(), Some("files"), NOW);
        let early = guard.read(STREAM, &call(name), true, NOW);
        assert!(matches!(early, BodyStep::Wait), "{early:?}");
        let Step::Reply(reply, audit) = answer_now(&mut guard, step, said.as_bytes()) else {
            panic!("{name} is let through");
        };
        let (got, challenge, _) = refusal(BodyStep::Reply(reply, audit));
        assert_eq!(got, status, "{name}");
        assert!(challenge.contains(told), "{challenge}");
        assert_eq!(challenge.is_empty(), told.is_empty(), "{challenge}");
    }
}

#[test]
fn headers_have_to_say_what_the_body_says() {
    let text = String::from_utf8(call("a1")).expect("text");
    for (id, said) in [
        ("7", r#""id":7,"#),
        (r#""x""#, r#""id":"x","#),
        ("null", ""),
    ] {
        let mut guard = guard("gateway", RULES);
        let head = head_with(&[("mcp-method", "tools/list")]);
        let step = sent_with(&mut guard, &head);
        assert!(matches!(step, Step::Wait), "{step:?}");
        let body = text.replace(r#""id":7"#, &format!(r#""id":{id}"#));
        let (status, _, body) = refusal(guard.read(STREAM, body.as_bytes(), true, NOW));
        assert_eq!(status, 400);
        let wanted = format!(r#"{{"jsonrpc":"2.0",{said}"error":{{"code":-32020,"#);
        assert!(body.starts_with(&wanted), "{body}");
        assert!(body.contains("headers say something else"), "{body}");
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
        left(&step);
        assert!(guard.settle(after(250)).is_none(), "twice");
        let step = guard.read(STREAM, &call(name), true, after(250));
        if let BodyStep::Pass(audit) = &step {
            assert!(allowed && audit.json.contains("a1"), "{}", audit.json);
        } else {
            assert!(!allowed && refusal(step).0 == 403);
        }
        // Now it is known how Envoy does it: the next goes on at once, if its
        // token may.
        guard.gone(STREAM);
        left(&guard.request(STREAM, &head(), Some("files"), after(251)));
        let fields = [(":status".to_owned(), b"200".to_vec())];
        assert!(matches!(
            guard.answer(STREAM, &fields, Some("files")),
            Answer::Pass(_)
        ));
        let step = guard.read(STREAM, &call("b"), true, after(252));
        assert!(matches!(step, BodyStep::Reset(_)), "{step:?}");
    }
}

#[test]
fn what_one_head_shows_lets_the_others_go() {
    let mut guard = guard("gateway", RULES);
    waiting_for_its_body(&mut guard);
    let step = guard.request(OTHER, &head(), Some("files"), after(200));
    assert!(matches!(step, Step::Wait), "{step:?}");
    assert!(guard.tick(after(250)).is_empty());
    let (id, step) = guard.settle(after(250)).expect("it goes on");
    assert_eq!(id, STREAM);
    left(&step);
    assert!(guard.settle(after(250)).is_none());
    let step = guard.read(STREAM, &call("a1"), true, after(250));
    assert!(matches!(step, BodyStep::Pass(_)), "{step:?}");
    assert!(guard.tick(after(251)).is_empty());
    let (id, step) = guard.settle(after(251)).expect("it goes on too");
    assert_eq!(id, OTHER);
    left(&step);
    assert!(guard.settle(after(251)).is_none(), "twice");
}

/// An answer that has one scope of no use.
const POOR: &str = r#"{"active":true,"aud":"https://gateway.example.com/mcp","scope":"other"}"#;

#[test]
fn scopes_are_for_the_body_to_say_unless_the_head_goes_first() {
    let poor = head_with(&[("authorization", "Bearer kanarie-T-with-another-scope")]);
    let mut guard = guard("gateway", RULES);
    let step = guard.request(STREAM, &poor, Some("files"), NOW);
    let step = answer_now(&mut guard, step, POOR.as_bytes());
    assert!(matches!(step, Step::Wait), "{step:?}");
    // In vain, it seems: now there is nothing else to go by.
    assert!(guard.tick(after(250)).is_empty());
    let (_, step) = guard.settle(after(250)).expect("it is judged");
    assert_eq!(refused(&step).0, 403);
    // And where the head goes first there never is.
    guard.bodies = heads::Bodies::AfterHead;
    let step = guard.request(OTHER, &poor, Some("files"), after(251));
    assert_eq!(refused(&step).0, 403);
    assert_eq!(guard.held, 0);
}

#[test]
fn a_body_that_comes_later_shows_nothing() {
    for (ms, body) in [(252, &b" "[..]), (253, b" "), (250, b"")] {
        let mut guard = guard("gateway", RULES);
        waiting_for_its_body(&mut guard);
        assert!(guard.tick(after(250)).is_empty());
        left(&guard.settle(after(250)).expect("it goes on").1);
        let step = guard.read(STREAM, body, false, after(ms));
        assert!(matches!(step, BodyStep::Wait), "{step:?}");
        let is_known = guard.bodies == heads::Bodies::AfterHead;
        assert_eq!(is_known, ms == 252, "{ms} {body:?}");
    }
}

#[test]
fn the_record_has_the_id_of_the_request_whichever_goes_first() {
    let mut guard = guard("gateway", RULES);
    let named = head_with(&[("x-request-id", "r-17")]);
    let step = guard.request(STREAM, &named, Some("files"), NOW);
    let step = answer_now(&mut guard, step, ACTIVE);
    assert!(matches!(step, Step::Wait), "{step:?}");
    assert!(guard.tick(after(250)).is_empty());
    left(&guard.settle(after(250)).expect("it goes on").1);
    let step = guard.read(STREAM, &call("a1"), true, after(250));
    let BodyStep::Pass(audit) = &step else {
        panic!("{step:?}");
    };
    let json = &audit.json;
    assert!(json.contains("r-17") && json.contains("a1"), "{json}");
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
fn trailers_do_not_go_behind_a_body_that_is_held_back() {
    for responds in [false, true] {
        let mut guard = guard("gateway", RULES);
        waiting_for_its_body(&mut guard);
        assert!(guard.tick(after(250)).is_empty());
        left(&guard.settle(after(250)).expect("it goes on").1);
        if responds {
            let fields = [(":status".to_owned(), b"200".to_vec())];
            let answer = guard.answer(STREAM, &fields, Some("files"));
            assert!(matches!(answer, Answer::Pass(_)), "{answer:?}");
        }
        match guard.trailers(STREAM, &[]) {
            TrailersStep::Reply(reply, _) => assert!(!responds && reply.status == 400),
            TrailersStep::Reset(_) => assert!(responds),
            step @ (TrailersStep::Continue(_) | TrailersStep::Hold(_)) => panic!("{step:?}"),
        }
        assert!(guard.streams.is_empty());
    }
}
