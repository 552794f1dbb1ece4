//! Answers that are used again: claims by token digest, never verdicts.
//!
//! Active and inactive answers are held apart, so that a flood of bad tokens
//! pushes out nothing that is good (RFC 7662 section 4, `standards.md` E).

mod shelf;

use std::rc::Rc;

use crate::config::{CachePolicy, Limits};
use crate::digest::TokenDigest;
use crate::introspection::Claims;
use crate::time::Now;

pub(crate) use shelf::{Entry, Freshness, Kept, Shelf};

/// The answers of one generation of the configuration.
#[derive(Debug)]
pub(crate) struct Cache {
    active: Shelf<TokenDigest, Rc<Claims>>,
    inactive: Shelf<TokenDigest, ()>,
    ttl_ms: u64,
    negative_ttl_ms: u64,
    stale_ms: u64,
}

/// What is known of a token.
#[derive(Debug)]
pub(crate) enum Known {
    /// An active answer that may be used.
    Active(Rc<Claims>),
    /// An inactive one.
    Inactive,
    /// Nothing that may be used, and perhaps an active answer that may stand
    /// in while the authorization server is down.
    Unknown(Option<Rc<Claims>>),
}

impl Cache {
    /// An empty one with these bounds.
    pub(crate) fn new(policy: &CachePolicy, limits: &Limits) -> Self {
        Self {
            active: Shelf::new(policy.max_entries, limits.cache_bytes),
            inactive: Shelf::new(policy.max_entries, usize::MAX),
            ttl_ms: whole_ms(policy.ttl),
            negative_ttl_ms: whole_ms(policy.negative_ttl),
            stale_ms: whole_ms(policy.stale_if_error),
        }
    }

    /// What is known of this token now.
    pub(crate) fn find(&mut self, digest: &TokenDigest, now: Now) -> Known {
        match self.active.find(digest, now.steady_ms) {
            Some((Freshness::Fresh, claims)) => return Known::Active(Rc::clone(claims)),
            Some((Freshness::Stale, claims)) => {
                // RFC 7662 section 4: never past `exp`, down or not.
                let live = claims.expires.is_none_or(|exp| now.unix_seconds() < exp);
                return Known::Unknown(live.then(|| Rc::clone(claims)));
            }
            None => {}
        }
        match self.inactive.find(digest, now.steady_ms) {
            Some((Freshness::Fresh, ())) => Known::Inactive,
            Some((Freshness::Stale, ())) | None => Known::Unknown(None),
        }
    }

    /// Keeps an active answer for `ttl`, but not past `exp`.
    pub(crate) fn keep_active(
        &mut self,
        digest: TokenDigest,
        claims: &Rc<Claims>,
        now: Now,
    ) -> Kept {
        self.inactive.remove(&digest);
        let left_ms = claims
            .expires
            .map_or(u64::MAX, |exp| ms_until(exp, now.unix_seconds()));
        let fresh_ms = self.ttl_ms.min(left_ms);
        let kept_ms = self.ttl_ms.saturating_add(self.stale_ms).min(left_ms);
        if kept_ms == 0 || self.ttl_ms == 0 {
            self.active.remove(&digest);
            return Kept::default();
        }
        let entry = Entry {
            key: digest,
            value: Rc::clone(claims),
            fresh_until: now.steady_ms.saturating_add(fresh_ms),
            kept_until: now.steady_ms.saturating_add(kept_ms),
            weight: claims.weight(),
            used: false,
        };
        self.active.put(entry, now.steady_ms)
    }

    /// Keeps an inactive answer for `negative_ttl`.
    pub(crate) fn keep_inactive(&mut self, digest: TokenDigest, now: Now) -> Kept {
        self.active.remove(&digest);
        if self.negative_ttl_ms == 0 {
            self.inactive.remove(&digest);
            return Kept::default();
        }
        let until = now.steady_ms.saturating_add(self.negative_ttl_ms);
        let entry = Entry {
            key: digest,
            value: (),
            fresh_until: until,
            kept_until: until,
            weight: 0,
            used: false,
        };
        self.inactive.put(entry, now.steady_ms)
    }
}

