//! Clients: one that writes any bytes over HTTP/1.1, and an orderly one for
//! HTTP/2. Nothing waits longer than [`crate::peers::PATIENCE`].

mod http1;
mod http2;

use std::io;
use std::net::SocketAddr;

pub use http1::{Http1, encode};
pub use http2::{Http2, Http2Stream};

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
    /// HTTP/2 without TLS, both sides knowing beforehand.
    Http2,
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// When there is no response.
pub fn send(to: SocketAddr, protocol: Protocol, request: &Request) -> io::Result<Response> {
    match protocol {
        Protocol::Http1 => {
            let mut client = Http1::connect(to)?;
            client.send(request)?;
            client.response(request.method == b"HEAD")
        }
        Protocol::Http2 => Http2::connect(to)?.exchange(request),
    }
}
