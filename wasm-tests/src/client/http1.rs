//! HTTP/1.1 by hand, so that nothing stands between a test and the bytes.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};

use tokio::net::TcpSocket;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use super::Response;
use crate::certificate::Certificate;
use crate::peers::{PATIENCE, runtime};
use crate::scenario::Request;

/// TLS on a socket.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A connection.
#[derive(Debug)]
pub struct Http1<S = TcpStream> {
    /// The socket, or what is on it.
    stream: S,
    /// What has been read and not yet been used.
    buffer: Vec<u8>,
}

impl Http1 {
    /// A new connection.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn connect(to: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            stream: socket(to)?,
            buffer: Vec::new(),
        })
    }

    /// A new connection that ends by a reset when it is dropped.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn connect_resetting(to: SocketAddr) -> io::Result<Self> {
        let stream = runtime().block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.set_zero_linger()?;
            socket.connect(to).await?.into_std()
        })?;
        stream.set_nonblocking(false)?;
        Ok(Self {
            stream: patient(stream)?,
            buffer: Vec::new(),
        })
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn half_close(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// A second handle, to write from another thread.
    ///
    /// # Errors
    /// When the system has none.
    pub fn writer(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }
}

impl Http1<Tls> {
    /// A new connection, encrypted, to a server that has this certificate, with
    /// one of its own or without.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn connect_tls(
        to: SocketAddr,
        certificate: &Certificate,
        own: Option<&Certificate>,
    ) -> io::Result<Self> {
        let trust = certificate.trust(b"http/1.1", own);
        let connection = ClientConnection::new(trust, Certificate::server_name());
        Ok(Self {
            stream: StreamOwned::new(connection.map_err(io::Error::other)?, socket(to)?),
            buffer: Vec::new(),
        })
    }
}

impl<S: io::Read + io::Write> Http1<S> {
    /// Writes these bytes.
    ///
    /// # Errors
    /// When the other side does not take them.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Writes a request.
    ///
    /// # Errors
    /// When the other side does not take it.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        self.write(&encode(request))
    }

    /// Reads a response to its end. The end of the connection in the middle of
    /// the content is told by [`Response::whole`].
    ///
    /// # Errors
    /// When the head does not come or is none.
    pub fn response(&mut self, to_head: bool) -> io::Result<Response> {
        let mut response = self.head()?;
        let none = to_head || matches!(response.status, 204 | 304);
        response.whole = none || self.content(&mut response).is_ok();
        Ok(response)
    }

    /// Reads the head of a response, and those of interim ones before it.
    ///
    /// # Errors
    /// When it does not come or is none.
    pub fn head(&mut self) -> io::Result<Response> {
        let mut response = Response::default();
        loop {
            let line = self.line()?;
            let status = line
                .get(9..12)
                .and_then(|status| str::from_utf8(status).ok());
            response.status = status
                .and_then(|status| status.parse().ok())
                .ok_or_else(|| bad("no status line"))?;
            response.headers = self.fields()?;
            if response.status >= 200 {
                return Ok(response);
            }
            response.interim.push(response.status);
        }
    }

    /// Reads one chunk of content in chunks; empty at the end.
    ///
    /// # Errors
    /// When it does not come.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.line()?;
        let size = str::from_utf8(&line)
            .ok()
            .and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let chunk = self.take(size.ok_or_else(|| bad("no chunk size"))?)?;
        if !chunk.is_empty() {
            self.line()?;
        }
        Ok(chunk)
    }

    /// Reads until the connection ends, which has to come.
    ///
    /// # Errors
    /// When the end does not come in time.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.buffer);
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(rest),
        }
    }

    /// Reads the content of `response`.
    fn content(&mut self, response: &mut Response) -> io::Result<()> {
        if response.header("transfer-encoding").is_some() {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                response.body.extend(chunk);
            }
            response.trailers = self.fields()?;
        } else if let Some(length) = response.header("content-length") {
            let length = str::from_utf8(length)
                .ok()
                .and_then(|length| length.parse().ok());
            response.body = self.take(length.ok_or_else(|| bad("no length"))?)?;
        } else {
            response.body = self.rest()?;
        }
        Ok(())
    }

    /// Reads fields up to and with the empty line.
    fn fields(&mut self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let at = line
                .iter()
                .position(|b| *b == b':')
                .ok_or_else(|| bad("no field"))?;
            fields.push((line[..at].to_vec(), line[at + 1..].trim_ascii().to_vec()));
        }
    }

    /// Reads a line, without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n") {
                let line = self.buffer[..end].to_vec();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            self.more()?;
        }
    }

    /// Reads so many bytes.
    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.more()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads what comes next.
    fn more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16_384];
        match self.stream.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.buffer.extend_from_slice(&bytes[..read]);
                Ok(())
            }
        }
    }
}

/// A socket that waits for nothing longer than [`PATIENCE`].
fn socket(to: SocketAddr) -> io::Result<TcpStream> {
    patient(TcpStream::connect_timeout(&to, PATIENCE)?)
}

/// A socket on which nothing waits for ever.
fn patient(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A request as it is on the wire: its fields as they are, in order, with a
/// length, or in two chunks when it has trailers.
pub fn encode(request: &Request) -> Vec<u8> {
    let mut bytes = [
        &request.method[..],
        b" ",
        &request.path,
        b" HTTP/1.1\r\nHost: ",
    ]
    .concat();
    bytes.extend([&request.authority[..], b"\r\n"].concat());
    for field in &request.headers {
        bytes.extend([&field.name[..], b": ", &field.value, b"\r\n"].concat());
    }
    if request.trailers.is_empty() {
        if !request.body.is_empty() || request.method == b"POST" {
            bytes.extend(format!("Content-Length: {}\r\n", request.body.len()).as_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&request.body);
        return bytes;
    }
    bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
    for part in request.body.chunks(request.body.len().div_ceil(2).max(1)) {
        bytes.extend(format!("{:x}\r\n", part.len()).as_bytes());
        bytes.extend([part, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n");
    for field in &request.trailers {
        bytes.extend([&field.name[..], b": ", &field.value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}

/// An answer that is no HTTP.
fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
