//! `cache` and `limits`: what one worker keeps, and for how long.

use core::time::Duration;

use super::cursor::{Members, Node, Reader};
use super::{CachePolicy, Limits};

/// Reads the members of `cache`.
pub(super) fn cache(mut members: Members<'_>, reader: &mut Reader<'_>) -> Option<CachePolicy> {
    let mut duration = |name: &'static str, default, most, reader: &mut Reader<'_>| {
        members.or(
            name,
            Duration::from_secs(default),
            reader,
            |node, reader| node.duration(reader, Duration::ZERO..=Duration::from_secs(most)),
        )
    };
    let ttl = duration("ttl", 30, HOUR, reader);
    let negative_ttl = duration("negative_ttl", 5, 300, reader);
    let stale_if_error = duration("stale_if_error", 0, HOUR, reader);
    let call_grace = duration("call_grace", 600, 86_400, reader);
    let recheck_streams = members.or("recheck_streams", Duration::ZERO, reader, recheck);
    let max_entries = members.or("max_entries", 8_192, reader, |node, reader| {
        node.count(reader, 1..=1_000_000)
    });
    members.finish(reader);
    Some(CachePolicy {
        ttl: ttl?,
        negative_ttl: negative_ttl?,
        max_entries: max_entries?,
        stale_if_error: stale_if_error?,
        recheck_streams: recheck_streams?,
        call_grace: call_grace?,
    })
}

/// Off, or at an interval that does not turn every stream into a flood.
fn recheck(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Duration> {
    let interval = node.duration(reader, Duration::ZERO..=Duration::from_secs(HOUR))?;
    if interval.is_zero() || interval >= Duration::from_secs(1) {
        return Some(interval);
    }
    reader.report(
        &node.path,
        "must be \"0s\", which is off, or at least \"1s\"",
    );
    None
}

/// Reads the members of `limits`.
pub(super) fn limits(mut members: Members<'_>, reader: &mut Reader<'_>) -> Option<Limits> {
    let in_flight = members.or("in_flight", 256, reader, |node, reader| {
        node.count(reader, 1..=65_536)
    });
    let waiting = members.or("waiting", 4_096, reader, |node, reader| {
        node.count(reader, 1..=1_000_000)
    });
    let cache_bytes = members.or("cache_bytes", 16 << 20, reader, |node, reader| {
        node.size(reader, 64 << 10..=512 << 20)
    });
    let answer = members.or("answer", 256 << 10, reader, |node, reader| {
        node.size(reader, 1 << 10..=8 << 20)
    });
    let body = members.or("body", 1 << 20, reader, |node, reader| {
        node.size(reader, 1 << 10..=64 << 20)
    });
    members.finish(reader);
    Some(Limits {
        in_flight: in_flight?,
        waiting: waiting?,
        cache_bytes: cache_bytes?,
        answer: answer?,
        body: body?,
    })
}

/// Seconds in an hour.
const HOUR: u64 = 3_600;
