//! The way of a request through the filter.

use super::Host;
use super::headers::Headers;
use super::stream::{End, Forwarded, Hold, LocalReply, Stream, StreamId};

/// The head of a request, and what Envoy knows about it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    more: bool,
    undecided: bool,
    properties: Vec<(Vec<u8>, Vec<u8>)>,
    filter_state: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// A request that ends with its head.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Self {
        Self {
            headers: fields
                .into_iter()
                .map(|(name, value)| (name.as_ref().to_vec(), value.as_ref().to_vec()))
                .collect(),
            ..Self::default()
        }
    }

    /// Routed to this cluster.
    #[must_use]
    pub fn to(self, cluster: &str) -> Self {
        self.property(&["xds", "cluster_name"], cluster)
    }

    /// With another field.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// A body or trailers follow.
    #[must_use]
    pub fn more_follows(mut self) -> Self {
        self.more = true;
        self
    }

    /// Nothing of it may leave before [`Host::decide`] says that a verdict is in.
    #[must_use]
    pub fn undecided(mut self) -> Self {
        self.undecided = true;
        self
    }

    /// With this attribute.
    #[must_use]
    pub fn property(mut self, path: &[&str], value: impl AsRef<[u8]>) -> Self {
        self.properties
            .push((path.join("\0").into_bytes(), value.as_ref().to_vec()));
        self
    }

    /// With this in its filter state, left by a filter before ours.
    #[must_use]
    pub fn filter_state(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.filter_state
            .push((key.to_owned(), value.as_ref().to_vec()));
        self
    }
}

impl Host {
    /// A request arrives.
    pub fn request(&mut self, request: Request) -> StreamId {
        let root = self.root;
        let envoy = self.store.data_mut();
        let id = envoy.new_context();
        let headers = Headers::new(request.headers);
        let size = size_of(&headers);
        let mut stream = Stream::new(root, headers, !request.more);
        stream.undecided = request.undecided;
        stream.properties.insert(
            b"connection\0id".to_vec(),
            u64::from(id).to_le_bytes().to_vec(),
        );
        stream
            .properties
            .insert(b"source\0address".to_vec(), b"127.0.0.1:40000".to_vec());
        stream.properties.extend(request.properties);
        stream.filter_state.extend(request.filter_state);
        envoy.streams.insert(id, stream);
        self.enter("proxy_on_context_create", id, &[root]);
        self.stream_mut(id).decoding = true;
        let end = u32::from(!request.more);
        let paused = self
            .enter("proxy_on_request_headers", id, &[size, end])
            .paused();
        if self.decoded(id) {
            if paused {
                self.stream_mut(id).hold = if self.stop_iteration_only {
                    Hold::HeadIterating
                } else {
                    Hold::Head
                };
            } else {
                self.stream_mut(id).request_open = false;
                self.release_head(id);
            }
        }
        self.verify();
        StreamId(id)
    }

    /// A piece of the request's body arrives.
    pub fn body(&mut self, stream: StreamId, data: &[u8], end: bool) {
        let s = self.stream_mut(stream.0);
        if s.end.is_none() {
            s.body.extend_from_slice(data);
            s.body_ended = end;
            if s.hold != Hold::Head {
                self.deliver_body(stream.0);
            }
        }
        self.verify();
    }

