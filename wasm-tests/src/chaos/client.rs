//! What a client got, and how long it took.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::{Http1, Response};
use crate::scenario::Request;

/// What a client got for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Got {
    /// A whole response of this status.
    Status(u16),
    /// A response of this status that ended too soon.
    Cut(u16),
    /// The end of the connection.
    Nothing,
    /// Neither, for as long as a client waits.
    Silence,
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Cut(status) => write!(f, "{status} cut"),
            Self::Nothing => f.write_str("end"),
            Self::Silence => f.write_str("silence"),
        }
    }
}

impl Got {
    /// Of this.
    pub(super) fn of(response: &io::Result<Response>) -> Self {
        match response {
            Ok(response) if response.whole => Self::Status(response.status),
            Ok(response) => Self::Cut(response.status),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silence,
                _ => Self::Nothing,
            },
        }
    }
}

/// What many clients got.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// How often each came.
    pub(super) got: BTreeMap<Got, usize>,
    /// The longest that one took.
    pub(super) worst: Duration,
    /// What should not have come.
    pub(super) wrong: Vec<String>,
}

impl Tally {
    /// Counts one.
    pub(super) fn add(&mut self, got: Got, took: Duration) {
        *self.got.entry(got).or_default() += 1;
        self.worst = self.worst.max(took);
    }

    /// Counts one that is wrong; the first few of them are kept.
    pub(super) fn complain(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.len() < 5 {
            self.wrong.push(what());
        }
    }

    /// Counts those of another.
    pub(super) fn merge(&mut self, other: Self) {
        for (got, times) in other.got {
            *self.got.entry(got).or_default() += times;
        }
        self.worst = self.worst.max(other.worst);
        self.wrong.extend(other.wrong);
    }

    /// How many there are.
    pub(super) fn sent(&self) -> usize {
        self.got.values().sum()
    }

    /// How many of this there are.
    pub(super) fn count(&self, got: Got) -> usize {
        self.got.get(&got).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self
            .got
            .iter()
            .map(|(got, times)| format!("{times} × {got}"))
            .collect();
        f.write_str(&all.join(", "))
    }
}

/// A client that keeps its connection for as long as it is let.
#[derive(Debug)]
pub(super) struct Client {
    to: SocketAddr,
    connection: Option<Http1>,
}

impl Client {
    /// One that is not connected yet.
    pub(super) fn new(to: SocketAddr) -> Self {
        Self {
            to,
            connection: None,
        }
    }

    /// Sends a request and reads the response to its end.
    pub(super) fn send(&mut self, request: &Request) -> (io::Result<Response>, Duration) {
        let begun = Instant::now();
        let response = self.exchange(request);
        let ended = response.as_ref().map_or(true, |response| {
            let close = response.header("connection");
            !response.whole || close.is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
        });
        if ended {
            self.connection = None;
        }
        (response, begun.elapsed())
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Http1::connect(self.to)?),
        };
        // An answer may come, and the connection end, before all is written.
        let sent = connection.send(request);
        let response = connection.response(request.method == b"HEAD");
        match (sent, response) {
            (Err(error), Err(_)) => Err(error),
            (_, response) => response,
        }
    }
}

/// Sends a request on a connection of its own.
pub(super) fn send(to: SocketAddr, request: &Request) -> (io::Result<Response>, Duration) {
    Client::new(to).send(request)
}
