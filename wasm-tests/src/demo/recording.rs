//! A listener that keeps every byte that its connections receive, before
//! anything has parsed it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What was received, connection by connection. `make run` stays up and
/// may be called for days: beyond this many bytes nothing more is kept.
const AT_MOST: usize = 64 << 20;

/// The bytes of all connections so far; clones are the same one.
#[derive(Clone, Default)]
pub struct Recording(Arc<Mutex<Vec<Vec<u8>>>>);

impl Recording {
    /// A listener that records here.
    #[must_use]
    pub fn over(&self, listener: TcpListener) -> RecordingListener {
        RecordingListener {
            listener,
            recording: self.clone(),
        }
    }

    /// The bytes received so far, one list for each connection.
    #[must_use]
    pub fn connections(&self) -> Vec<Vec<u8>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The requests received so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.connections()
            .iter()
            .flat_map(|bytes| requests(bytes))
            .collect()
    }

    fn open(&self) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Vec::new());
        all.len() - 1
    }

    fn add(&self, connection: usize, bytes: &[u8]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().map(Vec::len).sum::<usize>() + bytes.len() <= AT_MOST {
            all[connection].extend_from_slice(bytes);
        }
    }
}

/// See [`Recording::over`].
pub struct RecordingListener {
    listener: TcpListener,
    recording: Recording,
}

impl Listener for RecordingListener {
    type Io = RecordedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (RecordedStream, SocketAddr) {
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        let _ = stream.set_nodelay(true);
        let (recording, connection) = (self.recording.clone(), self.recording.open());
        (
            RecordedStream {
                stream,
                recording,
                connection,
            },
            addr,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose received bytes are kept.
pub struct RecordedStream {
    stream: TcpStream,
    recording: Recording,
    connection: usize,
}

impl AsyncRead for RecordedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.recording.add(self.connection, &buf.filled()[before..]);
        polled
    }
}

impl AsyncWrite for RecordedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// One HTTP/1.1 request as it came over the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Request line and header lines, without the empty line behind them.
    pub head: Vec<u8>,
    /// The body, chunk sizes included if it came in chunks.
    pub body: Vec<u8>,
}

impl Request {
    /// The values of this header, as bytes.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.head
            .split(|byte| *byte == b'\n')
            .skip(1)
            .filter_map(move |line| {
                let colon = line.iter().position(|byte| *byte == b':')?;
                line[..colon]
                    .eq_ignore_ascii_case(name.as_bytes())
                    .then(|| line[colon + 1..].trim_ascii())
            })
    }

    /// How many bytes of `rest` are its body; none if it is not all there.
    fn body_len(&self, rest: &[u8]) -> Option<usize> {
        let chunked = self
            .values("transfer-encoding")
            .any(|v| v.eq_ignore_ascii_case(b"chunked"));
        if chunked {
            if rest.starts_with(b"0\r\n\r\n") {
                return Some(5);
            }
            return find(rest, b"\r\n0\r\n\r\n").map(|at| at + 7);
        }
        let len = self
            .values("content-length")
            .find_map(|value| std::str::from_utf8(value).ok()?.parse().ok())
            .unwrap_or(0);
        (len <= rest.len()).then_some(len)
    }
}

/// Takes a connection's bytes apart. A request that is not all there is left out.
fn requests(mut bytes: &[u8]) -> Vec<Request> {
    let mut found = Vec::new();
    while let Some(end) = find(bytes, b"\r\n\r\n") {
        let mut request = Request {
            head: bytes[..end].to_vec(),
            body: Vec::new(),
        };
        let rest = &bytes[end + 4..];
        let Some(len) = request.body_len(rest) else {
            break;
        };
        request.body = rest[..len].to_vec();
        bytes = &rest[len..];
        found.push(request);
    }
    found
}

/// Where `needle` is first.
#[must_use]
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_taken_apart_by_lengths_and_chunks() {
        let wire = b"POST /a HTTP/1.1\r\nContent-Length: 7\r\n\r\nGET / H\
            POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nx:  1 \r\nX: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
            GET /c HTTP/1.1\r\n\r\n\
            POST /d HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf";
        let found = requests(wire);
        let bodies: Vec<&[u8]> = found
            .iter()
            .map(|request| request.body.as_slice())
            .collect();
        assert_eq!(
            bodies,
            [b"GET / H".as_slice(), b"2\r\nhi\r\n0\r\n\r\n", b""]
        );
        assert_eq!(found[1].values("X").collect::<Vec<_>>(), [b"1", b"2"]);
    }
}
