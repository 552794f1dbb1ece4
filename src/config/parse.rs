//! [`Config::parse`]: the keys of the configuration as a whole.

use core::time::Duration;

use sha2::{Digest, Sha256};

use super::authorization_servers;
use super::budget;
use super::cursor::{Members, Node, Reader};
use super::names;
use super::problem::{ConfigErrors, Path};
use super::proto;
use super::scope::Implications;
use super::server::{self, Common};
use super::session_key;
use super::uri;
use super::{AuditLog, Config, Role, Unlisted};
use crate::json::{self, Json};
use crate::metadata::Documents;

impl Config {
    /// Reads a configuration as Envoy hands it over, and puts the environment
    /// variables in that `env` gives.
    ///
    /// # Errors
    ///
    /// Every mistake that is in it. There is no configuration with one.
    pub fn parse(bytes: &[u8], env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(env);
        let config = tree(bytes)
            .map_err(|sentence| reader.report(&Path::root(), sentence))
            .ok()
            .and_then(|tree| config(&tree, fingerprint(bytes), &mut reader));
        reader.finish(config)
    }
}

/// JSON, or else the binary form of a Struct. That begins with 0x0a, which JSON
/// takes for white space, but it has 0x12 in it, which JSON does not allow
/// anywhere: no text is both.
fn tree(bytes: &[u8]) -> Result<Json, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty; give the plugin its configuration as JSON".to_owned());
    }
    json::parse(bytes).or_else(|error| {
        proto::parse(bytes)
            .map_err(|other| format!("is {error}, and {other} either; correct the JSON"))
    })
}

fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .take(6)
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Reads the whole tree.
pub(super) fn config(tree: &Json, fingerprint: String, reader: &mut Reader<'_>) -> Option<Config> {
    let mut members = Node::root(tree).object(reader)?;
    let issuers = authorization_servers::read(&mut members, reader);
    let session_keys = session_key::read(&mut members, &issuers.key, reader);
    let cache = match members.take("cache") {
        Some(node) => node
            .object(reader)
            .and_then(|members| budget::cache(members, reader)),
        None => budget::cache(Members::none(), reader),
    };
    let limits = match members.take("limits") {
        Some(node) => node
            .object(reader)
            .and_then(|members| budget::limits(members, reader)),
        None => budget::limits(Members::none(), reader),
    };
    let allowed_origins = members.or("allowed_origins", Vec::new(), reader, |node, reader| {
        node.strings(reader, uri::origin)
    });
    let strip_headers = members.or("strip_headers", Vec::new(), reader, names::strip);
    let identity_headers = members.or("identity_headers", Vec::new(), reader, names::identity);
    let implications = members.or(
        "scope_implies",
        Implications::default(),
        reader,
        Implications::read,
    );
    let role = members.or("role", Role::Gateway, reader, |node, reader| {
        node.word(reader, ROLES)
    });
    // With a mistake in these the servers are still looked at, without them.
    let complete = strip_headers.is_some() && identity_headers.is_some() && implications.is_some();
    let common = Common {
        strip_headers: strip_headers.unwrap_or_default(),
        identity_headers: identity_headers.unwrap_or_default(),
        implications: implications.unwrap_or_default(),
        role,
        authorization_servers: &issuers,
    };
    let servers = members
        .require("servers", reader)
        .and_then(|node| server::read(&node, &common, reader));
    let unlisted_clusters = members.or(
        "unlisted_clusters",
        Unlisted::Deny,
        reader,
        |node, reader| node.word(reader, UNLISTED),
    );
    let audit_log = members.or("audit_log", AuditLog::Refused, reader, |node, reader| {
        node.word(reader, AUDIT_LOGS)
    });
    let clock_skew = members.or("clock_skew", Duration::ZERO, reader, |node, reader| {
        node.duration(reader, Duration::ZERO..=Duration::from_secs(120))
    });
    members.finish(reader);
    if !complete {
        return None;
    }
    let identity_headers = common.identity_headers;
    let (authorization_servers, servers) = (issuers.list?, servers?);
    Some(Config {
        cache: cache?,
        limits: limits?,
        documents: Documents::new(&authorization_servers, &servers),
        authorization_servers,
        servers,
        allowed_origins: allowed_origins?,
        identity_headers,
        unlisted_clusters: unlisted_clusters?,
        role: role?,
        session_keys: session_keys?,
        audit_log: audit_log?,
        clock_skew: clock_skew?,
        fingerprint,
    })
}

/// `unlisted_clusters`.
const UNLISTED: &[(&str, Unlisted)] = &[("deny", Unlisted::Deny), ("ignore", Unlisted::Ignore)];

/// `role`.
const ROLES: &[(&str, Role)] = &[
    ("gateway", Role::Gateway),
    ("verifier", Role::Verifier),
    ("injector", Role::Injector),
];

/// `audit_log`.
const AUDIT_LOGS: &[(&str, AuditLog)] = &[
    ("refused", AuditLog::Refused),
    ("all", AuditLog::All),
    ("off", AuditLog::Off),
];

#[cfg(test)]
pub(super) mod tests;
