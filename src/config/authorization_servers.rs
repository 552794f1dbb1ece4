//! `authorization_servers`: those that there are, and whose tokens count at a
//! server.

use super::AuthorizationServer;
use super::authorization_server;
use super::client_auth::KeySource;
use super::cursor::{Members, Node, Reader, each};
use super::server::is_name;
use crate::issuers::{AuthorizationServers, IssuerId};

/// Everything that is known of them while the servers are read.
pub(super) struct Known<'a> {
    /// Their names, in order. Nothing where they could not be read; one without
    /// a name for `authorization_server`.
    names: Option<Vec<Option<&'a str>>>,
    /// `token_prefix` of each.
    prefixes: Vec<Option<String>>,
    /// They themselves, if there is no mistake in any.
    pub(super) list: Option<AuthorizationServers>,
    /// What session keys can be made from.
    pub(super) key: KeySource,
}

/// Reads `authorization_server` or `authorization_servers`, whichever is there.
pub(super) fn read<'a>(members: &mut Members<'a>, reader: &mut Reader<'_>) -> Known<'a> {
    let path = members.path.key("authorization_servers");
    let (one, several) = (
        members.take("authorization_server"),
        members.take("authorization_servers"),
    );
    match (&one, &several) {
        (Some(_), Some(_)) => reader.report(
            &path,
            "is there beside authorization_server; put them all in authorization_servers",
        ),
        (None, None) if !members.repeats(&["authorization_server", "authorization_servers"]) => {
            reader.report(
                &members.path.key("authorization_server"),
                "is missing; add it, or authorization_servers where there are several",
            );
        }
        (Some(_), None) | (None, Some(_) | None) => {}
    }
    let alone = one.map(|node| authorization_server::read(&node, None, reader));
    match (alone, several) {
        (_, Some(node)) => named(&node, reader),
        (Some((server, key)), None) => Known {
            names: Some(vec![None]),
            prefixes: vec![None],
            list: server.map(|server| AuthorizationServers::new(vec![server])),
            key,
        },
        (None, None) => Known::nothing(),
    }
}

fn named<'a>(node: &Node<'a>, reader: &mut Reader<'_>) -> Known<'a> {
    let Some(entries) = node.entries(reader) else {
        return Known::nothing();
    };
    if entries.is_empty() || entries.len() > MOST {
        reader.report(
            &node.path,
            format_args!("must have 1 to {MOST} authorization servers"),
        );
        return Known::nothing();
    }
    let mut read: Vec<Option<AuthorizationServer>> = Vec::new();
    let mut keys = Vec::new();
    for (name, node) in &entries {
        if !is_name(name) {
            reader.report(
                &node.path,
                "is not a name for it; use 1 to 64 of A-Z, a-z, 0-9, `_` and `-`",
            );
        }
        let (server, key) = authorization_server::read(node, Some(name), reader);
        let same = server.as_ref().and_then(|server| {
            let known = read.iter().flatten();
            known
                .into_iter()
                .find(|other| other.issuer == server.issuer)
        });
        if let Some(other) = same.and_then(|other| other.name.as_deref()) {
            reader.report(
                &node.path.key("issuer"),
                format_args!("is that of `{other}` as well; keep one of the two"),
            );
        }
        read.push(server);
        keys.push(key);
    }
    let key = match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(_) => KeySource::Several,
        None => KeySource::Unknown,
    };
    let prefix = |server: &Option<AuthorizationServer>| server.as_ref()?.token_prefix.clone();
    Known {
        names: Some(entries.iter().map(|(name, _)| Some(*name)).collect()),
        prefixes: read.iter().map(prefix).collect(),
        list: read
            .into_iter()
            .collect::<Option<_>>()
            .map(AuthorizationServers::new),
        key,
    }
}

impl Known<'_> {
    fn nothing() -> Self {
        Self {
            names: None,
            prefixes: Vec::new(),
            list: None,
            key: KeySource::Unknown,
        }
    }

    /// Reads a server's own `authorization_servers`.
    pub(super) fn of_server(
        &self,
        members: &mut Members<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Vec<IssuerId>> {
        let node = members.take("authorization_servers");
        match (node, self.names.as_deref()) {
            (Some(node), _) => self.chosen(&node, reader),
            (None, Some([_])) => IssuerId::at(0).map(|only| vec![only]),
            (None, Some(_)) => {
                reader.report(
                    &members.path.key("authorization_servers"),
                    "is missing; name those whose tokens count here, since there are several",
                );
                None
            }
            // It has been reported.
            (None, None) => None,
        }
    }

    fn chosen(&self, node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Vec<IssuerId>> {
        let items = node.one_or_list();
        if items.is_empty() {
            reader.report(
                &node.path,
                "is an empty list, so no token would do; name those whose tokens count here",
            );
            return None;
        }
        let names = each(&items, reader, Ok::<_, &str>)?;
        let known = self.names.as_ref()?;
        let mut chosen: Vec<IssuerId> = Vec::new();
        let mut complete = true;
        for (item, name) in items.iter().zip(names) {
            let place = known.iter().position(|one| *one == Some(name));
            let Some(id) = place.and_then(IssuerId::at) else {
                reader.report(
                    &item.path,
                    "is not the name of one of authorization_servers; add it there or correct it",
                );
                complete = false;
                continue;
            };
            let prefix = |id: IssuerId| self.prefixes.get(id.place())?.as_deref();
            let overlap = |one: &str, other: &str| one.starts_with(other) || other.starts_with(one);
            if let Some(one) = prefix(id)
                && chosen
                    .iter()
                    .any(|other| prefix(*other).is_some_and(|other| overlap(one, other)))
            {
                reader.report(
                    &item.path,
                    "has a token_prefix that overlaps with that of another one here; change one",
                );
                complete = false;
            }
            chosen.push(id);
        }
        complete.then_some(chosen)
    }
}

/// Authorization servers in a configuration.
const MOST: usize = 16;
