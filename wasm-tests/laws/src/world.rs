//! A guard that asks about every token, and the ways through it.

use std::cell::RefCell;

use mcp_token_guard::{
    Audit, CallId, Config, Field, Forward, Guard, LocalReply, Now, Reply, Step, StreamId,
};
use serde_json::Value;

/// The client's token: long enough to be looked for anywhere.
pub(crate) const TOKEN: &str = "kanarie-T-0123456789.abc";

/// The credential of the server in the way of most laws.
pub(crate) const CREDENTIAL: &str = "Bearer kanarie-credential-of-files";

/// Its resource.
pub(crate) const RESOURCE: &str = "https://gateway.example.com/mcp";

/// The issuer.
pub(crate) const ISSUER: &str = "https://auth.example.com";

/// A moment like any other, in milliseconds since 1970.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

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
    "servers": {
        "files": {
            "cluster": "files",
            "resource": "https://gateway.example.com/mcp",
            "required_scopes": ["mcp:read"],
            "default_headers": {"Authorization": "Bearer kanarie-credential-of-files"}
        },
        "a": {
            "cluster": "shared",
            "resource": "https://gateway.example.com/a",
            "default_headers": {"Authorization": "Bearer kanarie-credential-of-a"}
        },
        "b": {
            "cluster": "shared",
            "resource": "https://gateway.example.com/a/b",
            "default_headers": {"Authorization": "Bearer kanarie-credential-of-b"}
        }
    },
    "strip_headers": ["x-legacy-token"],
    "allowed_origins": ["https://app.example.com"],
    "identity_headers": {"x-mcp-subject": "sub"},
    "audit_log": "all"
}"#;

/// A good answer to whoever asks for the servers above.
pub(crate) const GOOD: &[u8] = br#"{"active":true,"aud":["https://gateway.example.com/mcp","https://gateway.example.com/a","https://gateway.example.com/a/b"],"scope":"mcp:read","sub":"user-1","client_id":"client-1"}"#;

/// A guard under a configuration of a law.
pub(crate) fn guard(configuration: &str) -> Guard {
    let parsed = Config::parse(configuration.as_bytes(), &|_| None);
    Guard::new(parsed.unwrap_or_else(|errors| panic!("{errors}")))
}

thread_local! {
    // Nothing is kept in it from one request to the next.
    static GUARD: RefCell<Guard> = RefCell::new(guard(CONFIGURATION));
}

/// Does this with the guard of most laws.
pub(crate) fn with_guard<T>(what: impl FnOnce(&mut Guard) -> T) -> T {
    GUARD.with_borrow_mut(what)
}

/// The moment of everything that has no time.
pub(crate) fn now() -> Now {
    Now {
        wall_ms: NOW_MS,
        steady_ms: NOW_MS,
    }
}

/// The one request at a time.
pub(crate) const STREAM: StreamId = StreamId(1);

/// The head of a request with these fields besides the pseudo fields.
pub(crate) fn fields(path: &[u8], rest: &[(&str, &[u8])]) -> Vec<Field> {
    let pseudo: [(&str, &[u8]); 4] = [
        (":method", b"POST"),
        (":path", path),
        (":scheme", b"https"),
        (":authority", b"gateway.example.com"),
    ];
    let all = pseudo.iter().chain(rest);
    all.map(|(name, value)| ((*name).to_owned(), value.to_vec()))
        .collect()
}

/// The `Authorization` of [`TOKEN`].
pub(crate) fn bearer() -> Vec<u8> {
    format!("Bearer {TOKEN}").into_bytes()
}

/// What became of a request.
pub(crate) enum Fate {
    /// It leaves with this head.
    Left(Vec<Field>),
    /// It was answered.
    Answered(LocalReply),
}

/// Sends a request for a cluster, has the answer to the call about its token
/// be this, and says what became of it. It is over then.
pub(crate) fn send(guard: &mut Guard, cluster: &str, head: &[Field], answer: &Reply<'_>) -> Fate {
    let fate = send_open(guard, cluster, head, answer);
    guard.gone(STREAM);
    fate
}

