//! What a worker has for each authorization server.

use std::rc::Rc;

use super::Guard;
use crate::client_auth::Authenticator;
use crate::config::{AuthorizationServer, Config, Server};
use crate::denial::Denial;
use crate::digest::{Digester, TokenDigest};
use crate::flight::Bounds;
use crate::issuers::IssuerId;

/// One authorization server, as a worker knows it.
#[derive(Debug)]
pub(super) struct Issuer {
    digester: Digester,
    /// What says there who we are.
    pub(super) authenticator: Authenticator,
    /// Digests of our own credentials.
    own: Vec<TokenDigest>,
}

impl Issuer {
    /// What would stand for this token, were it asked about here.
    pub(super) fn digest(&self, token: &[u8]) -> TokenDigest {
        self.digester.of(token)
    }
}

/// All of them.
pub(super) fn all(config: &Config) -> Vec<Issuer> {
    let servers = &config.authorization_servers;
    let known = servers.ids().zip(servers.iter());
    known
        .map(|(id, server)| issuer(config, id, server))
        .collect()
}

fn issuer(config: &Config, id: IssuerId, server: &AuthorizationServer) -> Issuer {
    let endpoint = &server.introspection;
    // By endpoint and client: answers of one are none of another's.
    let digester = Digester::new(&endpoint.url, &endpoint.auth.client_id).of_issuer(id);
    let credentials = config.servers.iter().flat_map(|server| &server.credentials);
    Issuer {
        own: credentials
            .map(|credential| digester.of(credential.expose()))
            .collect(),
        authenticator: Authenticator::new(&endpoint.auth),
        digester,
    }
}

impl Guard {
    /// What stands for this token at this server, and with it whom to ask. If
    /// nobody is to be asked, what stands for it in the record.
    pub(super) fn digest(
        &self,
        server: &Server,
        token: &[u8],
    ) -> Result<TokenDigest, (Denial, Option<TokenDigest>)> {
        let ids = &server.authorization_servers;
        let chosen = self.config.authorization_servers.choose(ids, token);
        let id = chosen.ok().or_else(|| ids.first().copied());
        let issuer = id.and_then(|id| self.issuers.get(id.place()));
        let issuer = issuer.ok_or((Denial::Internal, None))?;
        let digest = issuer.digester.of(token);
        match chosen {
            Ok(_) => Ok(digest),
            Err(_) if issuer.own.contains(&digest) => Err((Denial::OwnCredential, Some(digest))),
            Err(_) => Err((Denial::UnknownIssuer, Some(digest))),
        }
    }

    /// Whether it is that of one of our own credentials.
    pub(super) fn is_own(&self, digest: &TokenDigest) -> bool {
        self.issuers
            .get(digest.issuer().place())
            .is_some_and(|issuer| issuer.own.contains(digest))
    }

    /// What of this worker's bounds is left to questions about tokens.
    pub(super) fn bounds(&self) -> Bounds {
        let limits = &self.config.limits;
        Bounds {
            in_flight: limits.in_flight.saturating_sub(self.fetches.in_flight()),
            waiting: limits.waiting.saturating_sub(self.fetches.waiting()),
            issuers: self.issuers.len(),
        }
    }

    /// The authorization server of this digest, by its name, where there are
    /// several.
    pub(super) fn asked_of(config: &Rc<Config>, digest: Option<&TokenDigest>) -> Option<String> {
        let several = config.authorization_servers.count() > 1;
        let asked = digest.filter(|_| several);
        let server = asked.and_then(|digest| config.authorization_servers.of(digest));
        server.and_then(|server| server.name.clone())
    }
}
