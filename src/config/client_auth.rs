//! Client authentication at an OAuth endpoint: `auth_method` and its keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded::byte_serialize;

use super::cursor::{Members, Node, Reader};
use crate::client_auth::{ClientAuth, Credential};
use crate::secret::Secret;

/// What session keys can be made from, where the configuration has none.
#[derive(Debug)]
pub(super) enum KeySource {
    /// `client_secret`.
    ClientSecret(Secret),
    /// There is none with this `auth_method`.
    Nothing,
    /// It could not be read, which has been reported.
    Unknown,
}

/// `auth_method`, before what it needs was looked at.
#[derive(Clone, Copy)]
enum Method {
    Basic,
    Bearer,
    None,
    Post,
}

impl Method {
    const WORDS: &[(&str, Self)] = &[
        ("client_secret_basic", Self::Basic),
        ("client_secret_post", Self::Post),
        ("bearer", Self::Bearer),
        ("none", Self::None),
    ];
}

/// Reads `auth_method` and its keys: the call is authorized (RFC 7662 section
/// 2.1), or the configuration says `none` in so many words.
pub(super) fn read(
    members: &mut Members<'_>,
    reader: &mut Reader<'_>,
) -> (Option<ClientAuth>, KeySource) {
    let method = members.or("auth_method", Method::Basic, reader, |node, reader| {
        node.word(reader, Method::WORDS)
    });
    match method {
        Some(Method::Basic) => client(members, reader, basic),
        Some(Method::Post) => client(members, reader, post),
        Some(Method::Bearer) => {
            refuse(members, &["client_id", "client_secret"], reader);
            let token = members
                .require("token", reader)
                .and_then(|node| bearer(&node, reader));
            let auth = token.map(|token| ClientAuth {
                client_id: String::new(),
                credentials: vec![Credential::Authorization(token)],
            });
            (auth, KeySource::Nothing)
        }
        Some(Method::None) => {
            refuse(members, &["client_id", "client_secret", "token"], reader);
            let auth = ClientAuth {
                client_id: String::new(),
                credentials: Vec::new(),
            };
            (Some(auth), KeySource::Nothing)
        }
        None => {
            // Already reported; what it would need is not known.
            members.take("client_id");
            members.take("client_secret");
            members.take("token");
            (None, KeySource::Unknown)
        }
    }
}

/// Reports keys that the method has no use for.
fn refuse(members: &mut Members<'_>, names: &[&'static str], reader: &mut Reader<'_>) {
    for name in names {
        if let Some(node) = members.take(name) {
            reader.report(
                &node.path,
                "is not used with this auth_method; remove it or change auth_method",
            );
        }
    }
}

/// The methods that have an id and a secret.
fn client(
    members: &mut Members<'_>,
    reader: &mut Reader<'_>,
    credential: fn(&str, &Secret) -> Credential,
) -> (Option<ClientAuth>, KeySource) {
    refuse(members, &["token"], reader);
    let id = members
        .require("client_id", reader)
        .and_then(|node| node.parsed(reader, client_id));
    let secret = members
        .require("client_secret", reader)
        .and_then(|node| client_secret(&node, reader));
    let Some(secret) = secret else {
        return (None, KeySource::Unknown);
    };
    let auth = id.map(|client_id| ClientAuth {
        credentials: vec![credential(&client_id, &secret)],
        client_id,
    });
    (auth, KeySource::ClientSecret(secret))
}

/// RFC 6749 section 2.3.1: each is encoded before they are joined, so that a
/// colon in one is not the colon between them.
fn basic(client_id: &str, secret: &Secret) -> Credential {
    let pair = format!("{}:{}", form(client_id.as_bytes()), form(secret.expose()));
    let value = format!("Basic {}", STANDARD.encode(pair));
    Credential::Authorization(Secret::new(value.as_bytes()))
}

fn post(client_id: &str, secret: &Secret) -> Credential {
    let (id, secret) = (form(client_id.as_bytes()), form(secret.expose()));
    let form = format!("&client_id={id}&client_secret={secret}");
    Credential::Form(Secret::new(form.as_bytes()))
}

fn client_id(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("is empty; give the id that the authorization server knows this gateway by"),
        text if text.bytes().all(is_visible) => Ok(text.to_owned()),
        _ => Err("has a character that a client id may not have; use printable ASCII"),
    }
}

