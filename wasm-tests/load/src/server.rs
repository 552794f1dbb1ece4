//! A server on loopback whose answers are prepared beforehand.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::grpc::{Connection, Grant};
use crate::{fill, http1};

/// What is answered to a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The response, or its beginning.
    pub bytes: Arc<[u8]>,
    /// How long to wait before it.
    pub after: Duration,
    /// What follows, piece by piece.
    pub then: Option<Pace>,
}

/// The rest of a response, in its own time.
#[derive(Clone, Debug)]
pub struct Pace {
    /// One piece.
    pub piece: Arc<[u8]>,
    /// How often it comes.
    pub times: usize,
    /// How long there is between two.
    pub every: Duration,
    /// What comes last.
    pub end: Arc<[u8]>,
}

impl Reply {
    /// This at once.
    pub fn now(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            bytes: bytes.into(),
            after: Duration::ZERO,
            then: None,
        }
    }

    /// The same, later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

type Handler = Box<dyn Fn(&[u8]) -> Reply + Send>;

enum Service {
    Http(Handler),
    Grpc(Grant),
}

impl Server {
    /// A server of HTTP/1.1. The handler sees a whole request, as it came.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn http(handler: impl Fn(&[u8]) -> Reply + Send + 'static) -> io::Result<Self> {
        Self::start(Service::Http(Box::new(handler)))
    }

    /// An authorization service of Envoy's `ext_authz`, by gRPC.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn grpc(grant: Grant) -> io::Result<Self> {
        Self::start(Service::Grpc(grant))
    }

    fn start(service: Service) -> io::Result<Self> {
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let ended = Arc::new(AtomicBool::new(false));
        let mut work = Work {
            poll,
            listener,
            service,
            connections: Vec::new(),
            due: BinaryHeap::new(),
            ended: Arc::clone(&ended),
        };
        let thread = std::thread::Builder::new().spawn(move || work.run())?;
        Ok(Self {
            address,
            ended,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const LISTENER: Token = Token(usize::MAX - 1);

/// How soon an end is noticed.
const NOTICE: Duration = Duration::from_millis(100);

struct Work {
    poll: Poll,
    listener: TcpListener,
    service: Service,
    /// By token. Places of connections that have ended are not used again:
    /// there are few.
    connections: Vec<Option<Peer>>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    ended: Arc<AtomicBool>,
}

struct Peer {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    grpc: Connection,
    /// What is to be sent when its time has come.
    later: Option<Reply>,
}

impl Work {
    fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        while !self.ended.load(Ordering::Relaxed) {
            let now = Instant::now();
            let wait = self.due.peek().map_or(NOTICE, |Reverse((due, _))| {
                due.saturating_duration_since(now).min(NOTICE)
            });
            if let Err(error) = self.poll.poll(&mut events, Some(wait)) {
                assert_eq!(error.kind(), io::ErrorKind::Interrupted, "{error}");
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(place) => self.touch(place, event.is_readable()),
                }
            }
            let now = Instant::now();
            while let Some(Reverse((due, place))) = self.due.peek().copied()
                && due <= now
            {
                self.due.pop();
                self.late(place, now);
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let _ = stream.set_nodelay(true);
            let token = Token(self.connections.len());
            let both = Interest::READABLE | Interest::WRITABLE;
            if self
                .poll
                .registry()
                .register(&mut stream, token, both)
                .is_ok()
            {
                self.connections.push(Some(Peer {
                    stream,
                    input: Vec::new(),
                    output: Vec::new(),
                    grpc: Connection::default(),
                    later: None,
                }));
            }
        }
    }

    /// Something can be read or written.
    fn touch(&mut self, place: usize, readable: bool) {
        let Some(peer) = self.connections.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let mut over = false;
        if readable {
            over = fill(&mut peer.stream, &mut peer.input).unwrap_or(true);
            match &self.service {
                Service::Http(handler) => {
                    while peer.later.is_none()
                        && let Some(length) = http1::message(&peer.input)
                    {
                        let reply = handler(&peer.input[..length]);
                        peer.input.drain(..length);
                        if reply.after.is_zero() && reply.then.is_none() {
                            peer.output.extend_from_slice(&reply.bytes);
                        } else {
                            self.due
                                .push(Reverse((Instant::now() + reply.after, place)));
                            peer.later = Some(reply);
                        }
                    }
                }
                Service::Grpc(grant) => {
                    let taken = peer.grpc.take(&peer.input, grant, &mut peer.output);
                    peer.input.drain(..taken);
                }
            }
        }
        if peer.flush().is_err() || over {
            self.connections[place] = None;
        }
    }

    /// The time of what was put off has come.
    fn late(&mut self, place: usize, now: Instant) {
        let Some(peer) = self.connections.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let Some(mut reply) = peer.later.take() else {
            return;
        };
        peer.output.extend_from_slice(&reply.bytes);
        if let Some(mut pace) = reply.then.take() {
            if pace.times == 0 {
                peer.output.extend_from_slice(&pace.end);
            } else {
                pace.times -= 1;
                self.due.push(Reverse((now + pace.every, place)));
                peer.later = Some(Reply {
                    bytes: Arc::clone(&pace.piece),
                    after: pace.every,
                    then: Some(pace),
                });
            }
        }
        if peer.flush().is_err() {
            self.connections[place] = None;
        }
    }
}

impl Peer {
    /// Sends what the socket takes.
    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    self.output.drain(..length);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
