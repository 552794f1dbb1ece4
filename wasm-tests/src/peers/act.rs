//! What a peer does with a request.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use tokio::sync::mpsc;

use crate::scenario::{Answer, Field, Reply, status};

/// The content of a response on its way out.
pub(super) type Content = UnsyncBoxBody<Bytes, io::Error>;

/// What a peer does with a request.
#[derive(Debug)]
pub enum Act {
    /// Answers, or fails, as in a scenario.
    Answer(Answer),
    /// Answers with this head at once, and then with whatever the test sends,
    /// until the test drops its end.
    Stream(Reply, mpsc::UnboundedReceiver<Bytes>),
}

impl Act {
    /// The response. An error closes the connection, or resets the stream.
    pub(super) async fn response(self) -> io::Result<Response<Content>> {
        let json = || status(200).header("content-type", "application/json");
        match self {
            Act::Answer(Answer::Reply(reply)) => Ok(complete(&reply)),
            Act::Answer(Answer::Refused | Answer::ResetBeforeHeaders) => Err(reset()),
            Act::Answer(Answer::ResetAfterHeaders) => {
                let (send, frames) = mpsc::unbounded_channel();
                let _ = send.send(Ok(Frame::data(Bytes::from_static(b"{\"active\":tr"))));
                let _ = send.send(Err(reset()));
                Ok(with(&json(), stream(frames)))
            }
            Act::Answer(Answer::Hang) => std::future::pending().await,
            Act::Answer(Answer::Trickle) => {
                let (send, frames) = mpsc::unbounded_channel();
                tokio::spawn(trickle(send));
                Ok(with(&json(), stream(frames)))
            }
            Act::Stream(head, mut chunks) => {
                let (send, frames) = mpsc::unbounded_channel();
                tokio::spawn(async move {
                    while let Some(chunk) = chunks.recv().await {
                        if send.send(Ok(Frame::data(chunk))).is_err() {
                            break;
                        }
                    }
                });
                Ok(with(&head, stream(frames)))
            }
        }
    }
}

/// A byte of white space every 20 ms, for ever: JSON that never begins.
async fn trickle(send: mpsc::UnboundedSender<io::Result<Frame<Bytes>>>) {
    while send.send(Ok(Frame::data(Bytes::from_static(b" ")))).is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a connection is closed for.
fn reset() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

/// A response whose content is known.
fn complete(reply: &Reply) -> Response<Content> {
    let body = Full::new(Bytes::from(reply.body.bytes())).map_err(|e: Infallible| match e {});
    if reply.trailers.is_empty() {
        return with(reply, body.boxed_unsync());
    }
    let trailers = map(&reply.trailers);
    with(
        reply,
        body.with_trailers(async move { Some(Ok(trailers)) })
            .boxed_unsync(),
    )
}

/// Content that comes from elsewhere.
fn stream(mut frames: mpsc::UnboundedReceiver<io::Result<Frame<Bytes>>>) -> Content {
    let frames = futures_util::stream::poll_fn(move |context| frames.poll_recv(context));
    StreamBody::new(frames).boxed_unsync()
}

/// The head of `reply`, with this content.
fn with(reply: &Reply, body: Content) -> Response<Content> {
    let mut response = Response::new(body);
    *response.status_mut() = reply.status.try_into().expect("a status that exists");
    *response.headers_mut() = map(&reply.headers);
    response
}

/// Fields as hyper wants them.
pub(crate) fn map(fields: &[Field]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(&field.name).expect("a field name");
        map.append(
            name,
            HeaderValue::from_bytes(&field.value).expect("a field value"),
        );
    }
    map
}
