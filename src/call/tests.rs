//! Whole bodies, under rules, by what is found in them.

use super::*;
use crate::fields::Field;
use crate::rules::{Glob, Rule};

const MODERN: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

/// The most that a body may have.
const MOST: usize = 200;

const DENIED: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"no"}}"#;

const TOOL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#;

const PING: &str = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;

/// An answer to the server.
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":3,"result":{}}"#;

/// One rule against a tool, one for the others, one for all the rest.
fn rules() -> Rules {
    let globs = |text: &str| vec![Glob::parse(text).expect("a pattern")];
    let rule = |methods, names: Option<&str>, scopes| Rule {
        methods: globs(methods),
        names: names.map(globs),
        scopes,
    };
    Rules(vec![
        rule("tools/call", Some("no"), None),
        rule("tools/call", None, Some(Vec::new())),
        rule("*", None, Some(Vec::new())),
    ])
}

/// What is begun for a head with these fields.
fn begun(fields: &[(&str, &str)]) -> Result<Call, Denial> {
    let fields: Vec<Field> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Call::begin(&Head::read(&fields))
}

/// For a POST of JSON with these besides.
fn post(more: &[(&str, &str)]) -> Call {
    let own = [(":method", "POST"), ("content-type", "application/json")];
    begun(&[&own, more].concat()).expect("a body that can be read")
}

/// The whole body at once.
fn read(more: &[(&str, &str)], body: &str) -> Call {
    let mut call = post(more);
    call.feed(&rules(), MOST, body.as_bytes(), true);
    call
}

fn found(body: &str) -> Result<Vec<usize>, Denial> {
    read(&[], body).rules().map(<[usize]>::to_vec)
}

#[test]
fn only_a_body_that_is_json_as_it_is_can_be_read() {
    for content_type in [
        "application/json",
        "Application/JSON ; Charset=UTF-8",
        "application/json;charset=\"utf-8\"",
        "application/json;",
        "application/json; profile=x; charset=utf-8",
    ] {
        let head = [(":method", "POST"), ("content-type", content_type)];
        assert!(begun(&head).is_ok(), "{content_type}");
        let plain = [&head[..], &[("content-encoding", " Identity")]].concat();
        assert!(begun(&plain).is_ok(), "{content_type}");
        let packed = [&plain[..], &[("content-encoding", "gzip")]].concat();
        assert_eq!(begun(&packed).err(), Some(Denial::UnsupportedBody));
        let twice = [&head[..], &head[1..]].concat();
        assert_eq!(begun(&twice).err(), Some(Denial::UnsupportedBody));
    }
    for content_type in [
        "",
        "text/json",
        "application/json-rpc",
        "text/plain;charset=utf-8",
        "application/json;charset=utf-16",
        "application/json;charset=utf-8;charset=latin1",
        "application/json; charset",
    ] {
        let head = [(":method", "POST"), ("content-type", content_type)];
        let begun = begun(&head).err();
        assert_eq!(begun, Some(Denial::UnsupportedBody), "{content_type}");
    }
    assert_eq!(
        begun(&[(":method", "POST")]).err(),
        Some(Denial::UnsupportedBody)
    );
}

#[test]
fn a_method_without_a_body_has_none() {
    for method in ["GET", "HEAD", "DELETE"] {
        let begin = || begun(&[(":method", method)]).expect(method);
        let mut call = begin();
        assert_eq!(call.rules().err(), Some(Denial::Internal), "{method}");
        call.feed(&rules(), MOST, b"", true);
        assert_eq!(call.rules(), Ok(&[][..]), "{method}");
        assert_eq!(call.kind(), None, "{method}");
        let mut call = begin();
        call.feed(&rules(), MOST, b" ", false);
        assert!(call.is_done());
        assert_eq!(call.rules(), Err(Denial::MalformedBody), "{method}");
    }
    for method in ["PUT", "OPTIONS", "CONNECT", "TRACE", "get"] {
        let begun = begun(&[(":method", method), ("content-type", "application/json")]);
        assert_eq!(begun.err(), Some(Denial::MethodRefused), "{method}");
    }
}

#[test]
fn the_bytes_of_a_body_are_bounded() {
    let padded = |length: usize| format!("{PING:<length$}");
    assert_eq!(found(&padded(MOST)), Ok(vec![2]));
    assert_eq!(
        found(&padded(MOST.saturating_add(1))),
        Err(Denial::BodyTooLarge)
    );
    // Nor does it depend on the pieces.
    for end in [false, true] {
        let mut call = post(&[]);
        call.feed(&rules(), MOST, padded(MOST).as_bytes(), false);
        assert!(!call.is_done());
        assert_eq!(call.rules(), Err(Denial::Internal));
        call.feed(&rules(), MOST, b" ", end);
        assert!(call.is_done());
        assert_eq!(call.rules(), Err(Denial::BodyTooLarge));
        assert_eq!(call.read(), MOST.saturating_add(1));
    }
    // What is wrong within the bound is wrong first.
    assert_eq!(
        found(&format!("}}{}", padded(MOST))),
        Err(Denial::MalformedBody)
    );
}