fn whole_ms(duration: core::time::Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Whole milliseconds from `now` to `exp`, both in seconds since 1970.
pub(crate) fn ms_until(exp: f64, now: f64) -> u64 {
    core::time::Duration::try_from_secs_f64((exp - now).clamp(0.0, 1e12)).map_or(0, whole_ms)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::digest::Digester;

    fn policy(max_entries: usize) -> CachePolicy {
        CachePolicy {
            ttl: Duration::from_secs(30),
            negative_ttl: Duration::from_secs(5),
            max_entries,
            stale_if_error: Duration::ZERO,
            recheck_streams: Duration::ZERO,
            call_grace: Duration::ZERO,
        }
    }

    fn limits(cache_bytes: usize) -> Limits {
        Limits {
            in_flight: 1,
            waiting: 1,
            cache_bytes,
            answer: 1,
            body: 1,
        }
    }

    fn cache(max_entries: usize) -> Cache {
        Cache::new(&policy(max_entries), &limits(1 << 20))
    }

    fn digest(number: usize) -> TokenDigest {
        Digester::new("", "").of(number.to_string().as_bytes())
    }

    fn claims(expires: Option<f64>) -> Rc<Claims> {
        Rc::new(Claims {
            expires,
            ..Claims::default()
        })
    }

    fn is_active(cache: &mut Cache, number: usize, second: u64) -> bool {
        matches!(
            cache.find(&digest(number), Now::at_seconds(second)),
            Known::Active(_)
        )
    }

    #[test]
    fn an_active_answer_is_used_for_ttl() {
        let mut cache = cache(8);
        cache.keep_active(digest(1), &claims(None), Now::at_seconds(100));
        assert!(is_active(&mut cache, 1, 129));
        assert!(!is_active(&mut cache, 1, 130));
        assert!(!is_active(&mut cache, 2, 100));
    }

    /// RFC7662-4-cb.
    #[test]
    fn an_active_answer_is_not_used_past_exp() {
        let mut cache = cache(8);
        cache.keep_active(digest(1), &claims(Some(102.0)), Now::at_seconds(100));
        assert!(is_active(&mut cache, 1, 101));
        assert!(!is_active(&mut cache, 1, 102));
        for expires in [100.0, 50.0, -1.0, f64::MIN] {
            let kept = cache.keep_active(digest(2), &claims(Some(expires)), Now::at_seconds(100));
            assert!(!kept.inserted);
        }
        assert!(
            cache
                .keep_active(digest(3), &claims(Some(1e300)), Now::at_seconds(100))
                .inserted
        );
    }

    /// RFC7662-4-ca: a TTL of zero asks every time.
    #[test]
    fn nothing_is_kept_with_a_ttl_of_zero() {
        let mut policy = policy(8);
        policy.ttl = Duration::ZERO;
        policy.negative_ttl = Duration::ZERO;
        policy.stale_if_error = Duration::from_secs(60);
        let mut cache = Cache::new(&policy, &limits(1 << 20));
        let now = Now::at_seconds(100);
        assert!(!cache.keep_active(digest(1), &claims(None), now).inserted);
        assert!(!cache.keep_inactive(digest(2), now).inserted);
    }

    #[test]
    fn a_stale_answer_is_offered_apart_and_never_past_exp() {
        let mut policy = policy(8);
        policy.stale_if_error = Duration::from_secs(60);
        let mut cache = Cache::new(&policy, &limits(1 << 20));
        cache.keep_active(digest(1), &claims(None), Now::at_seconds(100));
        cache.keep_active(digest(2), &claims(Some(140.0)), Now::at_seconds(100));
        let mut stale = |number, second| {
            matches!(
                cache.find(&digest(number), Now::at_seconds(second)),
                Known::Unknown(Some(_))
            )
        };
        assert!(stale(1, 189) && !stale(1, 190) && !stale(1, 129));
        assert!(stale(2, 139) && !stale(2, 140));
    }

    /// CACHE-neg.
    #[test]
    fn an_inactive_answer_is_used_for_negative_ttl_and_replaces_an_active_one() {
        let mut cache = cache(8);
        cache.keep_active(digest(1), &claims(None), Now::at_seconds(100));
        cache.keep_inactive(digest(1), Now::at_seconds(101));
        let found = |cache: &mut Cache, second| cache.find(&digest(1), Now::at_seconds(second));
        assert!(matches!(found(&mut cache, 105), Known::Inactive));
        assert!(matches!(found(&mut cache, 106), Known::Unknown(None)));
        cache.keep_inactive(digest(1), Now::at_seconds(110));
        cache.keep_active(digest(1), &claims(None), Now::at_seconds(111));
        assert!(matches!(found(&mut cache, 112), Known::Active(_)));
    }

    /// CACHE-bound: a flood of bad tokens pushes out no good one.
    #[test]
    fn each_kind_is_bounded_by_itself() {
        let mut cache = cache(4);
        cache.keep_active(digest(0), &claims(None), Now::at_seconds(100));
        for number in 1..1_000 {
            let kept = cache.keep_inactive(digest(number), Now::at_seconds(100));
            assert_eq!(kept.evicted, usize::from(number > 4));
        }
        assert!(is_active(&mut cache, 0, 100));
        assert_eq!(cache.inactive.entries.len(), 4);
        assert_eq!(cache.inactive.places.len(), 4);
    }

    #[test]
    fn what_is_used_stays_longer() {
        let mut cache = cache(4);
        for number in 0..4 {
            cache.keep_active(digest(number), &claims(None), Now::at_seconds(100));
        }
        for number in 4..100 {
            assert!(is_active(&mut cache, 2, 100), "before {number}");
            cache.keep_active(digest(number), &claims(None), Now::at_seconds(100));
        }
        assert!(is_active(&mut cache, 2, 100));
        assert_eq!(cache.active.entries.len(), 4);
    }

    #[test]
    fn bytes_are_bounded_and_one_large_answer_is_not_kept() {
        let one = claims(None).weight();
        let mut cache = Cache::new(&policy(1_000), &limits(one * 3));
        for number in 0..10 {
            cache.keep_active(digest(number), &claims(None), Now::at_seconds(100));
            assert!(cache.active.weight <= one * 3);
        }
        assert_eq!(cache.active.entries.len(), 3);
        let large = Rc::new(Claims {
            scope: "x".repeat(one * 3).into(),
            ..Claims::default()
        });
        let kept = cache.keep_active(digest(99), &large, Now::at_seconds(100));
        assert_eq!(kept, Kept::default());
        assert_eq!(cache.active.entries.len(), 3);
    }

    /// RFC7662-4-cb, where the wall clock was set meanwhile.
    #[test]
    fn a_stale_answer_ends_with_exp_by_the_wall_clock_too() {
        let mut policy = policy(8);
        policy.stale_if_error = Duration::from_secs(60);
        let mut cache = Cache::new(&policy, &limits(1 << 20));
        cache.keep_active(digest(1), &claims(Some(180.0)), Now::at_seconds(100));
        let mut stale = |wall_ms| {
            let now = Now {
                wall_ms,
                ..Now::at_seconds(140)
            };
            matches!(cache.find(&digest(1), now), Known::Unknown(Some(_)))
        };
        assert!(stale(179_999) && !stale(180_000));
    }
}
