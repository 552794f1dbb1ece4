//! `session_key`: what ids of MCP sessions are bound to their callers with.

use super::client_auth::KeySource;
use super::cursor::{Members, Node, Reader};
use crate::secret::Secret;

/// Reads `session_key`: the newest key first, then the one before it. Where it
/// is not given, the client secrets serve, in their order: the first signs,
/// whichever of them the authorization server takes.
pub(super) fn read(
    members: &mut Members<'_>,
    instead: &KeySource,
    reader: &mut Reader<'_>,
) -> Option<Vec<Secret>> {
    match (members.take("session_key"), instead) {
        (Some(node), _) => keys(&node, reader),
        (None, KeySource::ClientSecrets(secrets)) => Some(secrets.clone()),
        (None, KeySource::Nothing) => {
            reader.report(
                &members.path.key("session_key"),
                "is missing; it is needed where there is no client_secret to derive it from",
            );
            None
        }
        (None, KeySource::Several) => {
            reader.report(
                &members.path.key("session_key"),
                "is missing; it is needed with several authorization servers, since a secret of \
                 one must not bind the callers of another",
            );
            None
        }
        (None, KeySource::Unknown) => None,
    }
}

fn keys(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Vec<Secret>> {
    let items = node.one_or_list();
    if !(1..=2).contains(&items.len()) {
        reader.report(&node.path, "must be one key, or a list of one or two");
        return None;
    }
    let read: Vec<_> = items
        .iter()
        .map(|item| {
            let text = item.template(reader)?;
            if text.expose().len() < SHORTEST_KEY {
                reader.report(
                    &item.path,
                    format_args!("is shorter than {SHORTEST_KEY} bytes; use a longer random key"),
                );
                return None;
            }
            Some(text.secret().clone())
        })
        .collect();
    read.into_iter().collect()
}

/// Bytes in a session key: what cannot be guessed.
const SHORTEST_KEY: usize = 16;
