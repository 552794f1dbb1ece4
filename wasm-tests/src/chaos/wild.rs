//! A loopback server that sends any bytes in any manner, well-formed or not.
//!
//! It reads a request of HTTP/1.1 to its end, keeps little of it, and then does
//! what its script says. It can stop to listen, and begin again.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use memchr::memmem::find;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::peers::{PATIENCE, runtime, socket};

/// One thing to do with a connection. After the last one the next request is
/// read.
#[derive(Clone, Debug)]
pub(super) enum Move {
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this a byte at a time, with this much time before each.
    Drip(Vec<u8>, Duration),
    /// Sends this over and over, with this much time before each.
    Repeat(Vec<u8>, Duration),
    /// Does nothing for so long.
    Wait(Duration),
    /// Does nothing until this is true.
    Until(Arc<AtomicBool>),
    /// Does nothing for ever.
    Hang,
    /// Closes the connection.
    Close,
    /// Closes it by a reset.
    Reset,
}

/// What of a request is kept: its head, and the beginning of its content.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// The head, with the empty line.
    pub(super) head: Vec<u8>,
    /// The beginning of the content.
    pub(super) content: Vec<u8>,
}

/// Counts of what has come.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Heads of requests.
    pub(super) heads: AtomicUsize,
    /// Requests that came to their end.
    pub(super) whole: AtomicUsize,
    /// Bytes of content.
    pub(super) content: AtomicUsize,
    /// Requests that have been read and neither answered nor given up.
    pub(super) in_flight: AtomicUsize,
    /// The most that there have been of those.
    pub(super) most: AtomicUsize,
    /// Heads of requests, by path.
    paths: Mutex<BTreeMap<String, usize>>,
}

/// What is done with a request.
type Script = dyn Fn(&Asked) -> Vec<Move> + Send + Sync;

/// The server. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Wild {
    /// Where it listens.
    address: SocketAddr,
    /// Keeps the port while nobody listens.
    _reservation: TcpSocket,
    /// What connections share.
    shared: Arc<Shared>,
    /// The task that accepts; its connections end with it.
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What connections share.
struct Shared {
    /// See [`Seen`].
    seen: Seen,
    /// See [`Script`].
    script: Box<Script>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

/// How much of a request's content is kept.
const KEPT: usize = 64 * 1024;

impl Wild {
    /// A server with this script.
    pub(super) fn start(script: impl Fn(&Asked) -> Vec<Move> + Send + Sync + 'static) -> Self {
        let _inside = runtime().enter();
        let reservation = socket();
        reservation
            .bind(([127, 0, 0, 1], 0).into())
            .expect("a free port on loopback");
        let wild = Self {
            address: reservation.local_addr().expect("the port that was bound"),
            _reservation: reservation,
            shared: Arc::new(Shared {
                seen: Seen::default(),
                script: Box::new(script),
            }),
            task: Mutex::default(),
        };
        wild.listen();
        wild
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has come.
    pub(super) fn seen(&self) -> &Seen {
        &self.shared.seen
    }

    /// Listens, if it does not.
    pub(super) fn listen(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_some() {
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
        *task = Some(runtime().spawn(accept(listener, Arc::clone(&self.shared))));
    }

    /// Closes every connection and refuses new ones.
    pub(super) fn refuse(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.abort();
            // An error only says that the task was aborted.
            let _ = runtime().block_on(task);
        }
    }
}

impl Drop for Wild {
    fn drop(&mut self) {
        self.refuse();
    }
}

impl Seen {
    /// One of the counts.
    pub(super) fn get(count: &AtomicUsize) -> usize {
        count.load(Ordering::SeqCst)
    }

    /// Heads of requests for this path.
    pub(super) fn of(&self, path: &str) -> usize {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.get(path).copied().unwrap_or_default()
    }

    fn arrived(&self, head: &[u8]) {
        let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let path = String::from_utf8_lossy(path).into_owned();
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        *paths.entry(path).or_default() += 1;
    }

    /// Waits until this is so.
    ///
    /// # Errors
    /// When that has not come within [`PATIENCE`].
    pub(super) fn wait(&self, what: &str, so: impl Fn(&Self) -> bool) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while !so(self) {
            if Instant::now() > end {
                return Err(format!("waited in vain for {what}: {self:?}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// Accepts until it is aborted; the connections end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        // An error is a connection that ended, which is the purpose here.
        connections.spawn(async move {
            let _ = serve(stream, &shared).await;
        });
    }
}

/// A connection, and what has come on it and not been read yet.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One request after the other.
async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let buffer = Vec::new();
    let mut connection = Connection { stream, buffer };
    loop {
        let asked = connection.read(&shared.seen).await?;
        let _pending = Pending::begin(&shared.seen);
        for one in (shared.script)(&asked) {
            if !connection.act(one).await? {
                return Ok(());
            }
        }
    }
}

impl Connection {
    /// Reads a request.
    async fn read(&mut self, seen: &Seen) -> io::Result<Asked> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let mut asked = Asked {
            head: self.buffer.drain(..end).collect(),
            content: Vec::new(),
        };
        seen.heads.fetch_add(1, Ordering::SeqCst);
        seen.arrived(&asked.head);
        let mut left = length(&asked.head);
        loop {
            let now = self.buffer.len().min(left);
            seen.content.fetch_add(now, Ordering::SeqCst);
            let room = KEPT.saturating_sub(asked.content.len());
            asked
                .content
                .extend_from_slice(&self.buffer[..now.min(room)]);
            self.buffer.drain(..now);
            left -= now;
            if left == 0 {
                break;
            }
            self.more().await?;
        }
        seen.whole.fetch_add(1, Ordering::SeqCst);
        Ok(asked)
    }

    /// Reads what comes next.
    async fn more(&mut self) -> io::Result<()> {
        self.buffer.reserve(64 * 1024);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Whether the connection goes on. One that the other side has given up
    /// ends here, also while nothing is sent.
    async fn act(&mut self, one: Move) -> io::Result<bool> {
        match one {
            Move::Send(bytes) => self.stream.write_all(&bytes).await?,
            Move::Drip(bytes, every) => {
                for byte in bytes {
                    self.idle(every).await?;
                    self.stream.write_all(&[byte]).await?;
                }
            }
            Move::Repeat(bytes, every) => loop {
                self.idle(every).await?;
                self.stream.write_all(&bytes).await?;
            },
            Move::Wait(time) => self.idle(time).await?,
            Move::Until(open) => {
                while !open.load(Ordering::SeqCst) {
                    self.idle(Duration::from_millis(5)).await?;
                }
            }
            Move::Hang => self.idle(Duration::from_secs(3_600)).await?,
            Move::Close => return Ok(false),
            Move::Reset => {
                self.stream.set_zero_linger()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits so long, or until the other side ends the connection.
    async fn idle(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match timeout(left, self.more()).await {
                // Somebody speaks out of turn: that is for later.
                Ok(more) => more?,
                Err(_) => return Ok(()),
            }
        }
    }
}

/// The length of the content; Envoy writes names in lower case.
fn length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    find(head, NAME).map_or(0, |at| {
        head[at + NAME.len()..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
    })
}

/// A request that is being answered.
struct Pending<'a>(&'a Seen);

impl<'a> Pending<'a> {
    fn begin(seen: &'a Seen) -> Self {
        let now = seen.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(now, Ordering::SeqCst);
        Self(seen)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