fn client_secret(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Secret> {
    let text = node.template(reader)?;
    if text.expose().iter().copied().all(is_visible) {
        return Some(text.secret().clone());
    }
    reader.report(
        &node.path,
        "has a character that a client secret may not have; look for a line break, possibly at \
         the end of a variable, and for letters that are not ASCII",
    );
    None
}

/// The value of `Authorization` for a `b64token` (RFC 6750 section 2.1).
fn bearer(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Secret> {
    let text = node.template(reader)?;
    let token = text.expose();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let body = token
        .iter()
        .rposition(|byte| *byte != b'=')
        .and_then(|end| token.get(..=end));
    if body.is_some_and(|body| body.iter().all(is_plain)) && token.len() <= LONGEST_TOKEN {
        return Some(Secret::new(&[b"Bearer ", token].concat()));
    }
    reader.report(
        &node.path,
        "is not a bearer token of at most 8 KiB; give it without the word Bearer, spaces or \
         line breaks",
    );
    None
}

/// `VSCHAR` (RFC 6749 appendix A).
fn is_visible(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// As `application/x-www-form-urlencoded`: RFC 6749 section 2.3.1 asks for it
/// in both methods.
fn form(value: &[u8]) -> String {
    byte_serialize(value).collect()
}

/// Bytes in a token of our own.
const LONGEST_TOKEN: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    type Read = (ClientAuth, KeySource);

    /// `auth` is members, with a comma first.
    fn with(auth: &str) -> Result<Read, String> {
        let text = format!(r#"{{"other":1{auth}}}"#);
        let json = json::parse(text.as_bytes()).unwrap();
        let env = |name: &str| (name == "SECRET").then(|| "p:q r/%+~".to_owned());
        let mut reader = Reader::new(&env);
        let mut members = Node::root(&json).object(&mut reader).unwrap();
        members.take("other");
        let (auth, key) = read(&mut members, &mut reader);
        members.finish(&mut reader);
        reader
            .finish(auth.map(|auth| (auth, key)))
            .map_err(|errors| errors.to_string())
    }

    /// RFC 6749 section 2.3.1.
    #[test]
    fn basic_encodes_id_and_secret_each() {
        let (auth, key) = with(r#","client_id":"a:b","client_secret":"${env:SECRET}""#).unwrap();
        let [Credential::Authorization(authorization)] = &*auth.credentials else {
            panic!("not basic");
        };
        assert_eq!(auth.client_id, "a:b");
        let pair = authorization.expose().strip_prefix(b"Basic ").unwrap();
        let pair = STANDARD.decode(pair).unwrap();
        assert_eq!(pair, b"a%3Ab:p%3Aq+r%2F%25%2B%7E");
        assert!(matches!(
            &key,
            KeySource::ClientSecret(secret) if secret.matches(b"p:q r/%+~")
        ));
    }

    /// OAUTH21-2.4.1-a.
    #[test]
    fn post_puts_id_and_secret_in_the_form() {
        let post = r#","auth_method":"client_secret_post","client_id":"a&b","client_secret":"c=d""#;
        let (auth, _) = with(post).unwrap();
        let [Credential::Form(form)] = &*auth.credentials else {
            panic!("not post");
        };
        assert_eq!(auth.client_id, "a&b");
        assert!(form.matches(b"&client_id=a%26b&client_secret=c%3Dd"));
    }

    #[test]
    fn bearer_has_a_token_and_nothing_else() {
        let (auth, key) = with(r#","auth_method":"bearer","token":"ab.c==""#).unwrap();
        assert!(matches!(key, KeySource::Nothing));
        assert!(matches!(
            &*auth.credentials,
            [Credential::Authorization(value)] if value.matches(b"Bearer ab.c==")
        ));
        for token in ["Bearer x", "=", "a=b", "a b", "a\\n", ""] {
            let auth = format!(r#","auth_method":"bearer","token":"{token}""#);
            assert!(with(&auth).is_err(), "{token}");
        }
    }

    /// RFC7662-2.1-f: no authentication only where the configuration says so.
    #[test]
    fn each_method_has_its_keys() {
        for auth in [
            "",
            r#","client_id":"a""#,
            r#","client_secret":"b""#,
            r#","client_id":"","client_secret":"b""#,
            r#","client_id":"a","client_secret":"""#,
            r#","client_id":"a","client_secret":"b","token":"c""#,
            r#","auth_method":"client_secret_post","client_id":"a""#,
            r#","auth_method":"bearer""#,
            r#","auth_method":"bearer","token":"a","client_id":"a""#,
            r#","auth_method":"none","client_secret":"a""#,
            r#","auth_method":"none","token":"a""#,
            r#","auth_method":"private_key_jwt""#,
            r#","auth_method":null"#,
            r#","client_id":"a\u0000","client_secret":"b""#,
            r#","client_id":"a","client_secret":"b\n""#,
        ] {
            assert!(with(auth).is_err(), "{auth}");
        }
        assert!(with(r#","auth_method":"none""#).is_ok());
        assert!(with(r#","client_id":"a","client_secret":"b""#).is_ok());
    }

    #[test]
    fn an_unknown_method_is_one_error() {
        let errors = with(r#","auth_method":"x","client_id":"a","client_secret":"b""#);
        assert_eq!(errors.err().unwrap().lines().count(), 1);
    }
}
