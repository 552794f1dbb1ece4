//! The authorization servers, and which of them is asked about a token.
//!
//! A token is shown to one authorization server only: to ask a second one would
//! hand it the token of the first. Which one that is, at an MCP server that has
//! several, is taken from the token itself and therefore unverified. It decides
//! whom to ask and nothing else: the answer is judged as one of the server that
//! was asked, with its issuer, and is kept for that server alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::AuthorizationServer;
use crate::digest::TokenDigest;
use crate::json::{self, Json};

/// An authorization server of one generation of the configuration, by its place
/// in the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IssuerId(u8);

impl IssuerId {
    /// The one at this place.
    pub(crate) fn at(place: usize) -> Option<Self> {
        u8::try_from(place).ok().map(Self)
    }

    /// Its place.
    pub(crate) fn place(self) -> usize {
        self.0.into()
    }
}

/// All authorization servers. There is at least one.
#[derive(Debug)]
pub(crate) struct AuthorizationServers(Vec<AuthorizationServer>);

/// The token says that it is of an issuer that does not count at this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownIssuer;

impl AuthorizationServers {
    /// These.
    pub(crate) fn new(list: Vec<AuthorizationServer>) -> Self {
        Self(list)
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AuthorizationServer> {
        self.0.iter()
    }

    /// The numbers of all of them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = IssuerId> {
        (0..self.0.len()).filter_map(IssuerId::at)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The one with this id.
    pub(crate) fn get(&self, id: IssuerId) -> Option<&AuthorizationServer> {
        self.0.get(id.place())
    }

    /// The one that is asked about the token of this digest.
    pub(crate) fn of(&self, digest: &TokenDigest) -> Option<&AuthorizationServer> {
        self.get(digest.issuer())
    }

    /// The issuers of these, in their order.
    pub(crate) fn issuers<'a>(&'a self, ids: &'a [IssuerId]) -> impl Iterator<Item = &'a str> {
        ids.iter()
            .filter_map(|id| self.get(*id))
            .map(|one| one.issuer.as_str())
    }

    /// Whom to ask about this token, at a server where these count.
    ///
    /// A token with the `token_prefix` of one is that one's; a JWT is of the
    /// issuer that it names. Any other may be of the first one that has no
    /// `token_prefix`: tokens of those that have one would begin so.
    pub(crate) fn choose(&self, ids: &[IssuerId], token: &[u8]) -> Result<IssuerId, UnknownIssuer> {
        if let [only] = ids {
            return Ok(*only);
        }
        let prefix = |id: IssuerId| self.get(id).and_then(|one| one.token_prefix.as_deref());
        let find = |fits: &dyn Fn(IssuerId) -> bool| {
            let found = ids.iter().copied().find(|id| fits(*id));
            found.ok_or(UnknownIssuer)
        };
        let begins = |id| prefix(id).is_some_and(|prefix| token.starts_with(prefix.as_bytes()));
        if let Ok(found) = find(&begins) {
            return Ok(found);
        }
        match Hint::of(token) {
            Hint::Nothing => find(&|id| prefix(id).is_none()),
            Hint::Nobody => Err(UnknownIssuer),
            Hint::Issuer(issuer) => {
                find(&|id| self.get(id).is_some_and(|one| one.issuer == issuer))
            }
        }
    }
}

/// What a token says of who issued it, which nobody has verified.
#[derive(Debug, PartialEq, Eq)]
enum Hint {
    /// This `iss`.
    Issuer(String),
    /// It is a JWT that names nobody, or names two.
    Nobody,
    /// It is no JWT, or one without `iss`.
    Nothing,
}

impl Hint {
    /// Reads the payload of what has the shape of a signed JWT (RFC 7515
    /// section 3.1): three segments of base64url. A token has 8 KiB at most,
    /// and with it all that is read here.
    fn of(token: &[u8]) -> Self {
        let mut segments = token.split(|byte| *byte == b'.');
        let parts = [segments.next(), segments.next(), segments.next()];
        let ([Some(header), Some(payload), Some(signature)], None) = (parts, segments.next())
        else {
            return Self::Nothing;
        };
        if header.is_empty() || ![header, signature].into_iter().all(is_base64url) {
            return Self::Nothing;
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).ok();
        let Some(payload) = payload.and_then(|bytes| json::parse(&bytes).ok()) else {
            return Self::Nothing;
        };
        match payload.get("iss") {
            _ if payload.duplicate() => Self::Nobody,
            Some(Json::String(issuer)) => Self::Issuer(issuer.clone()),
            Some(_) => Self::Nobody,
            None => Self::Nothing,
        }
    }
}

fn is_base64url(segment: &[u8]) -> bool {
    segment
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::rc::Rc;

    use super::*;
    use crate::client_auth::ClientAuth;
    use crate::config::Endpoint;

    fn server(issuer: &str, token_prefix: Option<&str>) -> AuthorizationServer {
        AuthorizationServer {
            name: None,
            issuer: issuer.to_owned(),
            token_prefix: token_prefix.map(str::to_owned),
            introspection: Endpoint {
                url: "https://auth.example.com/introspect".into(),
                cluster: "authorization-server".into(),
                scheme: "https".into(),
                authority: "auth.example.com".into(),
                path: "/introspect".into(),
                auth: Rc::new(ClientAuth {
                    client_id: String::new(),
                    credentials: Vec::new(),
                    place: String::new(),
                }),
                timeout: Duration::from_secs(2),
            },
        }
    }

    const CORP: &str = "https://corp.example";
    const PARTNER: &str = "https://partner.example";

    fn jwt(payload: &str) -> String {
        format!(
            "eyJhbGciOiJSUzI1NiJ9.{}.c2ln-_",
            URL_SAFE_NO_PAD.encode(payload)
        )
    }

    fn chosen(servers: &[AuthorizationServer], token: &str) -> Option<usize> {
        let ids: Vec<_> = (0..servers.len()).filter_map(IssuerId::at).collect();
        let servers = servers
            .iter()
            .map(|one| server(&one.issuer, one.token_prefix.as_deref()));
        let servers = AuthorizationServers::new(servers.collect());
        let found = servers.choose(&ids, token.as_bytes());
        found.ok().map(IssuerId::place)
    }

    #[test]
    fn a_jwt_is_of_the_issuer_that_it_names() {
        let two = [server(CORP, None), server(PARTNER, None)];
        let named = |issuer: &str| chosen(&two, &jwt(&format!(r#"{{"iss":"{issuer}"}}"#)));
        assert_eq!(named(CORP), Some(0));
        assert_eq!(named(PARTNER), Some(1));
        // Code point by code point: another way to write it is another issuer.
        for other in [
            "https://partner.example/",
            "https://PARTNER.example",
            "https://evil.example",
            "",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
        // JSON's own escapes are no other way to write it.
        assert_eq!(
            chosen(&two, &jwt(r#"{"iss":"https:\/\/partner.example"}"#)),
            Some(1)
        );
    }

    #[test]
    fn a_jwt_that_names_nobody_or_two_is_asked_about_nowhere() {
        let two = [server(CORP, None), server(PARTNER, None)];
        for payload in [
            r#"{"iss":null}"#,
            r#"{"iss":["https://corp.example"]}"#,
            r#"{"iss":"https://corp.example","iss":"https://partner.example"}"#,
        ] {
            assert_eq!(chosen(&two, &jwt(payload)), None, "{payload}");
        }
    }

    #[test]
    fn what_says_nothing_is_the_first_ones() {
        let two = [server(CORP, None), server(PARTNER, None)];
        for token in [
            "opaque",
            "a.b",
            "a.b.c",
            "a.b.c.d.e",
            &jwt("{}"),
            &jwt("[]"),
            &jwt("not json"),
            &jwt(r#"{"iss":"https://partner.example"}"#).replace('_', "~"),
            &format!(".{}", jwt(r#"{"iss":"https://partner.example"}"#)),
        ] {
            assert_eq!(chosen(&two, token), Some(0), "{token}");
        }
    }

    #[test]
    fn a_prefix_chooses_and_tokens_without_it_are_not_shown() {
        let partner = server(PARTNER, Some("ptn_"));
        let two = [partner, server(CORP, None)];
        assert_eq!(chosen(&two, "ptn_1"), Some(0));
        assert_eq!(chosen(&two, "PTN_1"), Some(1));
        assert_eq!(
            chosen(&two, &jwt(r#"{"iss":"https://partner.example"}"#)),
            Some(0)
        );
        let both = [server(PARTNER, Some("ptn_")), server(CORP, Some("corp_"))];
        assert_eq!(chosen(&both, "corp_1"), Some(1));
        assert_eq!(chosen(&both, "other"), None);
    }

    /// With one there is nothing to choose, whatever the token says.
    #[test]
    fn the_only_one_is_asked_about_everything() {
        let one = [server(CORP, Some("corp_"))];
        for token in ["x", &jwt(r#"{"iss":"https://evil.example"}"#)] {
            assert_eq!(chosen(&one, token), Some(0));
        }
    }
}
