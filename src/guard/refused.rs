//! A refusal, with what its audit record says.

use std::rc::Rc;

use super::Verdict;
use crate::audit::{Context, Source};
use crate::call::Call;
use crate::denial::Denial;
use crate::digest::TokenDigest;
use crate::head::Head;
use crate::introspection::Claims;
use crate::passage::Plan;
use crate::servers::ServerId;
use crate::stream::Open;

/// A request that is refused, with what its record says.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) denial: Denial,
    pub(super) server: Option<ServerId>,
    pub(super) origin: Option<String>,
    pub(super) claims: Option<Rc<Claims>>,
    pub(super) digest: Option<TokenDigest>,
    pub(super) context: Context,
    pub(super) call: Option<Box<Call>>,
    pub(super) source: Option<Source>,
    pub(super) introspection_ms: Option<u64>,
}

impl Refused {
    /// Before anything is known of the token.
    pub(super) fn early(
        denial: Denial,
        server: Option<ServerId>,
        origin: Option<&str>,
        head: &Head<'_>,
    ) -> Self {
        Self {
            denial,
            server,
            origin: origin.map(str::to_owned),
            claims: None,
            digest: None,
            context: Context::of_stranger(head),
            call: None,
            source: None,
            introspection_ms: None,
        }
    }

    /// With what stands for the token.
    pub(super) fn with(mut self, digest: Option<TokenDigest>) -> Self {
        self.digest = digest;
        self
    }

    /// With what is known of the token.
    pub(super) fn known(mut self, digest: TokenDigest, source: Source) -> Self {
        self.digest = Some(digest);
        if self.denial == Denial::Inactive {
            self.source = Some(source);
        }
        self
    }

    /// After the verdict on an active token.
    pub(super) fn judged(denial: Denial, plan: Plan, verdict: &Verdict) -> Self {
        Self {
            denial,
            server: Some(plan.server),
            origin: plan.origin,
            claims: Some(Rc::clone(&verdict.claims)),
            digest: Some(plan.digest),
            context: plan.context,
            call: plan.call,
            source: Some(verdict.source),
            introspection_ms: verdict.introspection_ms,
        }
    }

    /// After it was let through.
    pub(super) fn late(denial: Denial, open: Open) -> Self {
        let (claims, digest) = open
            .caller
            .map(|caller| (caller.claims, caller.digest))
            .unzip();
        Self {
            denial,
            server: Some(open.server),
            origin: open.origin,
            claims,
            digest,
            context: open.context,
            call: open.call,
            source: None::<Source>,
            introspection_ms: None,
        }
    }

    /// Of a request of which nothing is known.
    pub(super) fn unknown(denial: Denial) -> Self {
        Self {
            denial,
            server: None,
            origin: None,
            claims: None,
            digest: None,
            context: Context::default(),
            call: None,
            source: None,
            introspection_ms: None,
        }
    }
}
