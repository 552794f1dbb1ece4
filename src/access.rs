//! Whether what an introspection says lets a token in here, now.

use core::time::Duration;

use crate::certificate::{CertificateBinding, Confirmation, Thumbprint};
use crate::denial::Denial;
use crate::introspection::Claims;
use crate::servers::{ServerId, Servers};
use crate::time::Now;

/// Proof that a token was found good for one server at one moment.
///
/// [`Requirement::judge`] is the only place that makes one, and nothing can be
/// forwarded to a listed cluster without one (see [`crate::passage`]).
#[derive(Debug)]
pub(crate) struct Verified(());

impl Verified {
    /// The only constructor: every call of it is a claim that a positive
    /// verdict was reached on this very request.
    fn assertion() -> Self {
        Self(())
    }

    /// At an injector the verdict was reached by the verifier before it, on
    /// this very request; its mark, which no client can set, names the server.
    pub(crate) fn by_mark(
        servers: &Servers,
        cluster: &str,
        mark: Option<&[u8]>,
    ) -> Result<(ServerId, Self), Denial> {
        let mark = mark.ok_or(Denial::NoMark)?;
        servers
            .by_name(mark)
            .filter(|id| servers.belongs(cluster, *id))
            .map(|id| (id, Self::assertion()))
            .ok_or(Denial::WrongMark)
    }
}

/// Why an active token is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `exp` has come.
    Expired,
    /// A required scope is neither granted nor implied.
    InsufficientScope,
    /// `nbf` has not come.
    NotYetValid,
    /// It is a plain bearer token, where those are not taken.
    NotBound,
    /// `cnf` is present, and nothing that is checked here: it is not a plain
    /// bearer token.
    SenderConstrained,
    /// `aud` is missing or names others.
    WrongAudience,
    /// It is bound to a certificate that the client has not.
    WrongCertificate,
    /// `iss` is another issuer.
    WrongIssuer,
    /// `token_type` is another type.
    WrongTokenType,
}

/// What a token has to have to be let in at one server.
#[derive(Debug)]
pub(crate) struct Requirement {
    /// Audiences of which the token has to have one, in normal form.
    pub(crate) audience: Vec<String>,
    /// Whether an answer without `aud` will do, because the authorization
    /// server answers `active: false` for tokens of other servers.
    pub(crate) audience_checked_by_authorization_server: bool,
    /// What is made of tokens that are bound to a certificate, and of others.
    pub(crate) certificates: CertificateBinding,
    /// Scopes, all of which the token has to have.
    pub(crate) scopes: Vec<RequiredScope>,
}

/// One required scope.
#[derive(Debug)]
pub(crate) struct RequiredScope {
    /// Its name, as it stands in challenges.
    pub(crate) name: String,
    /// Itself and every scope that implies it.
    pub(crate) satisfied_by: Vec<String>,
}

impl Requirement {
    /// The verdict on an active token, in the order that tells a stranger's
    /// token nothing about scopes: they are looked at last (MCP-SCOPE-f).
    pub(crate) fn judge(
        &self,
        claims: &Claims,
        certificate: Option<Thumbprint>,
        issuer: &str,
        skew: Duration,
        now: Now,
    ) -> Result<Verified, Refusal> {
        let skew = skew.as_secs_f64();
        let wall = now.unix_seconds();
        // RFC 7519 section 4.1.4: the current time must be before `exp`.
        if claims.expires.is_some_and(|exp| wall - skew >= exp) {
            return Err(Refusal::Expired);
        }
        if claims.not_before.is_some_and(|nbf| wall + skew < nbf) {
            return Err(Refusal::NotYetValid);
        }
        if claims.issuer.as_deref().is_some_and(|iss| iss != issuer) {
            return Err(Refusal::WrongIssuer);
        }
        if let Some(token_type) = &claims.token_type
            && !token_type.eq_ignore_ascii_case("bearer")
        {
            return Err(Refusal::WrongTokenType);
        }
        self.is_sender(claims.confirmation, certificate)?;
        if !self.is_audience(claims) {
            return Err(Refusal::WrongAudience);
        }
        if !self
            .scopes
            .iter()
            .all(|required| required.granted_by(claims))
        {
            return Err(Refusal::InsufficientScope);
        }
        Ok(Verified::assertion())
    }

    /// Whether the token is in the hands that it is for (RFC 8705 section 3).
    fn is_sender(
        &self,
        confirmation: Confirmation,
        certificate: Option<Thumbprint>,
    ) -> Result<(), Refusal> {
        match (self.certificates, confirmation) {
            (CertificateBinding::Refused | CertificateBinding::Accepted, Confirmation::Bearer) => {
                Ok(())
            }
            (CertificateBinding::Required, Confirmation::Bearer) => Err(Refusal::NotBound),
            (
                CertificateBinding::Accepted | CertificateBinding::Required,
                Confirmation::Certificate(bound),
            ) => match certificate {
                Some(shown) if shown == bound => Ok(()),
                Some(_) | None => Err(Refusal::WrongCertificate),
            },
            (CertificateBinding::Refused, Confirmation::Certificate(_))
            | (_, Confirmation::Other) => Err(Refusal::SenderConstrained),
        }
    }