/// As [`send`], but it goes on.
pub(crate) fn send_open(
    guard: &mut Guard,
    cluster: &str,
    head: &[Field],
    answer: &Reply<'_>,
) -> Fate {
    let mut step = guard.request(STREAM, head, Some(cluster), now());
    if let Step::Ask(ask) = &step {
        guard.asked(ask, CallId(1), now());
        guard.answered(CallId(1), answer, now());
        let (stream, settled) = guard.settle(now()).expect("it has been answered");
        assert_eq!(stream, STREAM);
        assert!(guard.settle(now()).is_none(), "settled twice");
        step = settled;
    }
    let token = token_in(head);
    guard.tally().counts.clear();
    guard.tally().introspection_ms.clear();
    match step {
        Step::Forward(forward, audit) => {
            check_audit(&audit, token.as_deref());
            Fate::Left(applied(&forward, head))
        }
        Step::Reply(reply, audit) => {
            check_audit(&audit, token.as_deref());
            check_reply(&reply, token.as_deref());
            Fate::Answered(reply)
        }
        Step::Ask(_) | Step::Ignore | Step::Wait => panic!("{step:?}"),
    }
}

/// An answer with this content.
pub(crate) fn says(body: &[u8]) -> Reply<'_> {
    Reply::Whole {
        status: 200,
        content_type: Some(b"application/json"),
        retry_after: None,
        body,
    }
}

/// The token of a head, where there is one that is long enough to be looked for
/// everywhere.
fn token_in(head: &[Field]) -> Option<Vec<u8>> {
    let (_, value) = head.iter().find(|(name, _)| name == "authorization")?;
    let token = value.split(|byte| *byte == b' ').next_back()?;
    (token.len() >= 16).then(|| token.to_vec())
}

/// The head as it leaves.
fn applied(forward: &Forward, head: &[Field]) -> Vec<Field> {
    let mut left = head.to_vec();
    for (name, value) in forward.changes() {
        let place = left.iter().position(|(known, _)| known == name);
        left.retain(|(known, _)| known != name);
        if let Some(value) = value {
            let place = place.unwrap_or(left.len()).min(left.len());
            left.insert(place, (name.to_owned(), value.to_vec()));
        }
    }
    left
}

/// A record is one line of JSON, without the token.
pub(crate) fn check_audit(audit: &Audit, token: Option<&[u8]>) {
    let json = &audit.json;
    assert!(!json.contains(char::is_control), "{json:?}");
    assert!(json.len() < 8_192, "{} bytes", json.len());
    let read: Value = serde_json::from_str(json).expect("a record is JSON");
    assert!(read["outcome"].is_string(), "{json}");
    if let Some(token) = token {
        assert!(!holds(json.as_bytes(), token), "the token is in {json}");
    }
}

/// A reply splits no header and repeats no token.
pub(crate) fn check_reply(reply: &LocalReply, token: Option<&[u8]>) {
    assert!((200..600).contains(&reply.status), "{reply:?}");
    for (_, value) in &reply.headers {
        assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
    }
    if let Some(token) = token {
        let texts = reply.headers.iter().map(|(_, value)| value);
        for text in texts.chain([&reply.body]) {
            assert!(!holds(text.as_bytes(), token), "the token is in {text}");
        }
    }
}

/// Whether `needle` is somewhere in `hay`.
pub(crate) fn holds(hay: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(hay, needle).is_some()
}

/// With every `%XX` replaced by its byte; a `%` that is no escape stays.
pub(crate) fn decoded(text: &[u8]) -> Vec<u8> {
    if memchr::memchr(b'%', text).is_none() {
        return text.to_vec();
    }
    let mut found = Vec::new();
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let digits = bytes.as_slice().get(..2).filter(|_| *byte == b'%');
        let digit = |at: usize| char::from(*digits?.get(at)?).to_digit(16);
        if let (Some(high), Some(low)) = (digit(0), digit(1)) {
            found.push(u8::try_from(high * 16 + low).unwrap());
            bytes.nth(1);
        } else {
            found.push(*byte);
        }
    }
    found
}

/// A field value without the white space around it.
pub(crate) fn trimmed(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().position(|byte| !is_space(byte));
    let end = value.iter().rposition(|byte| !is_space(byte));
    start
        .zip(end)
        .map_or(b"", |(start, end)| &value[start..=end])
}
