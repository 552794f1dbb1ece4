//! Local replies.

use super::Host;
use super::drive::size_of;
use super::headers::Headers;
use super::stream::{End, LocalReply, Response};

impl Host {
    /// Answers in the upstream's place, after the VM asked for it.
    pub(super) fn reply(&mut self, id: u32, reply: LocalReply) {
        let stream = self.stream_mut(id);
        if stream.end.is_some() {
            return;
        }
        if stream.decoding {
            stream.prepared = Some(reply);
        } else if stream.sent.is_some() {
            // Too late for an answer: all that Envoy can do is cut it off.
            self.destroy(id, End::Reset);
        } else if stream.response_open || stream.response_held {
            // In the place of the upstream's response, past the filters.
            self.send_reply(id, reply, End::Completed);
        } else {
            self.reply_through_filters(id, reply);
        }
    }

    /// Sends a reply, which the filter sees as a response first.
    fn reply_through_filters(&mut self, id: u32, reply: LocalReply) {
        let headers = reply_headers(&reply);
        let size = size_of(&headers);
        let stream = self.stream_mut(id);
        let empty = reply.body.is_empty() || stream.asks_for_head_only();
        stream.response = headers;
        stream.response_open = true;
        self.enter("proxy_on_response_headers", id, &[size, u32::from(empty)]);
        if self.stream_mut(id).end.is_some() {
            return;
        }
        self.start_response(id);
        let mut body = if empty { Vec::new() } else { reply.body };
        if !empty {
            let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
            self.stream_mut(id).body_view = Some(body);
            self.enter("proxy_on_response_body", id, &[length, 1]);
            body = self.stream_mut(id).body_view.take().unwrap_or_default();
        }
        let stream = self.stream_mut(id);
        if stream.end.is_some() {
            return;
        }
        if let Some(sent) = &mut stream.sent {
            sent.body = body;
            sent.local = true;
            sent.complete = true;
        }
        self.destroy(id, End::Completed);
    }

    /// Sends a reply that no filter sees.
    pub(super) fn send_reply(&mut self, id: u32, reply: LocalReply, end: End) {
        let stream = self.stream_mut(id);
        let headers = reply_headers(&reply);
        stream.sent = Some(Response {
            status: reply.status,
            headers,
            body: if stream.asks_for_head_only() {
                Vec::new()
            } else {
                reply.body
            },
            trailers: None,
            complete: true,
            local: true,
        });
        self.destroy(id, end);
    }
}

/// The head of a local reply, as Envoy completes it.
fn reply_headers(reply: &LocalReply) -> Headers {
    let mut headers = Headers::new([(":status", reply.status.to_string())]);
    for (name, value) in &reply.headers {
        headers.add(name, value);
    }
    if !reply.body.is_empty() {
        headers.replace(b"content-length", reply.body.len().to_string().as_bytes());
        if headers.get("content-type").is_none() {
            headers.add(b"content-type", b"text/plain");
        }
    }
    headers
}
