//! Envoy's state: all that a hostcall can read or change.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wasmi::{Memory, TypedFunc};

use super::calls::{Answer, Call};
use super::headers::Headers;
use super::meter::Meter;
use super::stats::Stats;
use super::status::Status;
use super::stream::{LocalReply, Stream};

/// What Envoy does once the VM has returned.
#[derive(Debug)]
pub(super) enum Action {
    /// Lets a request go on.
    Resume(u32),
    /// Lets a response go on.
    ResumeResponse(u32),
    /// Answers.
    Reply(u32, LocalReply),
    /// Resets.
    Reset(u32),
    /// Deletes a root context that has said it is done.
    FinishRoot(u32),
}

/// One configured instance of the plugin.
#[derive(Debug)]
pub(super) struct Root {
    /// Its `root_id`.
    pub(super) name: String,
    /// Its configuration.
    pub(super) configuration: Vec<u8>,
    /// Whether the configuration can be read: only while it is being set.
    pub(super) configuring: bool,
    /// Its tick period in milliseconds; 0 is none.
    pub(super) tick: u32,
    /// When the next tick is due, in nanoseconds of the monotonic clock.
    pub(super) due: u64,
    /// Whether a newer one has taken its place.
    pub(super) replaced: bool,
    /// Whether it has been asked to finish and said "later".
    pub(super) finishing: bool,
    /// The answer that is being delivered to it.
    pub(super) answer: Option<Answer>,
}

/// One call of the host into the VM.
#[derive(Debug)]
pub(super) struct Entry {
    /// The export.
    pub(super) export: &'static str,
    /// The streams that were resumed or answered in it.
    pub(super) settled: BTreeSet<u32>,
}

/// A failure that a hostcall is to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// The function.
    pub(super) name: &'static str,
    /// Which call of it fails; 0 is the next one.
    pub(super) skip: u64,
    /// With what.
    pub(super) status: Status,
}

/// A line that the module logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// 0 is trace, 5 is critical.
    pub level: u32,
    /// The text.
    pub text: String,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Envoy {
    /// The guest's memory, once there is one.
    pub(super) memory: Option<Memory>,
    /// How to get memory from the guest.
    pub(super) allocate: Option<TypedFunc<u32, u32>>,
    /// The environment of the VM.
    pub(super) environment: Vec<(String, String)>,
    /// Instances of the plugin.
    pub(super) roots: BTreeMap<u32, Root>,
    /// Streams, those that have ended too.
    pub(super) streams: BTreeMap<u32, Stream>,
    /// The last context id given out.
    pub(super) contexts: u32,
    /// The context that the VM was entered for.
    pub(super) current: u32,
    /// The context that the guest has chosen instead, or 0.
    pub(super) effective: u32,
    /// Calls of all times.
    pub(super) calls: Vec<Call>,
    /// Clusters that a call cannot find.
    pub(super) unknown_clusters: BTreeSet<String>,
    /// What is to be done when the VM returns, in order.
    pub(super) actions: VecDeque<Action>,
    /// Set by a local reply: the callback's own answer no longer counts.
    pub(super) stop_iteration: bool,
    /// Calls into the VM that are under way, the outermost first.
    pub(super) entries: Vec<Entry>,
    /// Only logging and WASI are allowed: global constructors are running.
    pub(super) restricted: bool,
    /// Nanoseconds since 1970.
    pub(super) wall: u64,
    /// Nanoseconds since start.
    pub(super) monotonic: u64,
    /// State of the random numbers.
    pub(super) random: u64,
    /// Metrics.
    pub(super) stats: Stats,
    /// What was logged.
    pub(super) log: Vec<Line>,
    /// What was counted.
    pub(super) meter: Meter,
    /// Failures to come.
    pub(super) faults: Vec<Fault>,
    /// Rules that were broken.
    pub(super) violations: Vec<String>,
    /// The last hostcalls and entries, for a report.
    pub(super) trace: VecDeque<String>,
    /// Most streams that one callback may settle.
    pub(super) settle_limit: usize,
}

impl Envoy {
    /// Before anything has happened.
    pub(super) fn new(environment: &[(&str, &str)]) -> Self {
        Self {
            memory: None,
            allocate: None,
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            contexts: 0,
            current: 0,
            effective: 0,
            calls: Vec::new(),
            unknown_clusters: BTreeSet::new(),
            actions: VecDeque::new(),
            stop_iteration: false,
            entries: Vec::new(),
            restricted: false,
            wall: 1_790_000_000_000_000_000,
            monotonic: 1_000_000_000_000,
            random: 0x9E37_79B9_7F4A_7C15,
            stats: Stats::default(),
            log: Vec::new(),
            meter: Meter::default(),
            faults: Vec::new(),
            violations: Vec::new(),
            trace: VecDeque::new(),
            settle_limit: 64,
        }
    }

