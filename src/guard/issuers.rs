//! What a worker has for each authorization server.

use std::rc::Rc;

use super::{Guard, Step};
use crate::audit::Source;
use crate::client_auth::Authenticator;
use crate::config::{AuthorizationServer, Config, Server};
use crate::denial::Denial;
use crate::digest::{Digester, TokenDigest};
use crate::fields::Field;
use crate::flight::{Bounds, Waiter};
use crate::introspection::{Claims, Trace};
use crate::issuers::IssuerId;
use crate::passage::Plan;
use crate::stream::{Stream, StreamId};
use crate::tally::Count;
use crate::time::Now;

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

    /// The call about a token of which nothing is known, for a request that
    /// waits for it.
    pub(super) fn ask_for(
        &mut self,
        id: StreamId,
        plan: Plan,
        fields: &[Field],
        stale: Option<Rc<Claims>>,
        now: Now,
    ) -> Option<Step> {
        self.tally.count(Count::Cache(Source::Miss.word()));
        let digest = plan.digest;
        // A token that stands in other places may stand in these as well.
        let trace = match plan.leak {
            None => Trace::of(fields),
            Some(_) => Trace::default(),
        };
        let (secret, who) = (plan.token.clone(), Waiter::Request(id));
        self.flights.begin(digest, secret, trace, stale, who, now);
        self.streams.insert(id, Stream::Waiting(Box::new(plan)));
        self.ask(digest, now).map(Step::Ask)
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
