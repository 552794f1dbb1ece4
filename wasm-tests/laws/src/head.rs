//! Laws of a request's head.

use mcp_token_guard::{Field, Step};
use url::form_urlencoded;

use crate::world::{
    CREDENTIAL, Fate, GOOD, STREAM, TOKEN, bearer, decoded, fields, holds, now, says, send,
    trimmed, with_guard,
};

/// The head as it leaves, where it does.
fn left(cluster: &str, head: &[Field]) -> Option<Vec<Field>> {
    match with_guard(|guard| send(guard, cluster, head, &says(GOOD))) {
        Fate::Left(left) => Some(left),
        Fate::Answered(_) => None,
    }
}

/// The token is nowhere in what leaves, raw or decoded.
fn check_clean(left: &[Field]) {
    let token = TOKEN.as_bytes();
    for (name, value) in left {
        for bytes in [value.clone(), decoded(value), name.clone().into_bytes()] {
            assert!(!holds(&bytes, token), "the token leaves in {name}");
        }
    }
}

/// The values of a field.
fn values<'a>(left: &'a [Field], name: &str) -> Vec<&'a [u8]> {
    let fields = left.iter().filter(|(known, _)| known == name);
    fields.map(|(_, value)| value.as_slice()).collect()
}

/// What is asked about is exactly the one bearer token of the one value, and
/// nothing else is asked about.
pub(crate) fn token(bytes: &[u8]) {
    let value = trimmed(bytes);
    let expected = str::from_utf8(value).ok().and_then(|text| {
        let scheme = text.get(..7)?;
        let token = text[7..].trim_start_matches(' ');
        let signs = token.trim_end_matches('=');
        let known = |sign: char| sign.is_ascii_alphanumeric() || "-._~+/".contains(sign);
        let is_token = !signs.is_empty() && signs.chars().all(known) && token.len() <= 8_192;
        (scheme.eq_ignore_ascii_case("bearer ") && is_token).then_some(token)
    });
    let credential = CREDENTIAL.split(' ').next_back();
    with_guard(|guard| {
        let head = fields(b"/mcp", &[("authorization", bytes)]);
        let step = guard.request(STREAM, &head, Some("files"), now());
        match (&step, expected) {
            (Step::Ask(ask), Some(token)) => {
                let body = ask.callout.body.expose();
                let form: Vec<_> = form_urlencoded::parse(body).collect();
                assert_eq!(form[0], ("token".into(), token.into()));
                guard.not_sent(ask, now());
                while guard.settle(now()).is_some() {}
            }
            (Step::Reply(reply, _), expected) => {
                let own = expected.is_some() && expected == credential;
                assert!(expected.is_none() || own, "{expected:?} was refused");
                assert!(matches!(reply.status, 400 | 401), "{reply:?}");
            }
            (step, expected) => panic!("{step:?} for {expected:?}"),
        }
        guard.gone(STREAM);
        guard.tally().counts.clear();
        guard.tally().introspection_ms.clear();
    });
}

/// No query with a token in it leaves, and none named `access_token`.
pub(crate) fn query(bytes: &[u8]) {
    let path = [b"/mcp?", bytes].concat();
    let head = fields(&path, &[("authorization", &bearer())]);
    let Some(left) = left("files", &head) else {
        return;
    };
    check_clean(&left);
    assert_eq!(values(&left, ":path"), [&path], "the path is left alone");
    for (name, _) in form_urlencoded::parse(bytes) {
        assert!(!name.eq_ignore_ascii_case("access_token"), "{name}");
    }
}

