//! An HTTP/2 client.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::iter;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Response;
use crate::certificate::Certificate;
use crate::peers::{PATIENCE, fields, map, runtime};
use crate::scenario::Request;

/// The content of a request.
type Content = BoxBody<Bytes, Infallible>;

/// A connection.
#[derive(Debug)]
pub struct Http2 {
    /// Where requests go in.
    send: SendRequest<Content>,
    /// The scheme of their URLs.
    scheme: &'static str,
}

impl Http2 {
    /// A new connection.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn connect(to: SocketAddr) -> io::Result<Self> {
        block(PATIENCE, async {
            Self::over(socket(to).await?, "http").await
        })
    }

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
        let connector = TlsConnector::from(certificate.trust(b"h2", own));
        block(PATIENCE, async {
            let name = Certificate::server_name();
            let stream = connector.connect(name, socket(to).await?).await?;
            Self::over(stream, "https").await
        })
    }

    /// HTTP/2 on a connection.
    async fn over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        scheme: &'static str,
    ) -> io::Result<Self> {
        let (send, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self { send, scheme })
    }

    /// Sends a request and reads the response to its end.
    ///
    /// # Errors
    /// When there is none, or the request cannot be told in HTTP/2.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        let sent = self.send.send_request(compose(request, self.scheme)?);
        block(PATIENCE, async {
            let response = sent.await.map_err(io::Error::other)?;
            Ok(collect(response).await)
        })
    }

    /// Sends a request and reads the head of the response. The content is read
    /// from the stream, as it comes.
    ///
    /// # Errors
    /// When there is none, or the request cannot be told in HTTP/2.
    pub fn open(&mut self, request: &Request) -> io::Result<(u16, Http2Stream)> {
        let sent = self.send.send_request(compose(request, self.scheme)?);
        block(PATIENCE, async {
            let response = sent.await.map_err(io::Error::other)?;
            let (head, body) = response.into_parts();
            Ok((head.status.as_u16(), Http2Stream { body }))
        })
    }

    /// Sends a request and lets go of it without waiting for the response,
    /// which resets the stream.
    ///
    /// # Errors
    /// When the request cannot be told in HTTP/2.
    pub fn abandon(&mut self, request: &Request, after: impl FnOnce()) -> io::Result<()> {
        let sent = self.send.send_request(compose(request, self.scheme)?);
        let task = runtime().spawn(sent);
        after();
        task.abort();
        Ok(())
    }
}

/// The content of a response that is still coming.
#[derive(Debug)]
pub struct Http2Stream {
    /// Where it comes from.
    body: Incoming,
}

impl Http2Stream {
    /// What comes next; none at the end, an error when the stream is reset.
    ///
    /// # Errors
    /// When the stream is reset, or nothing comes.
    pub fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        block(PATIENCE, async {
            let frame = self.body.frame().await.transpose();
            let frame = frame.map_err(io::Error::other)?;
            Ok(frame.and_then(|frame| frame.into_data().ok()))
        })
    }
}

/// A socket.
async fn socket(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads all of a response.
async fn collect(response: hyper::Response<Incoming>) -> Response {
    let (head, mut body) = response.into_parts();
    let mut read = Response {
        status: head.status.as_u16(),
        headers: fields(&head.headers),
        whole: true,
        ..Response::default()
    };
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            read.whole = false;
            break;
        };
        if let Some(data) = frame.data_ref() {
            read.body.extend_from_slice(data);
        } else if let Some(trailers) = frame.trailers_ref() {
            read.trailers = fields(trailers);
        }
    }
    read
}

/// The request as hyper wants it.
fn compose(request: &Request, scheme: &str) -> io::Result<hyper::Request<Content>> {
    let uri = [scheme.as_bytes(), b"://", &request.authority, &request.path].concat();
    let mut composed = hyper::Request::builder()
        .method(&request.method[..])
        .uri(&uri[..])
        .body(content(request))
        .map_err(io::Error::other)?;
    *composed.headers_mut() = map(&request.headers);
    Ok(composed)
}

/// The content of the request, with its trailers.
fn content(request: &Request) -> Content {
    let body = Bytes::from(request.body.clone());
    if request.trailers.is_empty() {
        return Full::new(body).boxed();
    }
    // Of unknown length: with a length there is no room for trailers behind the
    // content once the request goes on over HTTP/1.1.
    let frames = [Frame::data(body), Frame::trailers(map(&request.trailers))];
    StreamBody::new(iter(frames.map(Ok))).boxed()
}

/// Waits for `work`, but not longer than `limit`.
fn block<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    runtime().block_on(async {
        timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    })
}
