//! `authorization_server`: whom to ask.

use super::AuthorizationServer;
use super::client_auth::KeySource;
use super::cursor::{Node, Reader};
use super::endpoint;
use super::uri;

/// Reads `authorization_server`, or with its name one of `authorization_servers`.
pub(super) fn read(
    node: &Node<'_>,
    name: Option<&str>,
    reader: &mut Reader<'_>,
) -> (Option<AuthorizationServer>, KeySource) {
    let Some(mut members) = node.object(reader) else {
        return (None, KeySource::Unknown);
    };
    let issuer = members
        .require("issuer", reader)
        .and_then(|node| node.parsed(reader, uri::issuer));
    let token_prefix = match name {
        Some(_) => members.or("token_prefix", None, reader, |node, reader| {
            node.parsed(reader, token_prefix).map(Some)
        }),
        // There is nobody else whose token it could be.
        None => Some(None),
    };
    let introspection = members
        .require("introspection", reader)
        .and_then(|node| node.object(reader));
    let (introspection, key) = match introspection {
        Some(mut members) => {
            // An issuer that cannot be read has been reported.
            let issuer = Some(issuer.as_deref().unwrap_or_default());
            let read = endpoint::read(&mut members, issuer, reader);
            members.finish(reader);
            read
        }
        None => (None, KeySource::Unknown),
    };
    members.finish(reader);
    let server = issuer.zip(token_prefix).zip(introspection).map(
        |((issuer, token_prefix), introspection)| AuthorizationServer {
            name: name.map(str::to_owned),
            issuer,
            token_prefix,
            introspection,
        },
    );
    (server, key)
}

/// Characters that a token may begin with (RFC 9110 section 11.2).
fn token_prefix(text: &str) -> Result<String, &'static str> {
    let may_begin = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if (1..=LONGEST_PREFIX).contains(&text.len()) && text.bytes().all(may_begin) {
        Ok(text.to_owned())
    } else {
        Err("is not how a token can begin; use 1 to 64 of A-Z, a-z, 0-9 and `-._~+/`")
    }
}

/// Bytes in a prefix of tokens.
const LONGEST_PREFIX: usize = 64;
