//! What a test does to the host besides sending requests, and what it sees.

use core::time::Duration;
use std::collections::BTreeMap;

use super::Host;
use super::calls::{Answer, Call, CallId};
use super::drive::size_of;
use super::envoy::{Fault, Line};
use super::meter::Meter;
use super::stats::Metric;
use super::status::Status;
use super::stream::{End, Response, State, StreamId};

impl Host {
    /// Delivers the answer to a call. False if nobody waits for it any more,
    /// because it has been answered or its configuration is gone.
    pub fn answer(&mut self, call: CallId, answer: Answer) -> bool {
        let envoy = self.store.data_mut();
        let Some(open) = envoy.calls.iter_mut().find(|c| c.id == call && c.open) else {
            return false;
        };
        open.open = false;
        let root = open.root;
        let (headers, body, trailers) = match &answer {
            Answer::Response {
                headers,
                body,
                trailers,
            } => (size_of(headers), body.len(), size_of(trailers)),
            Answer::Reset => (0, 0, 0),
        };
        let body = u32::try_from(body).unwrap_or(u32::MAX);
        let arguments = [call.0, headers, body, trailers];
        let Some(state) = envoy.roots.get_mut(&root) else {
            return false;
        };
        state.answer = match answer {
            Answer::Reset => None,
            response @ Answer::Response { .. } => Some(response),
        };
        self.enter("proxy_on_http_call_response", root, &arguments);
        if let Some(state) = self.store.data_mut().roots.get_mut(&root) {
            state.answer = None;
        }
        self.verify();
        true
    }

    /// All timers that the module has set fire once. False if it has set none.
    pub fn tick(&mut self) -> bool {
        let envoy = self.store.data();
        let roots: Vec<u32> = envoy
            .roots
            .iter()
            .filter_map(|(id, root)| (root.tick > 0).then_some(*id))
            .collect();
        for root in &roots {
            self.enter("proxy_on_tick", *root, &[]);
        }
        self.verify();
        !roots.is_empty()
    }

    /// The tick period that the newest configuration has asked for.
    #[must_use]
    pub fn tick_period(&self) -> Option<Duration> {
        let root = self.store.data().roots.get(&self.root)?;
        (root.tick > 0).then(|| Duration::from_millis(root.tick.into()))
    }

    /// Time passes; nothing happens meanwhile.
    pub fn advance(&mut self, by: Duration) {
        self.store.data_mut().advance(by);
    }

    /// Time passes, and timers fire when they are due.
    pub fn run(&mut self, duration: Duration) {
        let end = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let end = self.store.data().monotonic.saturating_add(end);
        loop {
            let envoy = self.store.data();
            let next = envoy
                .roots
                .iter()
                .filter_map(|(id, root)| (root.tick > 0).then_some((root.due, *id)))
                .min()
                .filter(|(due, _)| *due <= end);
            let until = next.map_or(end, |(due, _)| due);
            let by = until.saturating_sub(envoy.monotonic);
            self.advance(Duration::from_nanos(by));
            let Some((due, id)) = next else { break };
            if let Some(root) = self.store.data_mut().roots.get_mut(&id) {
                let period = u64::from(root.tick).saturating_mul(1_000_000);
                root.due = due.saturating_add(period);
            }
            self.enter("proxy_on_tick", id, &[]);
        }
        self.verify();
    }

    /// Seconds since 1970, as the module sees it.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.store.data().wall)
    }

    /// Sets the wall clock, and leaves the monotonic one.
    pub fn set_wall_clock(&mut self, now: Duration) {
        self.store.data_mut().wall = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    }

    /// The n-th call from now of a function fails with a status; 0 is the next.
    pub fn fail(&mut self, name: &'static str, n: u64, status: Status) {
        self.store.data_mut().faults.push(Fault {
            name,
            skip: n,
            status,
        });
    }

    /// Forgets failures that have not happened; how many there were.
    pub fn clear_faults(&mut self) -> usize {
        core::mem::take(&mut self.store.data_mut().faults).len()
    }

    /// Calls to this cluster are refused from now on.
    pub fn remove_cluster(&mut self, name: &str) {
        let clusters = &mut self.store.data_mut().unknown_clusters;
        clusters.insert(name.to_owned());
    }

    /// Lets body callbacks run while the head is held, as
    /// `allow_on_headers_stop_iteration` does.
    pub fn stop_iteration_only(&mut self) {
        self.stop_iteration_only = true;
    }

    /// Sets an attribute of a stream, such as the cluster really used.
    pub fn set_property(&mut self, stream: StreamId, path: &[&str], value: impl AsRef<[u8]>) {
        let properties = &mut self.stream_mut(stream.0).properties;
        properties.insert(path.join("\0").into_bytes(), value.as_ref().to_vec());
    }

    /// Where a stream stands.
    #[must_use]
    pub fn state(&self, stream: StreamId) -> State {
        self.store.data().streams[&stream.0].state()
    }

    /// What the client of a stream has got.
    #[must_use]
    pub fn sent(&self, stream: StreamId) -> Option<&Response> {
        self.store.data().streams[&stream.0].sent.as_ref()
    }

    /// How a stream ended.
    #[must_use]
    pub fn end(&self, stream: StreamId) -> Option<End> {
        self.store.data().streams[&stream.0].end
    }

    /// The filter state of a stream.
    #[must_use]
    pub fn filter_state(&self, stream: StreamId) -> &BTreeMap<String, Vec<u8>> {
        &self.store.data().streams[&stream.0].filter_state
    }

    /// All calls, those that are over too.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.store.data().calls
    }

    /// Calls that wait for an answer.
    #[must_use]
    pub fn open_calls(&self) -> Vec<CallId> {
        let calls = self.calls().iter();
        calls.filter(|c| c.open).map(|c| c.id).collect()
    }

    /// Metrics by name.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        self.store.data().stats.snapshot()
    }

    /// What the module logged.
    #[must_use]
    pub fn log(&self) -> &[Line] {
        &self.store.data().log
    }

    /// What was counted since the start.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.store.data().meter.clone()
    }

    /// What is counted while this is done.
    pub fn measure<T>(&mut self, what: impl FnOnce(&mut Self) -> T) -> (T, Meter) {
        let before = self.meter();
        let result = what(self);
        let meter = self.meter().since(&before);
        (result, meter)
    }

    /// The last entries and hostcalls, with the fuel that the entry had used.
    pub fn trace(&self) -> impl Iterator<Item = &str> {
        self.store.data().trace.iter().map(String::as_str)
    }

    /// Rules that were broken. There are none unless the host is
    /// [lenient](Self::lenient): breaking one ends the test.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.store.data().violations
    }

    /// Why the VM is dead, if it is.
    #[must_use]
    pub fn trap(&self) -> Option<&str> {
        self.trap.as_deref()
    }

    /// Keeps broken rules and traps for the test to look at.
    pub fn lenient(&mut self) {
        self.lenient = true;
    }

    /// Most streams that one callback may resume or answer; 64 unless set.
    pub fn settle_limit(&mut self, limit: usize) {
        self.store.data_mut().settle_limit = limit;
    }

    /// Ends the test if a rule was broken or the VM died.
    pub(super) fn verify(&self) {
        let envoy = self.store.data();
        if self.lenient || (self.trap.is_none() && envoy.violations.is_empty()) {
            return;
        }
        let trace: Vec<&str> = self.trace().collect();
        panic!(
            "trap: {:?}\nbroken rules: {:#?}\nwhat happened:\n{}",
            self.trap,
            envoy.violations,
            trace.join("\n")
        );
    }
}
