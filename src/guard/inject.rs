//! The role of an injector: the other half of a verifier's work.

use std::rc::Rc;

use super::fetch::Judged;
use super::{Guard, MAX_STREAMS, Refused, Step};
use crate::access::Verified;
use crate::audit::{Context, Record};
use crate::config::Unlisted;
use crate::credential::Key;
use crate::denial::Denial;
use crate::fields::Field;
use crate::head::Head;
use crate::passage::Forward;
use crate::stream::{Open, Stream, StreamId};
use crate::tally::Count;
use crate::time::Now;

/// The word for a try that got its credential: `allowed` is the verifier's, and
/// counts each request once.
const INJECTED: &str = "injected";

impl Guard {
    /// At an injector: what a verifier has marked for this cluster's server
    /// goes on with its credential, anything else does not. The time has to be
    /// told where a credential is fetched.
    pub fn inject(
        &mut self,
        id: StreamId,
        fields: &[Field],
        cluster: Option<&str>,
        mark: Option<&[u8]>,
        now: Option<Now>,
    ) -> Step {
        let head = Head::read(fields);
        let config = Rc::clone(&self.config);
        let listed = cluster.is_some_and(|name| config.servers.lists(name));
        if !listed && config.unlisted_clusters == Unlisted::Ignore {
            return self.ignore(id);
        }
        let found = cluster.filter(|_| listed).ok_or(Denial::UnlistedCluster);
        let verified = found.and_then(|cluster| Verified::by_mark(&config.servers, cluster, mark));
        let (server_id, verified) = match verified {
            Ok(found) => found,
            Err(denial) => return self.deny(&Refused::early(denial, None, None, &head)),
        };
        let Some(server) = config.servers.server(server_id) else {
            return self.deny(&Refused::early(Denial::Internal, None, None, &head));
        };
        let forward = Forward::marked(verified, &config, (server_id, server), fields);
        let open = Open {
            server: server_id,
            caller: None,
            origin: None,
            token: None,
            until: None,
            recheck_at: None,
            responding: false,
            context: Context::of_stranger(&head),
            call: None,
            credential: None,
        };
        if server.credential.is_none() {
            return self.injected(id, forward, open);
        }
        let key = Key::of_server(server_id);
        let credential = match now {
            Some(now) if self.streams.len() < MAX_STREAMS => self.credential(id, key, None, now),
            Some(_) => Err(Denial::Overloaded),
            None => Err(Denial::Internal),
        };
        match credential {
            Ok(Some(one)) => self.injected(id, forward.with(Rc::clone(&one)), open.with(one)),
            Ok(None) => self.hold_for_credential(id, key, Judged::Before(forward, open)),
            Err(denial) => self.deny(&Refused::late(denial, open)),
        }
    }

    /// It has its credential, and goes on.
    pub(super) fn injected(&mut self, id: StreamId, forward: Forward, open: Open) -> Step {
        let config = Rc::clone(&self.config);
        let server = config.servers.server(open.server);
        let audit = self.audit(Record {
            server: server.map(|server| server.name.as_str()),
            outcome: INJECTED,
            status: None,
            claims: None,
            digest: None,
            context: &open.context,
            source: None,
            introspection_ms: None,
        });
        let count = Count::Request(Some(open.server), INJECTED);
        self.streams.insert(id, Stream::Open(Box::new(open)));
        self.tally.count(count);
        Step::Forward(forward, audit)
    }
}
