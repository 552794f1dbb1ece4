//! Requests whose body says what they call, for servers with rules.
//!
//! A request is held back until token and body are both known, in whichever
//! order they come. [`super::heads`] has what becomes of its head meanwhile.

use std::rc::Rc;

use super::heads::Bodies;
use super::{ALLOWED, Audit, Guard, Refused, Step};
use crate::access::{Refusal, Verified};
use crate::audit::Record;
use crate::cache::Known;
use crate::call::{Call, Id};
use crate::config::Server;
use crate::denial::Denial;
use crate::head::Head;
use crate::introspection::Claims;
use crate::json::quote;
use crate::leak::Search;
use crate::passage::{Forward, Plan};
use crate::reply::LocalReply;
use crate::stream::{Stream, StreamId};
use crate::tally::Count;
use crate::time::Now;

/// Milliseconds within which a body comes that was there before its head went.
const AT_ONCE: u64 = 2;

/// What to do with the body of a request, and with the request.
#[derive(Debug)]
#[must_use]
pub enum BodyStep {
    /// It may go on.
    Continue,
    /// Change the head so, and let both go on.
    Forward(Forward, Audit),
    /// It may go on; the head has gone already.
    Pass(Audit),
    /// Answer the request so, which ends it at the upstream.
    Reply(LocalReply, Audit),
    /// The answer has begun: end the request.
    Reset(Audit),
    /// Hold it back.
    Wait,
}

/// Begins to read the body, at a server with rules; with `ends` there is none.
pub(super) fn begin(
    server: &Server,
    head: &Head<'_>,
    ends: bool,
    most: usize,
) -> Result<Option<Box<Call>>, Denial> {
    let Some(rules) = &server.rules else {
        return Ok(None);
    };
    let mut call = Call::begin(head)?;
    if ends {
        call.feed(rules, most, b"", true);
    }
    Ok(Some(Box::new(call)))
}

/// Whether the rules let a call pass with this verdict on its token. Scopes
/// come last, so that the refusal can name all that are needed.
pub(super) fn permit(
    server: &Server,
    call: Option<&Call>,
    claims: &Claims,
    judged: Result<Verified, Refusal>,
) -> Result<Verified, Denial> {
    let judged = judged.map_err(Denial::Refused);
    let Some(rules) = &server.rules else {
        return judged;
    };
    let verified = match judged {
        Err(denial) if denial != Denial::Refused(Refusal::InsufficientScope) => return Err(denial),
        judged => judged,
    };
    let applying = call.ok_or(Denial::Internal)?.rules()?;
    verified.and_then(|verified| {
        rules
            .grants(applying, claims)
            .then_some(verified)
            .ok_or(Denial::Refused(Refusal::InsufficientScope))
    })
}

/// Puts into a refusal what the call says of it.
pub(super) fn tell(reply: &mut LocalReply, denial: Denial, call: &Call, server: &Server) {
    if denial == Denial::HeaderMismatch {
        reply.body = mismatch(call.id(), denial.description());
    }
    let is_scope = denial == Denial::Refused(Refusal::InsufficientScope);
    if let (true, Some(rules), Ok(applying)) = (is_scope, &server.rules, call.rules()) {
        let needed = rules.needed(&server.requirement.scopes, applying);
        let challenge = server.challenges.insufficient_scope(&needed);
        for (name, value) in &mut reply.headers {
            if *name == "www-authenticate" {
                value.clone_from(&challenge);
            }
        }
    }
}

