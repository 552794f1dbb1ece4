//! The way of a response through the filter, and the end of a stream.

use super::Host;
use super::drive::size_of;
use super::headers::Headers;
use super::stream::{End, Response, StreamId};

impl Host {
    /// The upstream's response begins.
    ///
    /// # Panics
    ///
    /// If the stream is not one that has been forwarded and has no response yet.
    pub fn response<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        stream: StreamId,
        status: u16,
        fields: impl IntoIterator<Item = (N, V)>,
        end: bool,
    ) {
        let id = stream.0;
        let mut headers = Headers::new([(":status", status.to_string())]);
        for (name, value) in fields {
            headers.add(name.as_ref(), value.as_ref());
        }
        let s = self.stream_mut(id);
        if s.end.is_some() {
            return;
        }
        assert!(
            s.forwarded.is_some() && s.sent.is_none(),
            "a response to a request that the upstream has not got"
        );
        let size = size_of(&headers);
        s.response = headers;
        s.response_open = true;
        s.request_open = false;
        let paused = self
            .enter("proxy_on_response_headers", id, &[size, u32::from(end)])
            .paused();
        let s = self.stream_mut(id);
        if s.end.is_none() && s.sent.is_none() {
            s.response_held = paused;
            if !paused {
                self.start_response(id);
                if end {
                    self.complete(id);
                }
            }
        }
        self.verify();
    }

    /// A piece of the response's body arrives.
    pub fn response_body(&mut self, stream: StreamId, data: &[u8], end: bool) {
        let id = stream.0;
        let s = self.stream_mut(id);
        if s.end.is_some() {
            return;
        }
        s.body_view = Some(data.to_vec());
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.enter("proxy_on_response_body", id, &[length, u32::from(end)]);
        let s = self.stream_mut(id);
        let view = s.body_view.take().unwrap_or_default();
        if s.end.is_none() {
            if let Some(sent) = &mut s.sent {
                sent.body.extend(view);
            }
            if end {
                self.complete(id);
            }
        }
        self.verify();
    }

    /// The response's trailers arrive, and end it.
    pub fn response_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        stream: StreamId,
        fields: impl IntoIterator<Item = (N, V)>,
    ) {
        let id = stream.0;
        let trailers = Headers::new(fields);
        let size = size_of(&trailers);
        let s = self.stream_mut(id);
        if s.end.is_some() {
            return;
        }
        s.response_trailers = Some(trailers);
        self.enter("proxy_on_response_trailers", id, &[size]);
        let s = self.stream_mut(id);
        if s.end.is_none() {
            let trailers = s.response_trailers.take();
            if let Some(sent) = &mut s.sent {
                sent.trailers = trailers;
            }
            self.complete(id);
        }
        self.verify();
    }

    /// Lets a held response go on, after the VM asked for it.
    pub(super) fn resume_response(&mut self, id: u32) {
        let stream = self.stream_mut(id);
        if stream.end.is_none() && stream.response_held {
            stream.response_held = false;
            self.start_response(id);
        }
    }

    /// Sends the response's head to the client.
    pub(super) fn start_response(&mut self, id: u32) {
        let stream = self.stream_mut(id);
        stream.response_open = false;
        let status = stream.response.get(":status").unwrap_or_default();
        let status = core::str::from_utf8(status).unwrap_or_default();
        stream.sent = Some(Response {
            status: status.parse().unwrap_or_default(),
            headers: stream.response.clone(),
            ..Response::default()
        });
    }

    /// The response has been sent to its end.
    fn complete(&mut self, id: u32) {
        if let Some(sent) = &mut self.stream_mut(id).sent {
            sent.complete = true;
        }
        self.destroy(id, End::Completed);
    }

    /// Ends a stream: it is logged, and its context goes.
    pub(super) fn destroy(&mut self, id: u32, end: End) {
        let stream = self.stream_mut(id);
        if stream.end.is_some() {
            return;
        }
        stream.end = Some(end);
        stream.request_open = false;
        stream.trailers_open = false;
        stream.response_open = false;
        stream.logging = true;
        self.enter("proxy_on_log", id, &[]);
        self.stream_mut(id).logging = false;
        self.enter("proxy_on_done", id, &[]);
        self.enter("proxy_on_delete", id, &[]);
        let stream = self.stream_mut(id);
        stream.deleted = true;
        let root = stream.root;
        self.retire(root);
    }
}
