//! The host's functions that are used: bytes in, `Result` out.
//!
//! The only module that calls `proxy_wasm::hostcalls`. The SDK's functions
//! panic on any status that they do not know; those used here were chosen
//! because Envoy gives no other in the phase in which they are called.

use core::cell::Cell;
use core::time::Duration;
use std::time::{Instant, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType, MetricType, Status};

use crate::callout::Callout;
use crate::fields::Field;
use crate::reply::LocalReply;
use crate::time::Now;

/// The host did not do what it was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostError;

impl From<Status> for HostError {
    fn from(_: Status) -> Self {
        Self
    }
}

/// The clocks of the host.
#[derive(Debug)]
pub(crate) struct Clock {
    since: Instant,
    /// Both, when the wall clock was last read.
    read: Cell<Option<Now>>,
}

/// For how long the wall clock is taken to go on as the steady one does, in
/// milliseconds. Each reading is a call of the host, and this saves most of
/// them under load; that the wall clock was set is seen so much later.
const WALL_CLOCK_READ_EVERY_MS: u64 = 100;

impl Clock {
    /// Begins to count the steady time.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the host's steady clock"
    )]
    pub(crate) fn start() -> Self {
        Self {
            since: Instant::now(),
            read: Cell::new(None),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Result<Now, HostError> {
        let steady_ms = milliseconds(self.since.elapsed())?;
        if let Some(read) = self.read.get() {
            let since = steady_ms.saturating_sub(read.steady_ms);
            if since < WALL_CLOCK_READ_EVERY_MS {
                let wall_ms = read.wall_ms.saturating_add(since);
                return Ok(Now { wall_ms, steady_ms });
            }
        }
        let wall = hostcalls::get_current_time()?;
        let wall = wall.duration_since(UNIX_EPOCH).map_err(|_| HostError)?;
        let wall_ms = milliseconds(wall)?;
        let now = Now { wall_ms, steady_ms };
        self.read.set(Some(now));
        Ok(now)
    }
}

fn milliseconds(duration: Duration) -> Result<u64, HostError> {
    duration.as_millis().try_into().map_err(|_| HostError)
}

/// The fields of a map, in one call.
pub(crate) fn fields(map: MapType) -> Result<Vec<Field>, HostError> {
    Ok(hostcalls::get_map_bytes(map)?)
}

/// Sets a field to one value in place of all that it had, or removes it.
pub(crate) fn set_field(map: MapType, name: &str, value: Option<&[u8]>) -> Result<(), HostError> {
    Ok(hostcalls::set_map_value_bytes(map, name, value)?)
}

/// The name of the cluster of the request's route, or in the answer's phase of
/// the one that was used.
pub(crate) fn cluster_name() -> Result<Option<String>, HostError> {
    match hostcalls::get_property(vec!["xds", "cluster_name"])? {
        None => Ok(None),
        Some(name) if name.is_empty() => Ok(None),
        Some(name) => String::from_utf8(name).map(Some).map_err(|_| HostError),
    }
}

/// The SHA-256 of the certificate that the client has shown in the handshake, in
/// hex digits; none or empty where it has shown none.
pub(crate) fn peer_certificate() -> Result<Option<Vec<u8>>, HostError> {
    let path = vec!["connection", "sha256_peer_certificate_digest"];
    Ok(hostcalls::get_property(path)?)
}

/// A filter state of another instance of this module.
pub(crate) fn filter_state(key: &str) -> Result<Option<Vec<u8>>, HostError> {
    let key = format!("wasm.{key}");
    Ok(hostcalls::get_property(vec!["filter_state", &key])?)
}

/// Sets a filter state of the stream, `wasm.<key>`.
pub(crate) fn set_filter_state(key: &str, value: &[u8]) -> Result<(), HostError> {
    Ok(hostcalls::set_property(vec![key], Some(value))?)
}

/// The plugin's configuration.
pub(crate) fn configuration(size: usize) -> Result<Vec<u8>, HostError> {
    let bytes = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)?;
    Ok(bytes.unwrap_or_default())
}

/// A part of the body of the request, as far as it has come and is held back.
pub(crate) fn request_body(from: usize, length: usize) -> Result<Vec<u8>, HostError> {
    let bytes = hostcalls::get_buffer(BufferType::HttpRequestBody, from, length)?;
    let bytes = bytes.unwrap_or_default();
    (bytes.len() == length).then_some(bytes).ok_or(HostError)
}

/// The body of the answer to a call.
pub(crate) fn call_body(size: usize) -> Result<Vec<u8>, HostError> {
    let bytes = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size)?;
    Ok(bytes.unwrap_or_default())
}

/// Makes a call.
pub(crate) fn dispatch(callout: &Callout) -> Result<u32, HostError> {
    let mut headers = Vec::with_capacity(callout.headers.len());
    for (name, value) in &callout.headers {
        let value = core::str::from_utf8(value.expose()).map_err(|_| HostError)?;
        headers.push((*name, value));
    }
    Ok(hostcalls::dispatch_http_call(
        &callout.cluster,
        headers,
        Some(callout.body.expose()),
        Vec::new(),
        callout.timeout,
    )?)
}

/// Answers the effective stream.
pub(crate) fn reply(reply: &LocalReply) -> Result<(), HostError> {
    let headers = reply
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let body = (!reply.body.is_empty()).then_some(reply.body.as_bytes());
    Ok(hostcalls::send_http_response(
        reply.status.into(),
        headers,
        body,
    )?)
}

/// Lets the effective stream's request go on.
pub(crate) fn resume() -> Result<(), HostError> {
    Ok(hostcalls::resume_http_request()?)
}

/// Ends the effective stream.
pub(crate) fn reset() -> Result<(), HostError> {
    Ok(hostcalls::reset_http_response()?)
}

/// Makes another context the one that the next calls are about.
pub(crate) fn act_for(context: u32) -> Result<(), HostError> {
    Ok(hostcalls::set_effective_context(context)?)
}

/// Sets the period of ticks; zero is none.
pub(crate) fn set_tick_period(period: Duration) -> Result<(), HostError> {
    Ok(hostcalls::set_tick_period(period)?)
}

/// Defines a metric. The host gives a new number each time, so once is enough.
pub(crate) fn define(metric: MetricType, name: &str) -> Result<u32, HostError> {
    Ok(hostcalls::define_metric(metric, name)?)
}

/// Adds to a counter.
pub(crate) fn increment(metric: u32, by: i64) -> Result<(), HostError> {
    Ok(hostcalls::increment_metric(metric, by)?)
}

/// Records a value in a histogram.
pub(crate) fn record(metric: u32, value: u64) -> Result<(), HostError> {
    Ok(hostcalls::record_metric(metric, value)?)
}
