//! Requests that have nothing to do with what goes wrong, and have to go well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::client::{Client, Got, Tally};
use super::world::with;
use crate::scenario::post;

/// What may go wrong for bystanders, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// Nothing.
    Calm,
    /// The authorization server: new tokens may be refused with 503.
    Storm,
    /// The authorization server has its hands full: only tokens that are known
    /// are used.
    Flood,
}

/// Clients that go on until they are told to stop.
#[derive(Debug)]
pub(super) struct Bystanders {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Sent>>,
}

/// What they did.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// What they got, all together.
    pub(super) tally: Tally,
    /// Requests that were let through.
    pub(super) allowed: usize,
    /// Requests with a token that is not good, refused for that.
    pub(super) inactive: usize,
    /// Requests without a token.
    pub(super) no_token: usize,
    /// Requests that were refused because nobody could be asked.
    pub(super) unavailable: usize,
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// With a token that has been asked about before.
    Known,
    /// With a good token that is new.
    Fresh,
    /// With a bad token that is new.
    Bad,
    /// Without one.
    Bare,
}

impl Bystanders {
    /// Starts so many, each of which sends a request every so often.
    pub(super) fn start(to: SocketAddr, count: usize, every: Duration, weather: Weather) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count)
            .map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || go_on(to, every, weather, &stop))
            })
            .collect();
        Self { stop, threads }
    }

    /// Stops them.
    pub(super) fn stop(self) -> Sent {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Sent::default();
        for thread in self.threads {
            let sent = thread.join().expect("a bystander");
            all.tally.merge(sent.tally);
            all.allowed += sent.allowed;
            all.inactive += sent.inactive;
            all.no_token += sent.no_token;
            all.unavailable += sent.unavailable;
        }
        all
    }
}

/// One of them.
fn go_on(to: SocketAddr, every: Duration, weather: Weather, stop: &AtomicBool) -> Sent {
    static SERIAL: AtomicUsize = AtomicUsize::new(0);
    let mut client = Client::new(to);
    let mut sent = Sent::default();
    let kinds: &[Kind] = match weather {
        Weather::Calm | Weather::Storm => {
            &[Kind::Known, Kind::Fresh, Kind::Known, Kind::Bad, Kind::Bare]
        }
        Weather::Flood => &[Kind::Known],
    };
    let mut kinds = kinds.iter().copied().cycle();
    while !stop.load(Ordering::SeqCst) {
        let kind = kinds.next().expect("a cycle");
        let serial = SERIAL.fetch_add(1, Ordering::SeqCst);
        let path = format!("by-{serial}");
        let request = match kind {
            Kind::Known => with("good-known", &path),
            Kind::Fresh => with(&format!("good-by-{serial}"), &path),
            Kind::Bad => with(&format!("bad-by-{serial}"), &path),
            Kind::Bare => post("/github/mcp"),
        };
        let (response, took) = client.send(&request);
        let got = Got::of(&response);
        sent.tally.add(got, took);
        match (kind, got) {
            (Kind::Known | Kind::Fresh, Got::Status(200)) => {
                sent.allowed += 1;
                let content = response.expect("a response").body;
                if content != request.path {
                    sent.tally
                        .complain(|| format!("{path} got the answer to another"));
                }
            }
            (Kind::Bad, Got::Status(401)) => sent.inactive += 1,
            (Kind::Bare, Got::Status(401)) => sent.no_token += 1,
            (Kind::Fresh | Kind::Bad, Got::Status(503)) if weather == Weather::Storm => {
                sent.unavailable += 1;
            }
            _ => sent
                .tally
                .complain(|| format!("a bystander of kind {kind:?} got {got}")),
        }
        thread::sleep(every);
    }
    sent
}
