//! Client authentication at an OAuth endpoint: `auth_method` and its keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded::byte_serialize;

use super::cursor::{Members, Node, Reader};
use crate::client_auth::{Assertions, ClientAuth, Credential, Key};
use crate::secret::Secret;

/// What session keys can be made from, where the configuration has none.
#[derive(Debug)]
pub(super) enum KeySource {
    /// `client_secret`, one or two.
    ClientSecrets(Vec<Secret>),
    /// There is none with this `auth_method`.
    Nothing,
    /// There are several, and none may bind the callers of another.
    Several,
    /// It could not be read, which has been reported.
    Unknown,
}

/// `auth_method`, before what it needs was looked at.
#[derive(Clone, Copy)]
enum Method {
    Basic,
    Bearer,
    Certificate,
    None,
    Post,
    PrivateKeyJwt,
    SecretJwt,
}

impl Method {
    const WORDS: &[(&str, Self)] = &[
        ("client_secret_basic", Self::Basic),
        ("client_secret_post", Self::Post),
        ("client_secret_jwt", Self::SecretJwt),
        ("private_key_jwt", Self::PrivateKeyJwt),
        ("tls_client_auth", Self::Certificate),
        ("bearer", Self::Bearer),
        ("none", Self::None),
    ];

    /// Which of [`KEYS`] it has a use for.
    fn uses(self) -> &'static [&'static str] {
        match self {
            Self::Basic | Self::Post => &["client_id", "client_secret"],
            Self::Bearer => &["token"],
            Self::Certificate => &["client_id"],
            Self::None => &[],
            Self::PrivateKeyJwt => &["client_id", "private_key", "key_id", "assertion_audience"],
            Self::SecretJwt => &["client_id", "client_secret", "assertion_audience"],
        }
    }
}

/// The keys beside `auth_method`.
const KEYS: &[&str] = &[
    "client_id",
    "client_secret",
    "private_key",
    "key_id",
    "assertion_audience",
    "token",
];

/// Reads `auth_method` and its keys: the call is authorized (RFC 7662 section
/// 2.1), or the configuration says `none` in so many words. Client assertions
/// are for `issuer`, unless the configuration names another audience; with no
/// issuer it has to.
pub(super) fn read(
    members: &mut Members<'_>,
    issuer: Option<&str>,
    reader: &mut Reader<'_>,
) -> (Option<ClientAuth>, KeySource) {
    let method = members.or("auth_method", Method::Basic, reader, |node, reader| {
        node.word(reader, Method::WORDS)
    });
    let Some(method) = method else {
        // Already reported; what it would need is not known.
        for name in KEYS {
            members.take(name);
        }
        return (None, KeySource::Unknown);
    };
    refuse(members, method, reader);
    match method {
        Method::Basic => with_secret(members, 1, reader, |id, secret| Some(basic(id, secret))),
        Method::Post => with_secret(members, 1, reader, |id, secret| Some(post(id, secret))),
        Method::SecretJwt => {
            let audience = audience(members, issuer, reader);
            with_secret(members, SHORTEST_HS256, reader, |id, secret| {
                let key = Key::shared(secret)?;
                let assertions = Assertions::new(key, id, audience.as_deref()?, None);
                Some(Credential::Assertions(Box::new(assertions)))
            })
        }
        Method::PrivateKeyJwt => (private_key_jwt(members, issuer, reader), KeySource::Nothing),
        Method::Certificate => {
            let auth = id(members, reader).map(|client_id| {
                let part = format!("&client_id={}", form(client_id.as_bytes()));
                ClientAuth {
                    client_id,
                    credentials: vec![Credential::Form(Secret::new(part.as_bytes()))],
                    place: members.path.key("client_id").to_string(),
                }
            });
            (auth, KeySource::Nothing)
        }
        Method::Bearer => {
            let tokens = members
                .require("token", reader)
                .and_then(|node| one_or_two(&node, reader, bearer));
            let auth = tokens.map(|tokens| ClientAuth {
                client_id: String::new(),
                credentials: tokens.into_iter().map(Credential::Authorization).collect(),
                place: members.path.key("token").to_string(),
            });
            (auth, KeySource::Nothing)
        }
        Method::None => {
            let auth = ClientAuth {
                client_id: String::new(),
                credentials: Vec::new(),
                place: members.path.key("auth_method").to_string(),
            };
            (Some(auth), KeySource::Nothing)
        }
    }
}

/// Reports keys that the method has no use for.
fn refuse(members: &mut Members<'_>, method: Method, reader: &mut Reader<'_>) {
    let unused = KEYS.iter().filter(|name| !method.uses().contains(name));
    for name in unused {
        if let Some(node) = members.take(name) {
            reader.report(
                &node.path,
                "is not used with this auth_method; remove it or change auth_method",
            );
        }
    }
}

