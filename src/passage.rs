//! The way out: what is done to a request before it may leave.
//!
//! A [`Plan`] is worked out from one reading of the head, before or after the
//! token was asked about. Only [`Plan::forward`] turns it into a [`Forward`],
//! and that takes a [`Verified`], which only a positive verdict makes. Every
//! [`Forward`] strips: there is no constructor that does not.

use std::rc::Rc;

use crate::access::Verified;
use crate::audit::Context;
use crate::call::Call;
use crate::certificate::Thumbprint;
use crate::config::{Config, Role, Server};
use crate::credential::Held;
use crate::denial::Denial;
use crate::digest::TokenDigest;
use crate::fields::{Field, fold, same_name, trim};
use crate::head::{Head, Single};
use crate::introspection::Claims;
use crate::leak::{Place, Search};
use crate::secret::Secret;
use crate::servers::ServerId;
use crate::session::{Owner, Sessions};
use crate::stream::Kind;

/// What a request needs before it may leave for its server.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The server it is for.
    pub(crate) server: ServerId,
    /// The token, for the search in what leaves.
    pub(crate) token: Secret,
    /// Its digest.
    pub(crate) digest: TokenDigest,
    /// The allowed origin of the page that sent it.
    pub(crate) origin: Option<String>,
    /// What it opens.
    pub(crate) kind: Kind,
    /// The certificate of the client that sent it, where it is asked for.
    pub(crate) certificate: Option<Thumbprint>,
    /// What the audit record says of it.
    pub(crate) context: Context,
    /// Where the token stands besides its place.
    pub(crate) leak: Option<Place>,
    /// The reading of its body, at a server with rules.
    pub(crate) call: Option<Box<Call>>,
    /// The credential of the server, where that is fetched and held.
    pub(crate) credential: Option<Rc<Held>>,
    changes: Vec<Change>,
    session: Session,
}

#[derive(Debug)]
enum Session {
    /// Nothing to be done.
    None,
    /// An id that has to be one of the caller's.
    Presented(Secret),
    /// More than one.
    Several,
}

/// One field to set, or with no value to remove.
#[derive(Debug)]
struct Change {
    name: String,
    value: Option<Secret>,
}

/// The permission to let one request go, with all that is done to it first.
#[derive(Debug)]
#[must_use]
pub struct Forward {
    config: Rc<Config>,
    server: ServerId,
    changes: Vec<Change>,
    /// The credential of the server, where that is fetched.
    credential: Option<Rc<Held>>,
    /// What a verifier leaves for the injector.
    marks: bool,
}

impl Plan {
    /// Works out what has to be done to this request.
    pub(crate) fn new(
        config: &Config,
        (id, server): (ServerId, &Server),
        head: &Head<'_>,
        token: &[u8],
        digest: TokenDigest,
        origin: Option<&str>,
    ) -> Self {
        let search = Search::new(token);
        let session = match head.session {
            _ if head.is_sessionless_revision() => Session::None,
            Single::Absent => Session::None,
            Single::One(id) => Session::Presented(Secret::new(id)),
            Single::Several => Session::Several,
        };
        let mut changes = removals(head.fields, config, server);
        if head.session != Single::Absent && head.is_sessionless_revision() {
            changes.push(Change::remove(SESSION));
        }
        if !server.strip.contains(COOKIE)
            && let Some(change) = clean_cookies(head.fields, &search)
        {
            changes.push(change);
        }
        Self {
            server: id,
            token: Secret::new(token),
            digest,
            origin: origin.map(str::to_owned),
            kind: Kind::of(head),
            certificate: None,
            context: Context::of(head, &search),
            leak: leak(head, server, &search),
            call: None,
            credential: None,
            changes,
            session,
        }
    }

