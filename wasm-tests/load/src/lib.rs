//! Load for Envoy, and the servers behind it.
//!
//! All of it is one thread each, on sockets that never block: what is measured
//! is Envoy, so nothing around it may be what is waited for. The servers know
//! just enough HTTP to answer what Envoy sends.

mod client;
mod grpc;
mod http1;
mod server;

pub use client::{Load, Outcome, Request, Until};
pub use grpc::{Grant, check_response};
pub use http1::response;
pub use server::{Pace, Reply, Server};

use std::io::{self, Read};

use mio::net::TcpStream;

/// Reads all that is there. Whether the other side has ended the connection.
fn fill(stream: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut some = [0; 16 * 1024];
    loop {
        match stream.read(&mut some) {
            Ok(0) => return Ok(true),
            Ok(length) => {
                into.extend_from_slice(&some[..length]);
                // Less than could be: nothing is left, and epoll says when
                // there is more.
                if length < some.len() {
                    return Ok(false);
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
                ) =>
            {
                return Ok(false);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