/// Cookies with the token do not leave, nor those named `access_token`; all
/// others do.
pub(crate) fn cookies(bytes: &[u8]) {
    let mut head = fields(b"/mcp", &[("authorization", &bearer())]);
    for line in bytes.split(|byte| *byte == b'\n') {
        head.push(("cookie".to_owned(), line.to_vec()));
    }
    let left = left("files", &head).expect("cookies are cleaned, not refused");
    check_clean(&left);
    let pairs = |fields: &[Field]| -> Vec<Vec<u8>> {
        let all = values(fields, "cookie").join(&b';');
        let pairs = all.split(|byte| *byte == b';').map(trimmed);
        pairs
            .filter(|pair| !pair.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let innocent = |pair: &Vec<u8>| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap();
        let name = trimmed(name).to_ascii_lowercase();
        let token = TOKEN.as_bytes();
        !holds(pair, token)
            && !holds(&decoded(pair), token)
            && name != b"access_token"
            && name != b"access-token"
    };
    let mut wanted = pairs(&head);
    wanted.retain(innocent);
    assert_eq!(pairs(&left), wanted);
}

/// No form leaves.
pub(crate) fn form(bytes: &[u8]) {
    let rest: [(&str, &[u8]); 2] = [("authorization", &bearer()), ("content-type", bytes)];
    let head = fields(b"/mcp", &rest);
    let is_form = bytes.split(|byte| *byte == b',').any(|one| {
        let kind = one.split(|byte| *byte == b';').next().unwrap();
        let kind = trimmed(kind).to_ascii_lowercase();
        kind == b"application/x-www-form-urlencoded" || kind == b"multipart/form-data"
    });
    let left = left("files", &head);
    if is_form {
        assert!(left.is_none(), "a form leaves");
    }
    if let Some(left) = left {
        check_clean(&left);
    }
}

/// No path with the token leaves, none of OAuth's metadata; and where the path
/// decides, the credential is that of the server whose path it is.
pub(crate) fn path(bytes: &[u8]) {
    let path = [b"/", bytes].concat();
    let head = fields(&path, &[("authorization", &bearer())]);
    if let Some(left) = left("files", &head) {
        check_clean(&left);
        let plain = decoded(&path).to_ascii_lowercase();
        assert!(
            !plain.starts_with(b"/.well-known/oauth-"),
            "metadata leaves"
        );
        assert!(
            !plain.starts_with(b"/.well-known/openid-configuration"),
            "metadata leaves"
        );
    }
    let Some(left) = left("shared", &head) else {
        return;
    };
    check_clean(&left);
    let end = |byte: &u8| *byte == b'?' || *byte == b'#';
    let path = path.split(end).next().unwrap();
    let mut segments = path.split(|byte| *byte == b'/').skip(1);
    let owner = match (segments.next(), segments.next()) {
        (Some(b"a"), Some(b"b")) => "Bearer kanarie-credential-of-b",
        (Some(b"a"), _) => "Bearer kanarie-credential-of-a",
        _ => panic!("a path of neither server leaves"),
    };
    assert_eq!(values(&left, "authorization"), [owner.as_bytes()]);
    for segment in path.split(|byte| *byte == b'/') {
        let segment = decoded(segment);
        assert!(segment != b"." && segment != b".." && !segment.contains(&b'\\'));
    }
}

/// Whatever fields there are: one credential leaves, ours, and nothing by which
/// tokens travel.
pub(crate) fn law(bytes: &[u8]) {
    let mut head = fields(b"/mcp", &[("authorization", &bearer())]);
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap().to_ascii_lowercase();
        // Envoy refuses names that are no tokens.
        let is_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(is_token) {
            continue;
        }
        let name = String::from_utf8(name).unwrap();
        head.push((name, parts.next().unwrap_or(b"").to_vec()));
    }
    let Some(left) = left("files", &head) else {
        return;
    };
    check_clean(&left);
    assert_eq!(values(&left, "authorization"), [CREDENTIAL.as_bytes()]);
    for (name, value) in &left {
        let folded = name.replace('_', "-");
        let stripped = [
            "authorization",
            "proxy-authorization",
            "x-authorization",
            "x-forwarded-authorization",
            "x-original-authorization",
            "x-access-token",
            "x-forwarded-access-token",
            "x-auth-request-access-token",
            "x-id-token",
            "dpop",
            "x-legacy-token",
        ];
        let ours = name == "authorization";
        assert!(ours || !stripped.contains(&&*folded), "{name} leaves");
        if folded == "x-mcp-subject" {
            assert_eq!(
                (name.as_str(), &value[..]),
                ("x-mcp-subject", &b"user-1"[..])
            );
        }
        assert!(name == "mcp-session-id" || folded != "mcp-session-id");
    }
    // What is not named in the rules leaves as it came.
    for name in ["accept", "last-event-id", "mcp-method"] {
        assert_eq!(values(&left, name), values(&head, name));
    }
}
