//! The way back: nothing of the upstream's own authentication reaches the
//! client (`standards.md` B RFC9110-15.5.2-b, K MCP-PASS-h).

use memchr::memmem;

use crate::config::{Config, Server};
use crate::credential::Held;
use crate::denial::Denial;
use crate::fields::{Field, trim};
use crate::reply::EXPOSED;
use crate::secret::Secret;
use crate::session::{Owner, Sessions};
use crate::stream::Open;

/// A field of the answer to set, or with no value to remove.
pub type Edit = (String, Option<Vec<u8>>);

/// From this length on a credential is looked for anywhere in a value.
const SUBSTRING_FROM: usize = 8;

/// What has to be done to the head of an upstream's answer, or why the client
/// may not have it.
pub(crate) fn edits(
    open: &Open,
    config: &Config,
    server: &Server,
    sessions: &Sessions,
    fields: &[Field],
) -> Result<Vec<Edit>, Denial> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut vary: Option<Vec<u8>> = None;
    let mut session: Option<&[u8]> = None;
    for (name, value) in fields {
        match name.as_str() {
            // The credential that was refused is ours, not the client's.
            ":status" if is_refusal(value) => {
                if let Some(held) = &open.credential {
                    held.reject();
                }
                return Err(Denial::UpstreamCredentialRejected);
            }
            "www-authenticate"
            | "proxy-authenticate"
            | "authentication-info"
            | "proxy-authentication-info" => remove(&mut edits, name),
            "mcp-session-id" => session = Some(trim(value)),
            name if open.origin.is_some() && name.starts_with("access-control-") => {
                remove(&mut edits, name);
            }
            "vary" if open.origin.is_some() => {
                let all = vary.get_or_insert_default();
                if !all.is_empty() {
                    all.extend_from_slice(b", ");
                }
                all.extend_from_slice(value);
            }
            _ => {}
        }
        let fetched = open.credential.iter().map(|held| held.token());
        let mut credentials = server.credentials.iter().map(Secret::expose).chain(fetched);
        if credentials.any(|credential| repeats(value, credential)) {
            remove(&mut edits, name);
            if name == "mcp-session-id" {
                session = None;
            }
        }
    }
    if let (Some(id), Some(caller)) = (session, &open.caller) {
        let issuer = config.issuer_of(&caller.digest);
        let owner = Owner {
            server: &server.name,
            issuer: issuer.ok_or(Denial::Internal)?,
            claims: &caller.claims,
            digest: &caller.digest,
        };
        let bound = sessions.bind(owner, id).ok_or(Denial::Internal)?;
        edits.push(("mcp-session-id".to_owned(), Some(bound)));
    }
    if let Some(origin) = &open.origin {
        let mut set = |name: &str, value: &[u8]| {
            edits.push((name.to_owned(), Some(value.to_vec())));
        };
        set("access-control-allow-origin", origin.as_bytes());
        set("access-control-expose-headers", EXPOSED.as_bytes());
        set("vary", &with_origin(vary.unwrap_or_default()));
    }
    Ok(edits)
}

/// The same at an injector, which sees to what only it knows: the fetched
/// credential, and whether the upstream refuses it.
pub(crate) fn without(held: &Held, fields: &[Field]) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (name, value) in fields {
        if name == ":status" && is_refusal(value) {
            held.reject();
        } else if repeats(value, held.token()) {
            remove(&mut edits, name);
        }
    }
    edits
}

/// Whether the upstream refuses the credential that it got.
fn is_refusal(status: &[u8]) -> bool {
    matches!(status, b"401" | b"407")
}

fn remove(edits: &mut Vec<Edit>, name: &str) {
    if !edits.iter().any(|(known, _)| known == name) {
        edits.push((name.to_owned(), None));
    }
}

fn repeats(value: &[u8], credential: &[u8]) -> bool {
    value.len() >= credential.len()
        && if credential.len() < SUBSTRING_FROM {
            trim(value) == credential
        } else {
            memmem::find(value, credential).is_some()
        }
}

/// `Vary` with `Origin` among its names (RFC 9110 section 12.5.5).
fn with_origin(mut vary: Vec<u8>) -> Vec<u8> {
    let named = vary
        .split(|byte| *byte == b',')
        .map(trim)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"));
    if !named {
        if !vary.is_empty() {
            vary.extend_from_slice(b", ");
        }
        vary.extend_from_slice(b"Origin");
    }
    vary
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC9111-4.1-v.
    #[test]
    fn vary_names_origin_once() {
        for (before, after) in [
            ("", "Origin"),
            ("Accept", "Accept, Origin"),
            ("accept, ORIGIN", "accept, ORIGIN"),
            ("*", "*"),
        ] {
            assert_eq!(with_origin(before.into()), after.as_bytes());
        }
    }

    #[test]
    fn a_credential_is_found_in_a_value() {
        let long = b"ghp_0123456789";
        assert!(repeats(b"Bearer ghp_0123456789;", long));
        assert!(!repeats(b"Bearer ghp_012345678", long));
        let short = b"k";
        assert!(repeats(b" k ", short));
        assert!(!repeats(b"keep-alive", short));
        assert!(repeats(b"x01234567x", b"01234567"));
        assert!(!repeats(b"x0123456x", b"0123456"));
    }
}