    /// The request's trailers arrive, and end it.
    pub fn trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        stream: StreamId,
        fields: impl IntoIterator<Item = (N, V)>,
    ) {
        let s = self.stream_mut(stream.0);
        if s.end.is_none() {
            s.trailers = Some(Headers::new(fields));
            if s.hold != Hold::Head {
                self.deliver_trailers(stream.0);
            }
        }
        self.verify();
    }

    /// The client goes away.
    pub fn disconnect(&mut self, stream: StreamId) {
        self.destroy(stream.0, End::Disconnected);
        self.verify();
    }

    /// A verdict on an [undecided](Request::undecided) request is in: it may go.
    pub fn decide(&mut self, stream: StreamId) {
        self.stream_mut(stream.0).undecided = false;
    }

    /// Lets a held request go on, after the VM asked for it.
    pub(super) fn resume(&mut self, id: u32) {
        let stream = self.stream_mut(id);
        if stream.end.is_some() || stream.sent.is_some() {
            return;
        }
        let hold = core::mem::replace(&mut stream.hold, Hold::Nothing);
        if stream.forwarded.is_none() {
            self.release_head(id);
        }
        if hold == Hold::Head {
            // The filter has not seen the rest yet, and sees it now.
            if !self.stream_mut(id).body.is_empty() {
                self.deliver_body(id);
            }
            if self.stream_mut(id).trailers.is_some() {
                self.deliver_trailers(id);
            }
        } else {
            self.release_rest(id);
        }
    }

    /// Shows the filter the body that is waiting.
    fn deliver_body(&mut self, id: u32) {
        let stream = self.stream_mut(id);
        if stream.end.is_some() {
            return;
        }
        let view = core::mem::take(&mut stream.body);
        let length = u32::try_from(view.len()).unwrap_or(u32::MAX);
        let end = u32::from(stream.body_ended && stream.trailers.is_none());
        stream.body_view = Some(view);
        stream.decoding = true;
        let paused = self
            .enter("proxy_on_request_body", id, &[length, end])
            .paused();
        let stream = self.stream_mut(id);
        stream.body = stream.body_view.take().unwrap_or_default();
        if self.decoded(id) {
            self.after_part(id, paused);
        }
    }

    /// Shows the filter the trailers that are waiting.
    fn deliver_trailers(&mut self, id: u32) {
        let stream = self.stream_mut(id);
        if stream.end.is_some() {
            return;
        }
        let size = stream.trailers.as_ref().map_or(0, size_of);
        stream.trailers_open = true;
        stream.decoding = true;
        stream.body_ended = true;
        let paused = self
            .enter("proxy_on_request_trailers", id, &[size])
            .paused();
        if self.decoded(id) {
            self.stream_mut(id).trailers_open = paused;
            self.after_part(id, paused);
        }
    }

    /// A body or trailers callback has returned.
    fn after_part(&mut self, id: u32, paused: bool) {
        let stream = self.stream_mut(id);
        if paused {
            if stream.hold == Hold::Nothing {
                stream.hold = Hold::Rest;
            }
            return;
        }
        stream.hold = Hold::Nothing;
        if stream.forwarded.is_none() {
            stream.request_open = false;
            self.release_head(id);
        }
        self.release_rest(id);
    }

    /// A request callback is over. False if the stream is, too.
    fn decoded(&mut self, id: u32) -> bool {
        let dead = self.trap.is_some();
        let stream = self.stream_mut(id);
        stream.decoding = false;
        if stream.end.is_some() {
            return false;
        }
        if let Some(reply) = stream.prepared.take() {
            self.reply(id, reply);
            return false;
        }
        if dead {
            let reply = LocalReply {
                status: 503,
                headers: Vec::new(),
                body: Vec::new(),
            };
            self.send_reply(id, reply, End::Failed);
        }
        !dead
    }

    /// Sends the head to the upstream.
    fn release_head(&mut self, id: u32) {
        let stream = self.stream_mut(id);
        stream.forwarded = Some(Forwarded {
            headers: stream.request.clone(),
            complete: stream.head_only,
            ..Forwarded::default()
        });
        if stream.undecided {
            let envoy = self.store.data_mut();
            envoy.violation(format!("stream {id} left without a verdict"));
        }
    }

    /// Sends what has arrived of body and trailers to the upstream.
    fn release_rest(&mut self, id: u32) {
        let stream = self.stream_mut(id);
        let body = core::mem::take(&mut stream.body);
        let (trailers, ended) = (stream.trailers.clone(), stream.body_ended);
        if let Some(forwarded) = &mut stream.forwarded {
            forwarded.body.extend(body);
            forwarded.complete = ended;
            forwarded.trailers = trailers;
        }
    }

    /// A stream by its id.
    pub(super) fn stream_mut(&mut self, id: u32) -> &mut Stream {
        let streams = &mut self.store.data_mut().streams;
        streams.get_mut(&id).expect("a stream of this host")
    }
}

/// How many fields there are, as callbacks are told.
pub(super) fn size_of(headers: &Headers) -> u32 {
    u32::try_from(headers.len()).unwrap_or(u32::MAX)
}
