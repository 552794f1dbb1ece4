//! A body leaves only with the scopes that each of its calls needs, whichever
//! way a server reads it.

use std::cell::RefCell;
use std::fmt;

use mcp_token_guard::{BodyStep, CallId, Field, Guard, Reply, Step};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::world::{
    RESOURCE, STREAM, TOKEN, bearer, check_audit, check_reply, fields, guard, now, says,
};

const CONFIGURATION: &str = r#"{
    "authorization_server": {
        "issuer": "https://auth.example.com",
        "introspection": {
            "url": "https://auth.example.com/introspect",
            "cluster": "authorization-server",
            "client_id": "gw",
            "client_secret": "kanarie-client-secret"
        }
    },
    "cache": {"ttl": "0s", "negative_ttl": "0s"},
    "limits": {"body": "1KiB"},
    "servers": {
        "files": {
            "cluster": "files",
            "resource": "https://gateway.example.com/mcp",
            "rules": [
                {"methods": ["tools/call"], "names": ["a*"], "required_scopes": ["one"]},
                {"methods": ["tools/call"], "names": ["b"], "deny": true},
                {"methods": ["tools/call"], "required_scopes": ["two"]},
                {"methods": ["resources/read"], "names": ["x://s/*"], "required_scopes": ["one"]},
                {"methods": ["resources/read", "t*"], "required_scopes": []}
            ],
            "default_headers": {}
        }
    },
    "audit_log": "all"
}"#;

thread_local! {
    static GUARD: RefCell<Guard> = RefCell::new(guard(CONFIGURATION));
}

/// The first byte says what the token may and what the headers say, the second
/// how the body comes; the rest is the body.
pub(crate) fn law(bytes: &[u8]) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, b""));
    let (second, body) = rest.split_first().unwrap_or((&0, b""));
    let scopes: &[&str] = match first % 4 {
        0 => &[],
        1 => &["one"],
        2 => &["two"],
        _ => &["one", "two"],
    };
    let mut rest: Vec<(&str, &[u8])> = vec![("content-type", b"application/json")];
    if first & 0x10 != 0 {
        rest.push(("mcp-protocol-version", b"2026-07-28"));
    }
    if first & 0x20 != 0 {
        rest.push(("mcp-method", b"tools/call"));
    }
    if first & 0x40 != 0 {
        rest.push(("mcp-name", b"a"));
    }
    let bearer = bearer();
    rest.push(("authorization", &bearer));
    let head = fields(b"/mcp", &rest);
    let answer = format!(
        r#"{{"active":true,"aud":"{RESOURCE}","scope":"{}"}}"#,
        scopes.join(" ")
    );
    let body_first = second & 1 != 0;
    let size = usize::from(second >> 1).max(1);
    let in_pieces = GUARD.with_borrow_mut(|guard| {
        send(
            guard,
            &head,
            &says(answer.as_bytes()),
            body,
            size,
            body_first,
        )
    });
    let whole = GUARD.with_borrow_mut(|guard| {
        send(
            guard,
            &head,
            &says(answer.as_bytes()),
            body,
            body.len().max(1),
            !body_first,
        )
    });
    assert_eq!(in_pieces, whole, "it depends on how the body comes");
    if whole != 200 {
        return;
    }
    let text = core::str::from_utf8(body).expect("UTF-8");
    serde_json::from_str::<IgnoredAny>(text).expect("JSON");
    // In what does not count there may be numbers and halves of characters that
    // are not for everybody.
    let Ok(tree) = serde_json::from_str::<Tree>(text) else {
        return;
    };
    let messages = match &tree {
        Tree::List(messages) => messages.iter().collect(),
        one => vec![one],
    };
    assert!(!messages.is_empty() && body.len() <= 1_024);
    for message in messages {
        allowed(message, scopes, &rest);
    }
}

