//! Requests that have waited for something else than the answer about their
//! token: for their body, or for the credential of their server.
//!
//! A client can take its time over a body. The answer must not be older for that
//! than it may be for any other request, or a token that is revoked meanwhile
//! would let in one that was begun in time. (Where the head has gone already, its
//! body is held back only if the token is known by then to be bad.)

use super::{Guard, Refused, Step, Verdict};
use crate::audit::Source;
use crate::cache::Known;
use crate::denial::Denial;
use crate::flight::Waiter;
use crate::introspection::Trace;
use crate::passage::Plan;
use crate::stream::{Stream, StreamId};
use crate::tally::Count;
use crate::time::Now;

/// Milliseconds for which an answer is good for the request that it was asked
/// for, where none is kept.
const OWN_ANSWER_MS: u64 = 1_000;

impl Guard {
    /// The verdict on a request that has waited, by what is known of its token
    /// now; with nothing that may still be used it is asked about once more.
    pub(super) fn renew(
        &mut self,
        id: StreamId,
        verdict: Verdict,
        plan: Plan,
        now: Now,
    ) -> Result<Step, Box<Refused>> {
        let stale = match self.cache.find(&plan.digest, now) {
            Known::Active(claims) => {
                let verdict = Verdict { claims, ..verdict };
                return self.admit(id, verdict, || plan, now);
            }
            Known::Inactive => {
                return Err(Box::new(Refused::judged(Denial::Inactive, plan, &verdict)));
            }
            Known::Unknown(stale) => stale,
        };
        let age = now.steady_ms.saturating_sub(verdict.at);
        // One from the cache was good until it was let go there.
        if verdict.source != Source::Hit && age <= OWN_ANSWER_MS {
            return self.admit(id, verdict, || plan, now);
        }
        let (digest, bounds) = (plan.digest, self.bounds());
        let may_wait = self.flights.may_wait(digest.issuer(), bounds);
        if may_wait && self.flights.join(&digest, id) {
            self.tally.count(Count::Cache(Source::Wait.word()));
        } else if may_wait && self.flights.may_ask(digest.issuer(), bounds, now) {
            self.tally.count(Count::Cache(Source::Miss.word()));
            let (token, who) = (plan.token.clone(), Waiter::Late(id));
            self.flights
                .begin(digest, token, Trace::default(), stale, who, now);
        } else {
            return Err(Box::new(Refused::judged(
                Denial::Overloaded,
                plan,
                &verdict,
            )));
        }
        self.streams.insert(id, Stream::Waiting(Box::new(plan)));
        Ok(Step::Wait)
    }
}