    /// Lets the request go, if nothing stands against it but the verdict that
    /// has been reached.
    pub(crate) fn forward(
        &mut self,
        _verified: Verified,
        config: &Rc<Config>,
        sessions: &Sessions,
        claims: &Claims,
    ) -> Result<Forward, Denial> {
        let server = config.servers.server(self.server).ok_or(Denial::Internal)?;
        let search = Search::new(self.token.expose());
        let mut changes = core::mem::take(&mut self.changes);
        match &self.session {
            Session::None => {}
            Session::Several => return Err(Denial::UnknownSession),
            Session::Presented(bound) => {
                let owner = Owner {
                    server: &server.name,
                    issuer: config.issuer_of(&self.digest).ok_or(Denial::Internal)?,
                    claims,
                    digest: &self.digest,
                };
                let id = sessions
                    .unbind(owner, bound.expose())
                    .ok_or(Denial::UnknownSession)?;
                if search.in_value(id) {
                    return Err(Denial::Leak(Place::Header));
                }
                changes.push(Change::set(SESSION, Secret::new(id)));
            }
        }
        if let Some(place) = self.leak {
            return Err(Denial::Leak(place));
        }
        for ((name, _), claim) in config.identity_headers.iter().zip(&claims.identity) {
            if let Some(claim) = claim {
                changes.push(Change::set(name, identity_value(claim)?));
            }
        }
        let fetched = server.credential.is_some() && config.role != Role::Verifier;
        if fetched != self.credential.is_some() {
            return Err(Denial::Internal);
        }
        let forward = Forward {
            config: Rc::clone(config),
            server: self.server,
            changes,
            credential: self.credential.clone(),
            marks: config.role == Role::Verifier,
        };
        // The proof: nothing that is set has the token in it.
        if forward
            .changes()
            .any(|(name, value)| value.is_some_and(|value| search.in_field(name, value)))
            || self
                .credential
                .as_ref()
                .is_some_and(|held| search.in_value(held.token()))
        {
            return Err(Denial::Leak(Place::Header));
        }
        Ok(forward)
    }
}

impl Forward {
    /// For an injector: what the verifier let through is stripped once more
    /// and gets the credential of its server.
    pub(crate) fn marked(
        _verified: Verified,
        config: &Rc<Config>,
        (id, server): (ServerId, &Server),
        fields: &[Field],
    ) -> Self {
        let mut changes = removals(fields, config, server);
        changes.extend(clean_cookies(fields, &Search::new(b"")));
        Self {
            config: Rc::clone(config),
            server: id,
            changes,
            credential: None,
            marks: false,
        }
    }

    /// With this credential, which was fetched.
    pub(crate) fn with(self, credential: Rc<Held>) -> Self {
        Self {
            credential: Some(credential),
            ..self
        }
    }

    /// The fields to set, or with none to remove, in this order.
    pub fn changes(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let credentials = match self.config.role {
            Role::Gateway | Role::Injector => self.config.servers.server(self.server),
            Role::Verifier => None,
        };
        let own = self.changes.iter().map(|change| {
            let value = change.value.as_ref().map(Secret::expose);
            (change.name.as_str(), value)
        });
        let credentials = credentials
            .into_iter()
            .flat_map(|server| &server.default_headers)
            .map(|(name, value)| (name.as_str(), Some(value.expose())));
        let fetched = self
            .credential
            .iter()
            .map(|held| (AUTHORIZATION, Some(held.authorization())));
        own.chain(credentials).chain(fetched)
    }

    /// The name of the server, where an injector has to be told.
    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        self.marks
            .then(|| self.config.servers.server(self.server))
            .flatten()
            .map(|server| server.name.as_str())
    }
}

impl Change {
    fn remove(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
        }
    }

    fn set(name: &str, value: Secret) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value),
        }
    }
}

const AUTHORIZATION: &str = "authorization";
const SESSION: &str = "mcp-session-id";
const COOKIE: &str = "cookie";

/// Whether a field of the request is not to arrive as it came.
fn is_stripped(name: &str, server: &Server) -> bool {
    server.strip.contains(name) || is_session_alias(name)
}

/// `Mcp_Session_Id` is the same as `Mcp-Session-Id` to some servers, and would
/// get past the check.
fn is_session_alias(name: &str) -> bool {
    same_name(SESSION, name) && name != SESSION
}