    fn is_audience(&self, claims: &Claims) -> bool {
        match claims.audience.as_deref() {
            None => self.audience_checked_by_authorization_server,
            Some(audience) => audience
                .iter()
                .any(|one| self.audience.iter().any(|ours| **ours == **one)),
        }
    }
}

impl RequiredScope {
    /// Whether the token has it.
    pub(crate) fn granted_by(&self, claims: &Claims) -> bool {
        claims
            .scopes()
            .any(|granted| self.satisfied_by.iter().any(|one| one == granted))
    }
}

/// The form in which audiences are compared: scheme and authority in lower
/// case, and `/` for an empty path, because clients turn `https://host` into
/// `https://host/` (RFC 3986 section 6.2.3). What is not a URI with an
/// authority stays as it is.
pub(crate) fn normal_form(audience: &str) -> String {
    let Some((scheme, rest)) = audience.split_once("://") else {
        return audience.to_owned();
    };
    let authority_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(authority_ends).unwrap_or((rest, ""));
    let mut normal = scheme.to_ascii_lowercase();
    normal.push_str("://");
    normal.push_str(&authority.to_ascii_lowercase());
    if !path.starts_with('/') {
        normal.push('/');
    }
    normal.push_str(path);
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://auth.example.com";

    fn requirement() -> Requirement {
        Requirement {
            audience: vec!["https://gw.example.com/mcp".into()],
            audience_checked_by_authorization_server: false,
            certificates: CertificateBinding::Refused,
            scopes: vec![RequiredScope {
                name: "mcp:read".into(),
                satisfied_by: vec!["mcp:read".into(), "mcp:admin".into()],
            }],
        }
    }

    fn claims() -> Claims {
        Claims {
            audience: Some(vec!["https://gw.example.com/mcp".into()]),
            scope: "mcp:read".into(),
            expires: Some(1_100.0),
            ..Claims::default()
        }
    }

    fn judge(requirement: &Requirement, claims: &Claims, at: u64) -> Option<Refusal> {
        requirement
            .judge(claims, None, ISSUER, Duration::ZERO, Now::at_seconds(at))
            .err()
    }

    fn refused(change: impl FnOnce(&mut Claims)) -> Option<Refusal> {
        let mut claims = claims();
        change(&mut claims);
        judge(&requirement(), &claims, 1_000)
    }

    #[test]
    fn a_live_token_for_this_server_is_let_in() {
        assert_eq!(judge(&requirement(), &claims(), 1_000), None);
    }

    /// RFC7662-2.2-exp: the very second of `exp` is too late.
    #[test]
    fn a_token_ends_at_exp() {
        assert_eq!(judge(&requirement(), &claims(), 1_099), None);
        assert_eq!(
            judge(&requirement(), &claims(), 1_100),
            Some(Refusal::Expired)
        );
        assert_eq!(refused(|c| c.expires = Some(1_000.5)), None);
        assert_eq!(refused(|c| c.expires = Some(-1.0)), Some(Refusal::Expired));
        assert_eq!(refused(|c| c.expires = Some(1e300)), None);
    }

    /// RFC7662-2.2-nbf, CLOCK-a.
    #[test]
    fn a_token_begins_at_nbf_and_skew_is_tolerated_both_ways() {
        assert_eq!(
            refused(|c| c.not_before = Some(1_001.0)),
            Some(Refusal::NotYetValid)
        );
        assert_eq!(refused(|c| c.not_before = Some(1_000.0)), None);
        let mut claims = claims();
        claims.not_before = Some(1_005.0);
        claims.expires = Some(996.0);
        let skew = Duration::from_secs(5);
        let verdict = requirement().judge(&claims, None, ISSUER, skew, Now::at_seconds(1_000));
        assert!(verdict.is_ok());
    }

    /// MCP-AUD-a, RFC8707-3-b, RFC7662-2.2-aud.
    #[test]
    fn only_our_own_audience_will_do() {
        let foreign = Some(Refusal::WrongAudience);
        assert_eq!(refused(|c| c.audience = None), foreign);
        assert_eq!(refused(|c| c.audience = Some(vec![])), foreign);
        for other in [
            "https://gw.example.com/mcp-evil",
            "https://gw.example.com/",
            "",
        ] {
            assert_eq!(refused(|c| c.audience = Some(vec![other.into()])), foreign);
        }
        assert_eq!(
            refused(|c| c
                .audience
                .as_mut()
                .unwrap()
                .insert(0, "https://other.example".into())),
            None
        );
    }

    /// MCP-AUD-c: the opt-out is for answers without `aud` only.
    #[test]
    fn audience_checked_elsewhere_does_not_accept_a_foreign_audience() {
        let mut requirement = requirement();
        requirement.audience_checked_by_authorization_server = true;
        let mut claims = claims();
        claims.audience = Some(vec!["https://other.example/".into()]);
        assert_eq!(
            judge(&requirement, &claims, 1_000),
            Some(Refusal::WrongAudience)
        );
        claims.audience = None;
        assert_eq!(judge(&requirement, &claims, 1_000), None);
    }

    /// RFC7662-2.2-iss, RFC7662-2.2-tt, RFC9449-7.2-a.
    #[test]
    fn issuer_type_and_confirmation_are_looked_at() {
        assert_eq!(refused(|c| c.issuer = Some(ISSUER.into())), None);
        assert_eq!(
            refused(|c| c.issuer = Some("https://auth.example.com/".into())),
            Some(Refusal::WrongIssuer)
        );
        assert_eq!(refused(|c| c.token_type = Some("bEARER".into())), None);
        assert_eq!(
            refused(|c| c.token_type = Some("DPoP".into())),
            Some(Refusal::WrongTokenType)
        );
        assert_eq!(
            refused(|c| c.confirmation = Confirmation::Other),
            Some(Refusal::SenderConstrained)
        );
    }

    /// RFC8705-3-a.
    #[test]
    fn a_bound_token_is_good_with_its_certificate() {
        let of = |digit: &str| Thumbprint::from_hex(digit.repeat(64).as_bytes());
        let bound = Confirmation::Certificate(of("a").unwrap());
        let judged = |certificates, confirmation, shown| {
            let requirement = Requirement {
                certificates,
                ..requirement()
            };
            let claims = Claims {
                confirmation,
                ..claims()
            };
            let now = Now::at_seconds(1_000);
            let verdict = requirement.judge(&claims, shown, ISSUER, Duration::ZERO, now);
            verdict.err()
        };
        let (off, on, all) = (
            CertificateBinding::Refused,
            CertificateBinding::Accepted,
            CertificateBinding::Required,
        );
        for (how, confirmation, shown, refusal) in [
            (off, bound, of("a"), Some(Refusal::SenderConstrained)),
            (on, bound, of("a"), None),
            (on, bound, of("b"), Some(Refusal::WrongCertificate)),
            (on, bound, None, Some(Refusal::WrongCertificate)),
            (on, Confirmation::Bearer, None, None),
            (on, Confirmation::Bearer, of("b"), None),
            (
                on,
                Confirmation::Other,
                of("a"),
                Some(Refusal::SenderConstrained),
            ),
            (all, bound, of("a"), None),
            (all, bound, None, Some(Refusal::WrongCertificate)),
            (all, Confirmation::Bearer, of("a"), Some(Refusal::NotBound)),
            (
                all,
                Confirmation::Other,
                of("a"),
                Some(Refusal::SenderConstrained),
            ),
        ] {
            assert_eq!(
                judged(how, confirmation, shown),
                refusal,
                "{how:?} {confirmation:?}"
            );
        }
    }

    /// MCP-SCOPE-c, RFC7662-2.2-scope.
    #[test]
    fn scopes_are_whole_words_and_may_be_implied() {
        assert_eq!(refused(|c| c.scope = "x  mcp:admin".into()), None);
        for scope in ["", "mcp:READ", "mcp:rea", "mcp:read:x"] {
            assert_eq!(
                refused(|c| c.scope = scope.into()),
                Some(Refusal::InsufficientScope),
                "{scope}"
            );
        }
    }

    /// MCP-SCOPE-f: a foreign token does not learn which scopes are needed.
    #[test]
    fn scopes_are_judged_last() {
        let foreign = refused(|c| {
            c.audience = None;
            c.scope = "".into();
        });
        assert_eq!(foreign, Some(Refusal::WrongAudience));
    }

    /// INTEROP-slash, MCP-CANON-a.
    #[test]
    fn the_normal_form_lowers_scheme_and_host_only() {
        for (audience, normal) in [
            ("HTTPS://GW.example.com/MCP", "https://gw.example.com/MCP"),
            ("https://gw.example.com", "https://gw.example.com/"),
            ("https://gw.example.com?X=1", "https://gw.example.com/?X=1"),
            ("https://gw.example.com/mcp/", "https://gw.example.com/mcp/"),
            ("api-Audience", "api-Audience"),
            ("", ""),
        ] {
            assert_eq!(normal_form(audience), normal);
        }
    }
}
