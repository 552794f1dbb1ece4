//! `authorization_server`: whom to ask.

use super::AuthorizationServer;
use super::client_auth::KeySource;
use super::cursor::{Node, Reader};
use super::endpoint;
use super::uri;

/// Reads `authorization_server`.
pub(super) fn read(
    node: &Node<'_>,
    reader: &mut Reader<'_>,
) -> (Option<AuthorizationServer>, KeySource) {
    let Some(mut members) = node.object(reader) else {
        return (None, KeySource::Unknown);
    };
    let issuer = members
        .require("issuer", reader)
        .and_then(|node| node.parsed(reader, uri::issuer));
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
    let server = issuer
        .zip(introspection)
        .map(|(issuer, introspection)| AuthorizationServer {
            issuer,
            introspection,
        });
    (server, key)
}
