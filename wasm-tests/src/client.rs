//! Clients: one that writes any bytes over HTTP/1.1, and an orderly one for
//! HTTP/2, both in the clear or over TLS. Nothing waits longer than [`crate::peers::PATIENCE`].

mod http1;
mod http2;

use std::io::{self, Read, Write};
use std::net::SocketAddr;

pub use http1::{Http1, encode};
pub use http2::{Http2, Http2Stream};

use crate::certificate::Certificate;
use crate::scenario::Request;

/// A response as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Statuses of interim responses before it.
    pub interim: Vec<u16>,
    /// Fields in order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The content.
    pub body: Vec<u8>,
    /// Trailers.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it came to its proper end.
    pub whole: bool,
}

impl Response {
    /// The first value of a field.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let is_it = |(n, _): &&(Vec<u8>, Vec<u8>)| n.eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().find(is_it).map(|(_, value)| &value[..])
    }

    /// The member `error` of a JSON body.
    pub fn error(&self) -> String {
        let json = serde_json::from_slice::<serde_json::Value>(&self.body).unwrap_or_default();
        json["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// Which HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS both sides know beforehand.
    Http2,
}

/// What HTTP goes over.
#[derive(Clone, Copy, Debug)]
pub enum Over<'a> {
    /// TCP, in the clear.
    Tcp,
    /// TLS, to a server that has this certificate.
    Tls(&'a Certificate),
    /// TLS, to a server that has the first certificate, as a client that has the
    /// second.
    Mutual(&'a Certificate, &'a Certificate),
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// When there is no response.
pub fn send(to: SocketAddr, protocol: Protocol, request: &Request) -> io::Result<Response> {
    send_over(to, Over::Tcp, protocol, request)
}

/// As [`send`], over TCP or TLS.
///
/// # Errors
/// When there is no response.
pub fn send_over(
    to: SocketAddr,
    over: Over<'_>,
    protocol: Protocol,
    request: &Request,
) -> io::Result<Response> {
    match (protocol, over) {
        (Protocol::Http1, Over::Tcp) => exchange(Http1::connect(to)?, request),
        (Protocol::Http1, Over::Tls(server)) => {
            exchange(Http1::connect_tls(to, server, None)?, request)
        }
        (Protocol::Http1, Over::Mutual(server, own)) => {
            exchange(Http1::connect_tls(to, server, Some(own))?, request)
        }
        (Protocol::Http2, Over::Tcp) => Http2::connect(to)?.exchange(request),
        (Protocol::Http2, Over::Tls(server)) => {
            Http2::connect_tls(to, server, None)?.exchange(request)
        }
        (Protocol::Http2, Over::Mutual(server, own)) => {
            Http2::connect_tls(to, server, Some(own))?.exchange(request)
        }
    }
}

/// Sends one request over HTTP/1.1 and reads the response.
fn exchange<S: Read + Write>(mut client: Http1<S>, request: &Request) -> io::Result<Response> {
    client.send(request)?;
    client.response(request.method == b"HEAD")
}