/// The status, 200 where it leaves.
fn send(
    guard: &mut Guard,
    head: &[Field],
    answer: &Reply<'_>,
    body: &[u8],
    size: usize,
    body_first: bool,
) -> u16 {
    let step = guard.request(STREAM, head, Some("files"), now());
    let Step::Ask(ask) = step else {
        panic!("nobody is asked: {step:?}");
    };
    guard.asked(&ask, CallId(1), now());
    if body_first {
        let early = feed(guard, body, size);
        assert_eq!(early, None, "it is decided before the token is known");
    }
    guard.answered(CallId(1), answer, now());
    let settled = guard.settle(now()).expect("it has been answered").1;
    let status = match settled {
        Step::Forward(_, audit) => {
            assert!(body_first, "the head leaves before the body");
            check_audit(&audit, Some(TOKEN.as_bytes()));
            Some(200)
        }
        Step::Reply(reply, audit) => {
            check_audit(&audit, Some(TOKEN.as_bytes()));
            check_reply(&reply, Some(TOKEN.as_bytes()));
            Some(reply.status)
        }
        Step::Wait => {
            assert!(!body_first, "it waits with all there");
            feed(guard, body, size)
        }
        Step::Ask(_) | Step::Ignore => panic!("{settled:?}"),
    };
    guard.gone(STREAM);
    guard.tally().counts.clear();
    guard.tally().introspection_ms.clear();
    status.expect("a decision")
}

fn feed(guard: &mut Guard, body: &[u8], size: usize) -> Option<u16> {
    let mut pieces = body.chunks(size).peekable();
    let mut first = true;
    while first || pieces.peek().is_some() {
        first = false;
        let piece = pieces.next().unwrap_or(b"");
        let end = pieces.peek().is_none();
        match guard.read(STREAM, piece, end, now()) {
            BodyStep::Wait => {}
            BodyStep::Forward(_, audit) => {
                assert!(end, "it leaves before its end");
                check_audit(&audit, Some(TOKEN.as_bytes()));
                return Some(200);
            }
            BodyStep::Reply(reply, audit) => {
                check_audit(&audit, Some(TOKEN.as_bytes()));
                check_reply(&reply, Some(TOKEN.as_bytes()));
                return Some(reply.status);
            }
            step @ (BodyStep::Continue | BodyStep::Pass(_) | BodyStep::Reset(_)) => {
                panic!("{step:?}")
            }
        }
    }
    None
}

/// However a server reads the members of a message, it may be sent.
fn allowed(message: &Tree, scopes: &[&str], headers: &[(&str, &[u8])]) {
    let methods = message.all("method");
    assert!(methods.len() <= 1, "several methods");
    let Some(method) = methods.first() else {
        let is_response = message.all("result").len() + message.all("error").len() > 0;
        assert!(is_response, "neither a call nor an answer");
        return;
    };
    let method = method.text().expect("a method");
    let says = |name: &str| headers.iter().find(|(known, _)| *known == name);
    if let Some((_, said)) = says("mcp-method") {
        assert_eq!(*said, method.as_bytes());
    }
    let params = message.all("params");
    assert!(params.len() <= 1, "several params");
    let member = |name: &str| {
        let all = params
            .first()
            .map_or_else(Vec::new, |params| params.all(name));
        assert_eq!(all.len(), 1, "{name}");
        all[0].text().expect("a text").to_owned()
    };
    let has = |scope: &str| scopes.contains(&scope);
    match method {
        "tools/call" => {
            let name = member("name");
            if let Some((_, said)) = says("mcp-name") {
                assert_eq!(*said, name.as_bytes());
            }
            assert_ne!(name, "b");
            assert!(
                has(if name.starts_with('a') { "one" } else { "two" }),
                "{name}"
            );
        }
        "resources/read" => {
            let uri = member("uri");
            if uri.to_ascii_lowercase().starts_with("x://s/") {
                assert!(has("one"), "{uri}");
            }
            assert!(!uri.split('/').any(|segment| segment == ".."), "{uri}");
        }
        "initialize" | "ping" | "server/discover" => {}
        other => assert!(
            other.starts_with("notifications/") || other.starts_with('t'),
            "{other}"
        ),
    }
}

/// JSON with every member that is there.
enum Tree {
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
    Text(String),
    Other,
}

impl Tree {
    /// The members that some reader could take for the one of this name.
    fn all(&self, name: &str) -> Vec<&Self> {
        let Self::Object(members) = self else {
            return Vec::new();
        };
        let is_it = |member: &str| member.to_uppercase().to_lowercase() == name;
        let found = members.iter().filter(|(member, _)| is_it(member));
        found.map(|(_, value)| value).collect()
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Object(_) | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whatever)
    }
}

struct Whatever;

impl<'de> Visitor<'de> for Whatever {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Tree::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(Tree::Object(all))
    }
}
