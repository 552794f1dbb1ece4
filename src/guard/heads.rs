//! The heads of requests whose body is still to come, at servers with rules.
//!
//! Envoy hands over the body of a request that is held back with
//! `allow_on_headers_stop_iteration` only, and nobody tells a filter whether
//! that is set. Without it the head has to go on first, once the token is found
//! good, and the body is held back alone. Which it is shows: by a body that
//! comes while its head is held back, or by one that was there before its head
//! went on, and comes at that very moment. Until it has shown, a head is held
//! back for [`PATIENCE`] before it goes on alone.

use core::ops::ControlFlow;
use std::rc::Rc;

use super::fetch::Judged;
use super::settle::Ready;
use super::{ALLOWED, Guard, Refused, Step, Verdict};
use crate::access::{Refusal, Verified};
use crate::audit::{Context, Record};
use crate::certificate::Thumbprint;
use crate::denial::Denial;
use crate::passage::Plan;
use crate::stream::{Open, Stream, StreamId};
use crate::time::Now;

/// Milliseconds that a head is held back before it is tried whether the body
/// comes behind it.
const PATIENCE: u64 = 250;

/// When Envoy hands over the body of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bodies {
    /// Nobody knows yet.
    #[default]
    Unknown,
    /// While the head is held back.
    WithHead,
    /// When the head has gone on.
    AfterHead,
}

/// The token of a request whose body is still to come.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) verdict: Verdict,
    /// On the steady clock.
    pub(super) since: u64,
    /// The certificate of the client, where it counts.
    pub(super) certificate: Option<Thumbprint>,
}

impl Plan {
    fn held(&self) -> Option<&Held> {
        self.call.as_ref()?.held.as_ref()
    }
}

impl Guard {
    /// The token is found active, and the body is still to come.
    pub(super) fn hold_for_body(
        &mut self,
        id: StreamId,
        verdict: Verdict,
        mut plan: Plan,
        now: Now,
    ) -> Result<Step, Box<Refused>> {
        let config = Rc::clone(&self.config);
        let Some(server) = config.servers.server(plan.server) else {
            return Err(Box::new(Refused::judged(Denial::Internal, plan, &verdict)));
        };
        let goes_first = match self.bodies {
            Bodies::AfterHead => true,
            Bodies::Unknown => plan.call.as_ref().is_some_and(|call| call.in_vain),
            Bodies::WithHead => false,
        };
        let claims = &verdict.claims;
        let denial = match self.judge(server, &plan.digest, plan.certificate, claims, now) {
            Ok(Ok(verified)) if goes_first => {
                return self.release(id, plan, verdict, verified, now);
            }
            // Which scopes are needed is for the body to say.
            Ok(Err(Refusal::InsufficientScope)) if !goes_first => None,
            Ok(Ok(_)) => None,
            Ok(Err(refusal)) => Some(Denial::Refused(refusal)),
            Err(denial) => Some(denial),
        };
        let full = (self.held >= config.limits.waiting).then_some(Denial::Overloaded);
        if let Some(denial) = denial.or(full) {
            return Err(Box::new(Refused::judged(denial, plan, &verdict)));
        }
        if let Some(call) = &mut plan.call {
            call.held = Some(Held {
                verdict,
                since: now.steady_ms,
                certificate: plan.certificate,
            });
            self.held = self.held.saturating_add(1);
        }
        self.streams.insert(id, Stream::Waiting(Box::new(plan)));
        Ok(Step::Wait)
    }

    /// Lets the head go on before the body.
    fn release(
        &mut self,
        id: StreamId,
        mut plan: Plan,
        verdict: Verdict,
        verified: Verified,
        now: Now,
    ) -> Result<Step, Box<Refused>> {
        let config = Rc::clone(&self.config);
        let claims = Rc::clone(&verdict.claims);
        let server = config.servers.server(plan.server).ok_or(Denial::Internal);
        let found = server.and_then(|server| {
            if let Some(key) = self.lacks_credential(id, server, &mut plan, &claims, now)? {
                return Ok(ControlFlow::Break(key));
            }
            let forward = plan.forward(verified, &config, &self.sessions, &claims)?;
            Ok(ControlFlow::Continue(forward))
        });
        let forward = match found {
            Ok(ControlFlow::Continue(forward)) => forward,
            Ok(ControlFlow::Break(key)) => {
                return Ok(self.hold_for_credential(id, key, Judged::Here(plan, verdict)));
            }
            Err(denial) => return Err(Box::new(Refused::judged(denial, plan, &verdict))),
        };
        // What the headers say of the call is nothing to record.
        plan.context = Context {
            request_id: plan.context.request_id.take(),
            ..Context::default()
        };
        let server = config.servers.server(plan.server);
        let mut audit = self.audit(Record {
            server: server.map(|server| server.name.as_str()),
            outcome: ALLOWED,
            status: None,
            claims: Some(&claims),
            digest: Some(&plan.digest),
            context: &plan.context,
            source: Some(verdict.source),
            introspection_ms: verdict.introspection_ms,
        });
        // It is decided when the body has come, and counted then.
        audit.log = None;
        if let Some(call) = &mut plan.call {
            call.held = Some(Held {
                verdict,
                since: now.steady_ms,
                certificate: plan.certificate,
            });
        }
        let open = Open::new(plan, claims, &config.cache, now);
        self.streams.insert(id, Stream::Open(Box::new(open)));
        Ok(Step::Forward(forward, audit))
    }

    /// Lets the head of a request go on that was held back in vain, by what is
    /// known of its token now; none where its body is to be had with the head, or
    /// has come.
    pub(super) fn let_go(&mut self, id: StreamId, now: Now) -> Option<Step> {
        if self.bodies == Bodies::WithHead || !self.is_held(id) {
            return None;
        }
        let (mut plan, held) = self.unhold(id)?;
        if let Some(call) = &mut plan.call {
            call.in_vain = true;
        }
        let step = self.renew(id, held.verdict, *plan, now);
        Some(step.unwrap_or_else(|refused| self.deny(&refused)))
    }

    /// No longer held back; none where it was not, or its body has begun.
    pub(super) fn unhold(&mut self, id: StreamId) -> Option<(Box<Plan>, Held)> {
        let Some(Stream::Waiting(mut plan)) = self.streams.remove(&id) else {
            return None;
        };
        let held = plan.call.as_mut()?.held.take()?;
        self.held = self.held.saturating_sub(1);
        Some((plan, held))
    }

    /// Whether this request is held back until its body comes.
    fn is_held(&self, id: StreamId) -> bool {
        matches!(self.streams.get(&id), Some(Stream::Waiting(plan)) if plan.held().is_some())
    }

    /// A request has ended that waited.
    pub(super) fn left(&mut self, plan: &Plan) {
        if plan.held().is_some() {
            self.held = self.held.saturating_sub(1);
        }
    }

    /// Finds the heads that are held back in vain, it seems; or surely, where
    /// another has shown it since.
    pub(super) fn lose_patience(&mut self, now: Now) {
        let due = match self.bodies {
            Bodies::Unknown => now.steady_ms.saturating_sub(PATIENCE),
            Bodies::AfterHead => now.steady_ms,
            Bodies::WithHead => return,
        };
        if self.held == 0 {
            return;
        }
        for (id, stream) in &mut self.streams {
            let Stream::Waiting(plan) = stream else {
                continue;
            };
            let held = plan.call.as_mut().and_then(|call| call.held.as_mut());
            if let Some(held) = held
                && held.since <= due
            {
                // Once.
                held.since = u64::MAX;
                self.ready.push_back(Ready::Head(*id));
            }
        }
    }
}
