//! The role of an injector: the other half of a verifier's work.

use std::rc::Rc;

use super::{Guard, Refused, Step};
use crate::access::Verified;
use crate::audit::{Context, Record};
use crate::config::Unlisted;
use crate::denial::Denial;
use crate::fields::Field;
use crate::head::Head;
use crate::passage::Forward;
use crate::stream::{Open, Stream, StreamId};
use crate::tally::Count;

/// The word for a try that got its credential: `allowed` is the verifier's, and
/// counts each request once.
const INJECTED: &str = "injected";

impl Guard {
    /// At an injector: what a verifier has marked for this cluster's server
    /// goes on with its credential, anything else does not.
    pub fn inject(
        &mut self,
        id: StreamId,
        fields: &[Field],
        cluster: Option<&str>,
        mark: Option<&[u8]>,
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
        };
        let audit = self.audit(Record {
            server: Some(&server.name),
            outcome: INJECTED,
            status: None,
            claims: None,
            digest: None,
            context: &open.context,
            source: None,
            introspection_ms: None,
        });
        self.streams.insert(id, Stream::Open(Box::new(open)));
        self.tally.count(Count::Request(Some(server_id), INJECTED));
        Step::Forward(forward, audit)
    }
}