    /// A new context id.
    pub(super) fn new_context(&mut self) -> u32 {
        self.contexts = self.contexts.saturating_add(1);
        self.contexts
    }

    /// The context that a hostcall is about: the one chosen by the guest if it
    /// is still there, else the one that the VM was entered for.
    pub(super) fn here(&self) -> u32 {
        if self.alive(self.effective) {
            self.effective
        } else {
            self.current
        }
    }

    /// Whether a context exists.
    pub(super) fn alive(&self, context: u32) -> bool {
        self.roots.contains_key(&context) || self.streams.get(&context).is_some_and(|s| !s.deleted)
    }

    /// The stream that a hostcall is about, if it is about one.
    pub(super) fn stream(&mut self) -> Option<(u32, &mut Stream)> {
        let here = self.here();
        self.streams.get_mut(&here).map(|stream| (here, stream))
    }

    /// The root context that a hostcall is about.
    pub(super) fn root(&mut self) -> Option<(u32, &mut Root)> {
        let here = self.here();
        let id = self.streams.get(&here).map_or(here, |s| s.root);
        self.roots.get_mut(&id).map(|root| (id, root))
    }

    /// Notes a broken rule.
    pub(super) fn violation(&mut self, what: impl Into<String>) {
        let within = self.entries.last().map_or("no callback", |e| e.export);
        self.violations
            .push(format!("{} (in {within})", what.into()));
    }

    /// Notes that the filter has settled a stream, and checks how many it has in
    /// this callback.
    pub(super) fn settled(&mut self, stream: u32) {
        let limit = self.settle_limit;
        let count = self.entries.last_mut().map_or(0, |entry| {
            entry.settled.insert(stream);
            entry.settled.len()
        });
        if count == limit.saturating_add(1) {
            self.violation(format!("more than {limit} streams settled in one callback"));
        }
    }

    /// Notes something for a report.
    pub(super) fn note(&mut self, what: String) {
        if self.trace.len() >= 120 {
            self.trace.pop_front();
        }
        self.trace.push_back(what);
    }

    /// The status that this hostcall is to fail with, if it is to.
    pub(super) fn fault(&mut self, name: &str) -> Option<Status> {
        let mut hit = None;
        for (at, fault) in self.faults.iter_mut().enumerate() {
            if fault.name == name {
                if fault.skip == 0 {
                    hit = Some((at, fault.status));
                    break;
                }
                fault.skip = fault.skip.saturating_sub(1);
            }
        }
        let (at, status) = hit?;
        self.faults.remove(at);
        Some(status)
    }

    /// Moves both clocks.
    pub(super) fn advance(&mut self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.wall = self.wall.saturating_add(by);
        self.monotonic = self.monotonic.saturating_add(by);
    }

    /// The next random byte.
    pub(super) fn random_byte(&mut self) -> u8 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.to_be_bytes()[0]
    }

    /// The map of this number, for reading.
    pub(super) fn map(&mut self, kind: u32) -> Option<Headers> {
        if kind == 6 || kind == 7 {
            return match &self.root()?.1.answer {
                Some(Answer::Response {
                    headers, trailers, ..
                }) => Some(if kind == 6 { headers } else { trailers }.clone()),
                Some(Answer::Reset) | None => None,
            };
        }
        let (_, stream) = self.stream()?;
        match kind {
            0 => (stream.request_open || stream.logging).then(|| stream.request.clone()),
            1 if stream.trailers_open => stream.trailers.clone(),
            2 => (stream.response_open || stream.logging).then(|| stream.response.clone()),
            3 => stream.response_trailers.clone(),
            _ => None,
        }
    }

    /// The map of this number, for changing.
    pub(super) fn map_mut(&mut self, kind: u32) -> Option<&mut Headers> {
        let (_, stream) = self.stream()?;
        match kind {
            0 if stream.request_open => Some(&mut stream.request),
            1 if stream.trailers_open => stream.trailers.as_mut(),
            2 if stream.response_open => Some(&mut stream.response),
            3 => stream.response_trailers.as_mut(),
            _ => None,
        }
    }
}