fn id(members: &mut Members<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let node = members.require("client_id", reader)?;
    node.parsed(reader, client_id)
}

/// The methods that have an id and a secret, or two of them. `credential`
/// answers nothing only where a mistake has been reported.
fn with_secret(
    members: &mut Members<'_>,
    shortest: usize,
    reader: &mut Reader<'_>,
    credential: impl Fn(&str, &Secret) -> Option<Credential>,
) -> (Option<ClientAuth>, KeySource) {
    let id = id(members, reader);
    let secrets = members.require("client_secret", reader).and_then(|node| {
        one_or_two(&node, reader, |node, reader| {
            client_secret(node, shortest, reader)
        })
    });
    let Some(secrets) = secrets else {
        return (None, KeySource::Unknown);
    };
    let auth = id.and_then(|client_id| {
        let credentials = secrets.iter().map(|secret| credential(&client_id, secret));
        Some(ClientAuth {
            credentials: credentials.collect::<Option<_>>()?,
            client_id,
            place: members.path.key("client_secret").to_string(),
        })
    });
    (auth, KeySource::ClientSecrets(secrets))
}

/// One secret, or two while they change. The same twice is one: there is
/// nothing else to try.
fn one_or_two(
    node: &Node<'_>,
    reader: &mut Reader<'_>,
    read: impl Fn(&Node<'_>, &mut Reader<'_>) -> Option<Secret>,
) -> Option<Vec<Secret>> {
    let items = node.one_or_list();
    if !(1..=2).contains(&items.len()) {
        reader.report(&node.path, "must be one, or a list of one or two");
        return None;
    }
    let read: Vec<_> = items.iter().map(|item| read(item, reader)).collect();
    let mut secrets: Vec<Secret> = read.into_iter().collect::<Option<_>>()?;
    secrets.dedup_by(|second, first| second.matches(first.expose()));
    Some(secrets)
}

fn private_key_jwt(
    members: &mut Members<'_>,
    issuer: Option<&str>,
    reader: &mut Reader<'_>,
) -> Option<ClientAuth> {
    let audience = audience(members, issuer, reader);
    let client_id = id(members, reader);
    let key = members
        .require("private_key", reader)
        .and_then(|node| private_key(&node, reader));
    let key_id = members.or("key_id", None, reader, |node, reader| {
        node.parsed(reader, |text| visible(text).map(Some))
    });
    let (client_id, audience) = (client_id?, audience?);
    let assertions = Assertions::new(key?, &client_id, &audience, key_id?.as_deref());
    Some(ClientAuth {
        client_id,
        credentials: vec![Credential::Assertions(Box::new(assertions))],
        place: members.path.key("private_key").to_string(),
    })
}

fn private_key(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Key> {
    let text = node.template(reader)?;
    let key = Key::private(text.expose());
    key.map_err(|sentence| match text.variables.first() {
        Some(name) => reader.report(
            &node.path,
            format_args!("{sentence} (it is in the environment variable `{name}`)"),
        ),
        None => reader.report(&node.path, sentence),
    })
    .ok()
}

/// Whom client assertions are for. RFC 7523 section 3 leaves it to the server;
/// its successor wants the issuer and nothing else.
fn audience(
    members: &mut Members<'_>,
    issuer: Option<&str>,
    reader: &mut Reader<'_>,
) -> Option<String> {
    let key = "assertion_audience";
    let node = match issuer {
        Some(issuer) => match members.take(key) {
            Some(node) => node,
            None => return Some(issuer.to_owned()),
        },
        None => members.require(key, reader)?,
    };
    node.parsed(reader, visible)
}

fn visible(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("is empty; give it a value or remove it"),
        text if text.bytes().all(is_visible) => Ok(text.to_owned()),
        _ => Err("has a character that is not printable ASCII; remove it"),
    }
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

fn client_secret(node: &Node<'_>, shortest: usize, reader: &mut Reader<'_>) -> Option<Secret> {
    let text = node.template(reader)?;
    if text.expose().len() < shortest {
        reader.report(
            &node.path,
            format_args!(
                "is shorter than {shortest} bytes, which HS256 needs; have the authorization \
                 server make a longer one, or use another auth_method"
            ),
        );
        return None;
    }
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

/// Bytes in a key for HS256 (RFC 7518 section 3.2).
const SHORTEST_HS256: usize = 32;

/// Bytes in a token of our own.
const LONGEST_TOKEN: usize = 8_192;

#[cfg(test)]
pub(super) mod tests;
