//! Requests as fast as they are answered, over connections that stay.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::{fill, http1};

/// The bytes of a request, in which a number may change.
#[derive(Clone, Debug)]
pub struct Request {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where eight digits are that count up, and to how many.
    pub numbers: Option<(usize, u64)>,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so long.
    Elapsed(Duration),
    /// After so many requests.
    Requests(u64),
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Load {
    /// To whom.
    pub to: SocketAddr,
    /// How many connections, each with one request at a time.
    pub connections: usize,
    /// For how long.
    pub until: Until,
    /// The request.
    pub request: Request,
    /// The status that every answer has to have.
    pub status: u16,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answers.
    pub requests: u64,
    /// The first answer with another status.
    pub unexpected: Option<String>,
    /// How long all of it took.
    pub elapsed: Duration,
    /// How long each answer of [`Load::status`] took, in microseconds, sorted.
    pub latencies: Vec<u32>,
    /// The same of the other status.
    pub others: Vec<u32>,
}

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(10);

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// What is still to be sent of the request.
    left: usize,
    request: Vec<u8>,
    sent: Instant,
    idle: bool,
}

impl Load {
    /// Does it.
    ///
    /// # Errors
    /// When a connection fails, or nothing comes for long.
    pub fn run(&self) -> io::Result<Outcome> {
        self.run_or(None)
    }

    /// The same, where answers may have another status as well.
    ///
    /// # Errors
    /// When a connection fails, or nothing comes for long.
    pub fn run_or(&self, or: Option<u16>) -> io::Result<Outcome> {
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(256);
        let begin = Instant::now();
        let mut serial = 0;
        let mut connections = Vec::with_capacity(self.connections);
        for place in 0..self.connections {
            let mut connection = self.connect(&poll, place, begin)?;
            connection.begin(self, &mut serial, begin);
            connections.push(connection);
        }
        let mut outcome = Outcome::default();
        let mut open = connections.len();
        while open > 0 {
            if let Err(error) = poll.poll(&mut events, Some(PATIENCE)) {
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            if events.is_empty() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer came"));
            }
            for event in &events {
                let Token(place) = event.token();
                let connection = &mut connections[place];
                if connection.idle {
                    continue;
                }
                let ended =
                    event.is_readable() && fill(&mut connection.stream, &mut connection.input)?;
                let now = Instant::now();
                let Some(length) = http1::message(&connection.input) else {
                    if ended {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    connection.flush()?;
                    continue;
                };
                let response = &connection.input[..length];
                let status = http1::status(response);
                let other = or.is_some() && status == or;
                if status != Some(self.status) && !other && outcome.unexpected.is_none() {
                    outcome.unexpected = Some(String::from_utf8_lossy(response).into_owned());
                }
                let closes = ended || http1::closes(response);
                connection.input.drain(..length);
                outcome.requests += 1;
                let took = now.saturating_duration_since(connection.sent).as_micros();
                let took = u32::try_from(took).unwrap_or(u32::MAX);
                if other {
                    outcome.others.push(took);
                } else {
                    outcome.latencies.push(took);
                }
                let go_on = match self.until {
                    Until::Elapsed(time) => now.saturating_duration_since(begin) < time,
                    Until::Requests(requests) => serial < requests,
                };
                if !go_on || outcome.unexpected.is_some() {
                    connection.idle = true;
                    open -= 1;
                    continue;
                }
                if closes {
                    *connection = self.connect(&poll, place, now)?;
                }
                connection.begin(self, &mut serial, now);
                // Of a new connection epoll says when it can be written to.
                if !closes {
                    connection.flush()?;
                }
            }
        }
        outcome.elapsed = begin.elapsed();
        outcome.latencies.sort_unstable();
        outcome.others.sort_unstable();
        Ok(outcome)
    }

    fn connect(&self, poll: &Poll, place: usize, now: Instant) -> io::Result<Connection> {
        let mut stream = TcpStream::connect(self.to)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(place), both)?;
        let _ = stream.set_nodelay(true);
        Ok(Connection {
            stream,
            input: Vec::new(),
            left: 0,
            request: self.request.bytes.clone(),
            sent: now,
            idle: false,
        })
    }
}

impl Connection {
    /// The next request is to be sent.
    fn begin(&mut self, load: &Load, serial: &mut u64, now: Instant) {
        if let Some((at, numbers)) = load.request.numbers {
            let number = format!("{:08}", *serial % numbers);
            self.request[at..at + 8].copy_from_slice(number.as_bytes());
        }
        *serial += 1;
        self.left = self.request.len();
        self.sent = now;
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.left > 0 {
            let from = self.request.len() - self.left;
            match self.stream.write(&self.request[from..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => self.left -= length,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
                    ) =>
                {
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Outcome {
    /// The latency that so many percent of answers did not exceed, in
    /// microseconds.
    pub fn percentile(&self, percent: usize) -> u32 {
        at(&self.latencies, percent)
    }

    /// The same of the other status.
    pub fn percentile_of_others(&self, percent: usize) -> u32 {
        at(&self.others, percent)
    }

    /// Answers a second.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// So many percent of the way through.
fn at(sorted: &[u32], percent: usize) -> u32 {
    let place = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(place).copied().unwrap_or_default()
}