/// The fields to remove. One that is about to be replaced is not removed
/// first: routes that match on its presence stay where they are.
fn removals(fields: &[Field], config: &Config, server: &Server) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for (name, _) in fields {
        if !is_stripped(name, server) || changes.iter().any(|change| change.name == *name) {
            continue;
        }
        let fetched = server.credential.is_some() && name == AUTHORIZATION;
        let replaced = config.role != Role::Verifier
            && (fetched || server.default_headers.iter().any(|(set, _)| set == name));
        // Set by the verifier from the claims, not by the client.
        let verified = config.role == Role::Injector
            && config.identity_headers.iter().any(|(set, _)| set == name);
        if !replaced && !verified {
            changes.push(Change::remove(name));
        }
    }
    changes
}

/// The cookie field without the pairs that are named `access_token` or have
/// the token in them; none where it can stay as it is.
fn clean_cookies(fields: &[Field], search: &Search<'_>) -> Option<Change> {
    let pairs = || {
        fields
            .iter()
            .filter(|(name, _)| name == COOKIE)
            .flat_map(|(_, value)| value.split(|byte| *byte == b';'))
            .map(trim)
            .filter(|pair| !pair.is_empty())
    };
    let is_clean = |pair: &&[u8]| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let name = trim(parts.next().unwrap_or(b""));
        let value = parts.next().unwrap_or(b"");
        let named = core::str::from_utf8(name).is_ok_and(|name| fold(name) == "access-token");
        // A short token counts as a whole name or value only.
        !named && ![pair, name, value].iter().any(|part| search.in_value(part))
    };
    if pairs().all(|pair| is_clean(&pair)) {
        return None;
    }
    let kept: Vec<&[u8]> = pairs().filter(is_clean).collect();
    Some(if kept.is_empty() {
        Change::remove(COOKIE)
    } else {
        Change::set(COOKIE, Secret::new(&kept.join(&b"; "[..])))
    })
}

/// Where the token stands in what would leave.
fn leak(head: &Head<'_>, server: &Server, search: &Search<'_>) -> Option<Place> {
    for (name, value) in head.fields {
        if name == ":path" {
            if let Some(place) = search.in_path(value) {
                return Some(place);
            }
        } else if search.fits(name, value)
            // The token stands in one of these, and need not be searched for.
            && !is_stripped(name, server)
            // These two are cleaned by themselves.
            && name != COOKIE
            && name != SESSION
            && search.in_field(name, value)
        {
            return Some(Place::Header);
        }
    }
    None
}

/// A claim as a field value: visible ASCII as it is, other text
/// percent-encoded. Control characters could split a header.
fn identity_value(claim: &str) -> Result<Secret, Denial> {
    if claim.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Denial::ClaimRefused);
    }
    let inner = claim.trim_matches(' ').len() == claim.len();
    let mut value = Vec::with_capacity(claim.len());
    for byte in claim.bytes() {
        let plain = byte.is_ascii_graphic() && byte != b'%';
        if plain || (byte == b' ' && inner) {
            value.push(byte);
        } else {
            value.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    Ok(value.into())
}

/// What is done to trailers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trailers {
    /// These go, the others may pass.
    Strip(Vec<String>),
    /// The token is in one that would have passed.
    Leak,
}

impl Trailers {
    /// What has to be done to these trailers of a request for this server.
    pub(crate) fn of(fields: &[Field], server: &Server, token: Option<&Secret>) -> Self {
        let mut strip = Vec::new();
        for (name, value) in fields {
            if is_stripped(name, server) || same_name(SESSION, name) || name == COOKIE {
                if !strip.contains(name) {
                    strip.push(name.clone());
                }
            } else if token.is_some_and(|token| Search::new(token.expose()).in_field(name, value)) {
                return Self::Leak;
            }
        }
        Self::Strip(strip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_becomes_a_field_that_no_control_character_splits() {
        for (claim, value) in [
            ("user-1", "user-1"),
            ("a b", "a b"),
            (" a b", "%20a%20b"),
            ("a ", "a%20"),
            ("100%", "100%25"),
            ("\u{e9}", "%C3%A9"),
            ("", ""),
        ] {
            let set = identity_value(claim);
            let set = set.as_ref().map(Secret::expose);
            assert_eq!(set, Ok(value.as_bytes()), "{claim:?}");
        }
        for claim in ["a\nb", "\r", "\0", "a\u{7f}"] {
            assert!(matches!(identity_value(claim), Err(Denial::ClaimRefused)));
        }
    }
}
