//! MCP session ids, bound to the caller and the server.
//!
//! The upstream sees the gateway only, so it cannot tell whose session an id
//! is (MCP security best practices, "Session Hijacking"). The client is given
//! `<mac>.<id>`, where the MAC covers server, caller and id. Nothing is stored,
//! and every replica with the same key agrees.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::digest::TokenDigest;
use crate::introspection::Claims;
use crate::secret::Secret;

/// Binds ids, with the first key, and recognises those of all keys.
#[derive(Debug)]
pub(crate) struct Sessions {
    keys: Vec<Key>,
}

struct Key(Hmac<Sha256>);

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Whom a session belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// Name of the server.
    pub(crate) server: &'a str,
    /// The configured issuer.
    pub(crate) issuer: &'a str,
    /// What is known of the caller.
    pub(crate) claims: &'a Claims,
    /// Stands for the caller where nothing is known.
    pub(crate) digest: &'a TokenDigest,
}

impl Sessions {
    /// With these keys.
    pub(crate) fn new(keys: &[Secret]) -> Self {
        let keys = keys
            .iter()
            .filter_map(|key| Hmac::new_from_slice(key.expose()).ok())
            .map(Key)
            .collect();
        Self { keys }
    }

    /// The id for the client; none without a key.
    pub(crate) fn bind(&self, owner: Owner<'_>, id: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.first()?;
        let mac = key.mac(owner, id).finalize().into_bytes();
        let mut bound = URL_SAFE_NO_PAD.encode(mac).into_bytes();
        bound.push(b'.');
        bound.extend_from_slice(id);
        Some(bound)
    }

    /// The upstream's id, where the client was given this one here.
    pub(crate) fn unbind<'b>(&self, owner: Owner<'_>, bound: &'b [u8]) -> Option<&'b [u8]> {
        let dot = memchr::memchr(b'.', bound)?;
        let (mac, rest) = bound.split_at_checked(dot)?;
        let id = rest.get(1..)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        self.keys
            .iter()
            .any(|key| key.mac(owner, id).verify_slice(&mac).is_ok())
            .then_some(id)
    }
}

impl Key {
    /// Over every part with its length, so that none runs into the next.
    fn mac(&self, owner: Owner<'_>, id: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        let mut part = |bytes: &[u8]| {
            mac.update(bytes.len().to_string().as_bytes());
            mac.update(b":");
            mac.update(bytes);
        };
        part(b"mcp-session-id");
        part(owner.server.as_bytes());
        part(owner.issuer.as_bytes());
        match (&owner.claims.subject, &owner.claims.client_id) {
            (None, None) => {
                part(b"token");
                part(owner.digest.bytes());
            }
            (subject, client_id) => {
                for claim in [subject, client_id] {
                    match claim {
                        Some(text) => {
                            part(b"is");
                            part(text.as_bytes());
                        }
                        None => part(b"none"),
                    }
                }
            }
        }
        part(id);
        mac
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Digester;

    const ISSUER: &str = "https://auth.example.com";

    fn claims(subject: Option<&str>, client_id: Option<&str>) -> Claims {
        Claims {
            subject: subject.map(Into::into),
            client_id: client_id.map(Into::into),
            ..Claims::default()
        }
    }

    fn sessions(keys: &[&str]) -> Sessions {
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(key.as_bytes())).collect();
        Sessions::new(&keys)
    }

    fn owner<'a>(server: &'a str, claims: &'a Claims, digest: &'a TokenDigest) -> Owner<'a> {
        Owner {
            server,
            issuer: ISSUER,
            claims,
            digest,
        }
    }

    /// MCP-SESS-b: another caller, another server and a raw id get nowhere.
    #[test]
    fn an_id_is_good_for_its_owner_only() {
        let sessions = sessions(&["key-one"]);
        let (one, other) = (
            Digester::new("", "").of(b"1"),
            Digester::new("", "").of(b"2"),
        );
        let alice = claims(Some("alice"), Some("app"));
        let bound = sessions
            .bind(owner("github", &alice, &one), b"id.7")
            .unwrap();
        // A new token of the same caller is the same owner.
        assert_eq!(
            sessions.unbind(owner("github", &alice, &other), &bound),
            Some(&b"id.7"[..])
        );
        for (server, claims) in [
            ("linear", alice.clone()),
            ("github", claims(Some("bob"), Some("app"))),
            ("github", claims(Some("alice"), None)),
            ("github", claims(None, Some("alice"))),
            ("github", claims(Some("alic"), Some("eapp"))),
            ("github", claims(None, None)),
        ] {
            assert_eq!(sessions.unbind(owner(server, &claims, &one), &bound), None);
        }
        let mut changed = bound.clone();
        changed.push(b'7');
        for id in [&b"id.7"[..], b"", b".", b".id.7", &changed, &bound[1..]] {
            assert_eq!(sessions.unbind(owner("github", &alice, &one), id), None);
        }
    }

    #[test]
    fn a_caller_without_a_name_is_its_token() {
        let sessions = sessions(&["key-one"]);
        let (one, other) = (
            Digester::new("", "").of(b"1"),
            Digester::new("", "").of(b"2"),
        );
        let nobody = claims(None, None);
        let bound = sessions
            .bind(owner("github", &nobody, &one), b"id")
            .unwrap();
        assert!(
            sessions
                .unbind(owner("github", &nobody, &one), &bound)
                .is_some()
        );
        assert!(
            sessions
                .unbind(owner("github", &nobody, &other), &bound)
                .is_none()
        );
    }

    #[test]
    fn a_second_key_is_still_known_while_keys_change() {
        let (old, both, new) = (
            sessions(&["old"]),
            sessions(&["new", "old"]),
            sessions(&["new"]),
        );
        let digest = Digester::new("", "").of(b"1");
        let alice = claims(Some("alice"), None);
        let owner = owner("github", &alice, &digest);
        let bound = old.bind(owner, b"id").unwrap();
        assert!(both.unbind(owner, &bound).is_some());
        assert!(new.unbind(owner, &bound).is_none());
        assert_eq!(both.bind(owner, b"id"), new.bind(owner, b"id"));
    }

    proptest! {
        #[test]
        fn any_other_bytes_are_no_session(bound in proptest::collection::vec(any::<u8>(), 0..80)) {
            let digest = Digester::new("", "").of(b"1");
            let alice = claims(Some("alice"), None);
            let owner = owner("github", &alice, &digest);
            prop_assert_eq!(sessions(&["key-one"]).unbind(owner, &bound), None);
        }
    }
}
