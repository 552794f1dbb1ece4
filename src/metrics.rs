//! The metrics of contract section 5, in the host's own statistics.

use proxy_wasm::types::MetricType;

use crate::audit::Source;
use crate::config::{Config, Role};
use crate::credential::{FETCHED, Fault};
use crate::denial::Denial;
use crate::guard::SECRET_REFUSED;
use crate::hash::Map;
use crate::host::{self, HostError};
use crate::introspection::Cause;
use crate::leak::Place;
use crate::tally::{Count, Tally};

/// The numbers of the metrics that have been defined. Names come from the
/// configuration and from closed sets of words, never from a client.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counters: Map<Count, u32>,
    introspection_ms: Option<u32>,
}

impl Metrics {
    /// With the counters that alerts watch at zero: of one that is not there
    /// before its first event, Prometheus does not see that event.
    pub(crate) fn watched(config: &Config) -> Self {
        let mut metrics = Self::default();
        let mut fetched = config.servers.iter().map(|server| &server.credential);
        if config.role != Role::Verifier && fetched.any(Option::is_some) {
            let words = Fault::ALL.iter().map(|fault| fault.word());
            for word in words.chain([FETCHED]) {
                let _ = metrics.counter(Count::Credential(word), config);
            }
        }
        if config.role == Role::Injector {
            return metrics;
        }
        let caches = [Source::Hit, Source::Miss, Source::Wait];
        let mut counts: Vec<Count> = caches.map(|one| Count::Cache(one.word())).into();
        counts.extend(Place::ALL.map(|place| Count::Leak(place.word())));
        counts.extend(Cause::ALL.map(|cause| Count::Introspection(cause.word())));
        let mut servers = config.authorization_servers.iter();
        if servers.any(|server| server.introspection.auth.credentials.len() > 1) {
            counts.push(Count::Introspection(SECRET_REFUSED));
        }
        let mismatch = Denial::ClusterMismatch.word();
        // Of a request that was let by as none of ours.
        counts.push(Count::Request(None, mismatch));
        for id in config.servers.ids() {
            let refused = Denial::UpstreamCredentialRejected.word();
            counts.extend([mismatch, refused].map(|word| Count::Request(Some(id), word)));
        }
        for count in counts {
            let _ = metrics.counter(count, config);
        }
        metrics
    }

    /// Hands over what has been counted. A metric that the host refuses is
    /// not worth a request: it is left out.
    pub(crate) fn flush(&mut self, tally: &mut Tally, config: &Config) {
        for count in tally.counts.drain(..) {
            if let Ok(counter) = self.counter(count, config) {
                let _ = host::increment(counter, 1);
            }
        }
        for ms in tally.introspection_ms.drain(..) {
            if let Ok(histogram) = self.histogram() {
                let _ = host::record(histogram, ms);
            }
        }
    }

    fn counter(&mut self, count: Count, config: &Config) -> Result<u32, HostError> {
        if let Some(counter) = self.counters.get(&count) {
            return Ok(*counter);
        }
        let counter = host::define(MetricType::Counter, &name(count, config))?;
        self.counters.insert(count, counter);
        Ok(counter)
    }

    fn histogram(&mut self) -> Result<u32, HostError> {
        if let Some(histogram) = self.introspection_ms {
            return Ok(histogram);
        }
        let name = "mcp_token_guard_introspection_ms";
        let histogram = host::define(MetricType::Histogram, name)?;
        self.introspection_ms = Some(histogram);
        Ok(histogram)
    }
}

/// Labels are pairs of segments, for the `stats_tags` of Envoy's bootstrap.
fn name(count: Count, config: &Config) -> String {
    match count {
        Count::Cache(word) => format!("mcp_token_guard_cache.result.{word}"),
        Count::Credential(word) => format!("mcp_token_guard_credentials.result.{word}"),
        Count::Introspection(word) => format!("mcp_token_guard_introspections.result.{word}"),
        Count::Leak(place) => format!("mcp_token_guard_leak_blocked.place.{place}"),
        Count::Request(server, word) => match server.and_then(|id| config.servers.server(id)) {
            None => format!("mcp_token_guard_requests.outcome.{word}"),
            Some(server) => format!(
                "mcp_token_guard_requests.server.{}.outcome.{word}",
                server.name
            ),
        },
    }
}

/// Counts a configuration that has been taken on.
pub(crate) fn count_configuration() {
    let counter = host::define(MetricType::Counter, "mcp_token_guard_configurations");
    let _ = counter.and_then(|counter| host::increment(counter, 1));
}