/// The error of JSON-RPC that says so (SEP-2243).
fn mismatch(id: &Id, message: &str) -> String {
    let mut json = r#"{"jsonrpc":"2.0","#.to_owned();
    match id {
        Id::Absent | Id::Other => {}
        Id::Number(number) => {
            json.push_str(r#""id":"#);
            json.push_str(number);
            json.push(',');
        }
        Id::Text(text) => {
            json.push_str(r#""id":"#);
            quote(&mut json, text);
            json.push(',');
        }
    }
    json.push_str(r#""error":{"code":-32020,"message":"#);
    quote(&mut json, message);
    json.push_str("}}");
    json
}

impl Plan {
    /// Takes on what the body says.
    pub(super) fn describe(&mut self) {
        if let Some(call) = &mut self.call {
            call.describe(&mut self.context, &Search::new(self.token.expose()));
            self.kind = call.kind().unwrap_or(self.kind);
        }
    }
}

impl Guard {
    /// How much of the body of this request has been read; none where it is not
    /// to be read.
    #[must_use]
    pub fn reads(&self, id: StreamId) -> Option<usize> {
        if !self.has_rules {
            return None;
        }
        let call = match self.streams.get(&id)? {
            Stream::Waiting(plan) => plan.call.as_deref(),
            Stream::Fetching(fetching) => fetching.call(),
            Stream::Open(open) => open.call.as_deref(),
            Stream::Ignored => None,
        };
        call.filter(|call| !call.is_done()).map(Call::read)
    }

    /// More of the body has come, and with `end` its end.
    pub fn read(&mut self, id: StreamId, bytes: &[u8], end: bool, now: Now) -> BodyStep {
        let config = Rc::clone(&self.config);
        let feed = |server, call: &mut Call| {
            let rules = config.servers.server(server);
            if let Some(rules) = rules.and_then(|server| server.rules.as_ref()) {
                call.feed(rules, config.limits.body, bytes, end);
            }
            call.is_done()
        };
        match self.streams.get_mut(&id) {
            Some(Stream::Ignored) => BodyStep::Continue,
            None => BodyStep::Wait,
            Some(Stream::Waiting(plan)) => {
                let Some(call) = &mut plan.call else {
                    return BodyStep::Wait;
                };
                self.bodies = Bodies::WithHead;
                if feed(plan.server, call) && call.held.is_some() {
                    self.both_known(id, end, now)
                } else {
                    BodyStep::Wait
                }
            }
            Some(Stream::Fetching(fetching)) => {
                let server = fetching.server();
                if let Some(call) = fetching.call_mut() {
                    self.bodies = Bodies::WithHead;
                    feed(server, call);
                }
                BodyStep::Wait
            }
            Some(Stream::Open(open)) => {
                let Some(call) = &mut open.call else {
                    return BodyStep::Continue;
                };
                let gone = call.held.as_ref().map_or(0, |held| held.since);
                let at_once = now.steady_ms.saturating_sub(gone) <= AT_ONCE;
                if self.bodies == Bodies::Unknown && at_once && !bytes.is_empty() {
                    self.bodies = Bodies::AfterHead;
                }
                if feed(open.server, call) {
                    self.conclude(id, end, now)
                } else {
                    BodyStep::Wait
                }
            }
        }
    }

    /// The token is good and the body is whole: the verdict on both.
    fn both_known(&mut self, id: StreamId, end: bool, now: Now) -> BodyStep {
        let step = match self.unhold(id) {
            Some((plan, held)) => self.renew(id, held.verdict, *plan, now),
            None => Err(Box::new(Refused::unknown(Denial::Internal))),
        };
        match step {
            Ok(Step::Forward(forward, audit)) => {
                let _ = self.body(id, end);
                BodyStep::Forward(forward, audit)
            }
            // For the credential of its server, or for another answer.
            Ok(Step::Wait) => BodyStep::Wait,
            Ok(Step::Ask(_) | Step::Ignore | Step::Reply(..)) => {
                let (reply, audit) = self.internal_error();
                BodyStep::Reply(reply, audit)
            }
            Err(refused) => {
                let (reply, audit) = self.refuse(&refused);
                BodyStep::Reply(reply, audit)
            }
        }
    }

    /// The body of a request is whole whose head has gone on.
    fn conclude(&mut self, id: StreamId, end: bool, now: Now) -> BodyStep {
        let config = Rc::clone(&self.config);
        let Some(Stream::Open(mut open)) = self.streams.remove(&id) else {
            let (reply, audit) = self.internal_error();
            return BodyStep::Reply(reply, audit);
        };
        let mut call = open.call.take();
        if let (Some(call), Some(token)) = (&mut call, &open.token) {
            call.describe(&mut open.context, &Search::new(token.expose()));
        }
        let held = call.as_mut().and_then(|call| call.held.take());
        let known = held.zip(config.servers.server(open.server));
        let judged = known.as_ref().ok_or(Denial::Internal);
        let judged = judged.and_then(|(held, server)| {
            let claims = &held.verdict.claims;
            let caller = open.caller.as_ref().ok_or(Denial::Internal)?;
            // Its head has gone; but of a token that is known to be bad, no more.
            if matches!(self.cache.find(&caller.digest, now), Known::Inactive) {
                return Err(Denial::Inactive);
            }
            let judged = self.judge(server, &caller.digest, held.certificate, claims, now)?;
            permit(server, call.as_deref(), claims, judged).map(|_| server)
        });
        let denial = match judged {
            Ok(server) => {
                let verdict = known.as_ref().map(|(held, _)| &held.verdict);
                let audit = self.audit(Record {
                    server: Some(&server.name),
                    outcome: ALLOWED,
                    status: None,
                    claims: verdict.map(|verdict| &*verdict.claims),
                    digest: open.caller.as_ref().map(|caller| &caller.digest),
                    context: &open.context,
                    source: verdict.map(|verdict| verdict.source),
                    introspection_ms: verdict.and_then(|verdict| verdict.introspection_ms),
                });
                self.tally.count(Count::Request(Some(open.server), ALLOWED));
                self.streams.insert(id, Stream::Open(open));
                let _ = self.body(id, end);
                return BodyStep::Pass(audit);
            }
            Err(denial) => denial,
        };
        open.call = call;
        let responding = open.responding;
        let mut refused = Refused::late(denial, *open);
        if let Some((held, _)) = known {
            refused.source = Some(held.verdict.source);
            refused.introspection_ms = held.verdict.introspection_ms;
        }
        let (reply, audit) = self.refuse(&refused);
        if responding {
            BodyStep::Reset(audit)
        } else {
            BodyStep::Reply(reply, audit)
        }
    }
}
