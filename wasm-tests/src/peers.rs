//! Loopback servers that remember every byte they get and answer as told.
//!
//! A [`Peer`] stands for an upstream or for the authorization server. It speaks
//! HTTP/1.1, and HTTP/2 to those who begin with it. It stops on drop.

mod act;
mod serve;
mod tap;

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use act::Act;
pub(crate) use act::map;
pub(crate) use serve::fields;

use crate::scenario::{Answer, Message};

/// Waits are never longer than this.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A loopback server.
#[derive(Debug)]
pub struct Peer {
    /// Where it listens.
    address: SocketAddr,
    /// Bound to the address and never listening: while the peer does not listen
    /// either, connections are refused and nobody else can have the port.
    _reservation: TcpSocket,
    /// What the connections share.
    shared: Arc<Shared>,
    /// The task that accepts; its connections end with it.
    task: Option<JoinHandle<()>>,
}

/// What a peer has got so far.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Requests in the order in which their heads came. What has not come yet
    /// of one is not in it.
    pub messages: Vec<Message>,
    /// How many of `messages` have come to their end.
    pub complete: usize,
    /// How many ended before their end, by a reset.
    pub broken: usize,
    /// Every byte of every connection, in the order of arrival.
    pub bytes: Vec<u8>,
    /// Connections accepted.
    pub connections: usize,
    /// How many requests were taken before the first of `messages`.
    taken: usize,
}

/// What the connections of a peer share.
struct Shared {
    /// The cluster that the peer stands for.
    name: String,
    /// What it has got.
    record: Mutex<Record>,
    /// Told whenever `record` changes.
    changed: Condvar,
    /// What to do with a request.
    script: Mutex<Arc<Script>>,
    /// Answers wait until it is open.
    gate: watch::Sender<bool>,
}

/// What to do with a request, given its head and all of its content.
type Script = dyn Fn(&Message) -> Act + Send + Sync;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// A peer that stands for the cluster `name` and answers 200.
    pub fn start(name: &str) -> Self {
        let _inside = runtime().enter();
        let reservation = socket();
        reservation
            .bind(([127, 0, 0, 1], 0).into())
            .expect("a free port on loopback");
        let address = reservation.local_addr().expect("the port that was bound");
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            record: Mutex::default(),
            changed: Condvar::new(),
            script: Mutex::new(Arc::new(|_: &Message| {
                Act::Answer(Answer::Reply(crate::scenario::status(200)))
            })),
            gate: watch::channel(true).0,
        });
        let mut peer = Self {
            address,
            _reservation: reservation,
            shared,
            task: None,
        };
        peer.listen();
        peer
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The cluster that it stands for.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Does this with every request from now on.
    pub fn script(&self, script: impl Fn(&Message) -> Act + Send + Sync + 'static) {
        *lock(&self.shared.script) = Arc::new(script);
    }

    /// Answers every request alike from now on. [`Answer::Refused`] stops
    /// listening, any other answer listens again.
    pub fn answer(&mut self, answer: Answer) {
        if matches!(answer, Answer::Refused) {
            self.refuse();
        } else {
            self.listen();
            self.script(move |_| Act::Answer(answer.clone()));
        }
    }

    /// Lets answers wait for [`Peer::open`]. Requests are still read.
    pub fn close(&self) {
        self.shared.gate.send_replace(false);
    }

    /// Lets the answers out.
    pub fn open(&self) {
        self.shared.gate.send_replace(true);
    }

    /// A copy of what it has got.
    pub fn record(&self) -> Record {
        lock(&self.shared.record).clone()
    }

    /// How many requests have begun.
    pub fn count(&self) -> usize {
        lock(&self.shared.record).messages.len()
    }

    /// What it has got, which it then forgets.
    pub fn take(&self) -> Record {
        let mut record = lock(&self.shared.record);
        let taken = record.taken + record.messages.len();
        std::mem::replace(
            &mut record,
            Record {
                taken,
                ..Record::default()
            },
        )
    }

    /// Waits until what it has got is so.
    ///
    /// # Panics
    /// When that has not come within [`PATIENCE`].
    pub fn wait(&self, what: &str, so: impl Fn(&Record) -> bool) -> Record {
        let end = Instant::now() + PATIENCE;
        let mut record = lock(&self.shared.record);
        while !so(&record) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{}: waited in vain for {what}",
                self.name()
            );
            record = self
                .shared
                .changed
                .wait_timeout(record, left)
                .map_or_else(|e| e.into_inner().0, |(record, _)| record);
        }
        record.clone()
    }

    /// Listens, if it does not.
    fn listen(&mut self) {
        if self.task.is_some() {
            return;
        }
        let _inside = runtime().enter();
        let socket = socket();
        socket
            .bind(self.address)
            .expect("the port that is reserved");
        let listener = socket
            .listen(4096)
            .expect("to listen on the port that is reserved");
        self.task = Some(runtime().spawn(serve::accept(listener, Arc::clone(&self.shared))));
    }

    /// Closes every connection and refuses new ones.
    fn refuse(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // An error only says that the task was aborted.
            let _ = runtime().block_on(task);
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.open();
        self.refuse();
    }
}

impl Shared {
    /// Changes the record and tells those who wait.
    fn note<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        let result = change(&mut lock(&self.record));
        self.changed.notify_all();
        result
    }
}

/// The threads that all peers and HTTP/2 clients of a process run on.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads for the peers")
    })
}

/// A socket that can share its port with the reservation.
pub(crate) fn socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("to share a port");
    socket
}

/// The lock, also after a panic elsewhere.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