#[test]
fn nothing_more_is_read_once_it_is_done() {
    let mut call = read(&[], TOOL);
    call.feed(&rules(), MOST, b"}", true);
    assert_eq!(call.rules(), Ok(&[1][..]));
    assert_eq!(call.read(), TOOL.len());
}

#[test]
fn what_it_opens_is_for_the_body_to_say() {
    let listen = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}"#;
    assert_eq!(read(&[], listen).kind(), Some(Kind::Subscription));
    assert_eq!(read(&[], PING).kind(), Some(Kind::Call));
    assert_eq!(read(&[], ANSWER).kind(), Some(Kind::Call));
}

#[test]
fn the_rules_of_a_batch_are_those_of_all_its_messages() {
    assert_eq!(found(TOOL), Ok(vec![1]));
    assert_eq!(found(PING), Ok(vec![2]));
    assert_eq!(found(ANSWER), Ok(vec![]));
    assert_eq!(found(&format!("[{PING},{TOOL},{PING}]")), Ok(vec![1, 2]));
    assert_eq!(found(&format!("[{ANSWER},{TOOL}]")), Ok(vec![1]));
    assert_eq!(found(DENIED), Err(Denial::CallRefused));
    assert_eq!(
        found(&format!("[{TOOL},{DENIED}]")),
        Err(Denial::CallRefused)
    );
    // One that is both is neither.
    let both = r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#;
    assert_eq!(found(both), Err(Denial::MalformedBody));
    let nothing = r#"{"jsonrpc":"2.0","id":1}"#;
    assert_eq!(found(nothing), Err(Denial::MalformedBody));
}

#[test]
fn from_2026_07_28_on_there_is_one_call_and_no_answer() {
    let tool = [MODERN, ("mcp-method", "tools/call"), ("mcp-name", "t")];
    let rules_of = |body: &str| read(&tool, body).rules().map(<[usize]>::to_vec);
    assert_eq!(rules_of(TOOL), Ok(vec![1]));
    assert_eq!(rules_of(&format!("[{TOOL}]")), Err(Denial::MalformedBody));
    assert_eq!(rules_of(ANSWER), Err(Denial::MalformedBody));
    assert_eq!(rules_of(PING), Err(Denial::HeaderMismatch));
    // Before it, headers that are there hold for an answer as well.
    let earlier = ("mcp-protocol-version", "2025-11-25");
    let rules_of = |fields: &[_]| read(fields, ANSWER).rules().map(<[usize]>::to_vec);
    assert_eq!(rules_of(&[earlier]), Ok(vec![]));
    assert_eq!(
        rules_of(&[earlier, ("mcp-method", "ping")]),
        Err(Denial::HeaderMismatch)
    );
}

/// What the record says, and the id of the refusal.
fn described(body: &str) -> (Option<String>, Option<String>, Id) {
    let call = read(&[], body);
    let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let (method, name) = (owned(&call.found.method), owned(&call.found.name));
    (method, name, call.found.id)
}

#[test]
fn the_record_tells_of_the_message_that_is_refused_or_of_the_first() {
    let of = |method: &str, name: Option<&str>, id| {
        (Some(method.to_owned()), name.map(str::to_owned), id)
    };
    assert_eq!(described(PING), of("ping", None, Id::Text("p".into())));
    let tool = |name| of("tools/call", Some(name), Id::Absent);
    assert_eq!(
        described(&format!("[{PING},{TOOL}]")),
        of("ping", None, Id::Absent)
    );
    assert_eq!(described(&format!("[{PING},{DENIED}]")), tool("no"));
    // Of two the first, and what is worse than against a rule before that.
    let also = DENIED.replace("2,", "4,");
    assert_eq!(described(&format!("[{DENIED},{also},{PING}]")), tool("no"));
    let nameless = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call"}"#;
    let placeless = r#"{"jsonrpc":"2.0","id":6,"method":"resources/read"}"#;
    for (body, method) in [
        (format!("[{nameless},{placeless}]"), "tools/call"),
        (format!("[{placeless},{nameless}]"), "resources/read"),
    ] {
        assert_eq!(described(&body), of(method, None, Id::Absent));
    }
    for body in [
        format!("[{DENIED},{nameless}]"),
        format!("[{nameless},{DENIED}]"),
    ] {
        assert_eq!(described(&body), of("tools/call", None, Id::Absent));
        assert_eq!(found(&body), Err(Denial::MalformedBody));
    }
}

#[test]
fn an_id_with_the_token_in_it_is_forgotten() {
    const TOKEN: &str = "kanarie-T-0123456789.abc";
    for (id, kept) in [
        (format!("\"{TOKEN}\""), false),
        (format!("\"x{TOKEN}y\""), false),
        ("\"another\"".to_owned(), true),
        ("7".to_owned(), true),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let mut call = read(&[], &body);
        let mut context = Context::default();
        call.describe(&mut context, &Search::new(TOKEN.as_bytes()));
        assert_eq!(*call.id() != Id::Absent, kept, "{id}");
    }
}
