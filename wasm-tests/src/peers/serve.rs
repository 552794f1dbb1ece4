//! Accepting, reading and noting requests.

use std::io;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::act::Content;
use super::tap::Tap;
use super::{Shared, lock};
use crate::scenario::Message;

/// Accepts until it is aborted; the connections end with it.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        // Forgets those that are over.
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        shared.note(|record| record.connections += 1);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let io = TokioIo::new(Tap {
                stream,
                shared: Arc::clone(&shared),
            });
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().max_headers(200).max_buf_size(1 << 20);
            builder.http2().max_header_list_size(1 << 20);
            // An error is a connection that ended early, which tests want.
            let _ = builder.serve_connection(io, service).await;
        });
    }
}

/// Notes a request and answers it.
async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Content>> {
    let (head, mut body) = request.into_parts();
    let mut headers = fields(&head.headers);
    if let Some(authority) = head.uri.authority() {
        headers.insert(0, (b"host".to_vec(), authority.as_str().into()));
    }
    let path = head.uri.path_and_query().map_or("*", |path| path.as_str());
    let message = Message {
        cluster: shared.name.clone(),
        method: head.method.as_str().into(),
        path: path.into(),
        headers,
        ..Message::default()
    };
    let serial = shared.note(|record| {
        record.messages.push(message.clone());
        record.taken + record.messages.len() - 1
    });
    let mut message = message;
    // The test may take the record meanwhile: then only the script sees the rest.
    let mut put = |change: &dyn Fn(&mut Message)| {
        change(&mut message);
        shared.note(|record| {
            let place = serial.checked_sub(record.taken)?;
            record.messages.get_mut(place).map(change)
        });
    };
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                shared.note(|record| record.broken += 1);
                return Err(io::Error::other(error));
            }
        };
        if let Some(data) = frame.data_ref() {
            put(&|message| message.body.extend_from_slice(data));
        } else if let Some(trailers) = frame.trailers_ref() {
            put(&|message| message.trailers = fields(trailers));
        }
    }
    shared.note(|record| record.complete += 1);
    let mut gate = shared.gate.subscribe();
    // An error says that the peer is gone, and with it this task.
    let _ = gate.wait_for(|open| *open).await;
    let script = Arc::clone(&lock(&shared.script));
    script(&message).response().await
}

/// Fields as names and values.
pub(crate) fn fields(map: &HeaderMap) -> Vec<(Vec<u8>, Vec<u8>)> {
    map.iter()
        .map(|(name, value)| (name.as_str().into(), value.as_bytes().into()))
        .collect()
}
