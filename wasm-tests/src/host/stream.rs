//! One HTTP stream between a client and an upstream, with the filter in it.

use std::collections::BTreeMap;

use super::headers::Headers;

/// A stream, named by the id of its context in the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(super) u32);

/// Where a stream stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The filter holds it; nothing has left.
    Paused,
    /// This has left for the upstream.
    Forwarded(Forwarded),
    /// The filter answered instead of the upstream.
    Replied(Response),
    /// It is over without an answer: the client left, or the filter reset it.
    Closed,
}

/// What has left for the upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The head as it left.
    pub headers: Headers,
    /// The content so far.
    pub body: Vec<u8>,
    /// The trailers, once they have left.
    pub trailers: Option<Headers>,
    /// Whether the request was sent to its end.
    pub complete: bool,
}

/// What the client has got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The head as the client got it.
    pub headers: Headers,
    /// The content so far.
    pub body: Vec<u8>,
    /// The trailers, if any were sent.
    pub trailers: Option<Headers>,
    /// Whether it was sent to its end.
    pub complete: bool,
    /// Whether the filter, and not the upstream, is where it comes from.
    pub local: bool,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The response was sent to its end.
    Completed,
    /// The client left.
    Disconnected,
    /// The filter closed it.
    Reset,
    /// The VM had died.
    Failed,
}

/// Why the request does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It does move.
    Nothing,
    /// `Pause` from the head: no further callback until it is resumed.
    Head,
    /// The same with `allow_on_headers_stop_iteration`: body and trailers go to
    /// the filter, and a `Continue` there releases the head.
    HeadIterating,
    /// `Pause` from the body or the trailers, the head being gone.
    Rest,
}

/// A local reply before it is sent.
#[derive(Clone, Debug)]
pub(super) struct LocalReply {
    /// The status.
    pub(super) status: u16,
    /// The fields asked for.
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The content.
    pub(super) body: Vec<u8>,
}

/// Envoy's side of a stream.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, as in Envoy"
)]
pub(super) struct Stream {
    /// The root context that it was created under.
    pub(super) root: u32,
    /// The request's head as it is now.
    pub(super) request: Headers,
    /// Whether the filter can reach it: not after a resume or a `Continue`.
    pub(super) request_open: bool,
    /// Request trailers that have arrived.
    pub(super) trailers: Option<Headers>,
    /// Whether the filter can reach them.
    pub(super) trailers_open: bool,
    /// Whether the request was a head only.
    pub(super) head_only: bool,
    /// Content that has arrived and not left.
    pub(super) body: Vec<u8>,
    /// Whether all of it has arrived.
    pub(super) body_ended: bool,
    /// The piece that a body callback can read.
    pub(super) body_view: Option<Vec<u8>>,
    /// Why the request does not move.
    pub(super) hold: Hold,
    /// What has left.
    pub(super) forwarded: Option<Forwarded>,
    /// The response's head as it is now.
    pub(super) response: Headers,
    /// Whether the filter can reach it.
    pub(super) response_open: bool,
    /// Trailers of the response.
    pub(super) response_trailers: Option<Headers>,
    /// Whether the response waits for a resume.
    pub(super) response_held: bool,
    /// What the client has got.
    pub(super) sent: Option<Response>,
    /// How it ended.
    pub(super) end: Option<End>,
    /// Whether the context in the VM is gone.
    pub(super) deleted: bool,
    /// Attributes, by path with zeros between its parts.
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Filter state.
    pub(super) filter_state: BTreeMap<String, Vec<u8>>,
    /// Whether one of its own request callbacks is running.
    pub(super) decoding: bool,
    /// A reply asked for meanwhile, sent when the callback is over.
    pub(super) prepared: Option<LocalReply>,
    /// Whether the filter has asked to resume the request.
    pub(super) resumed: bool,
    /// Whether the filter has asked for a local reply.
    pub(super) replied: bool,
    /// Whether the test says that there is no verdict yet.
    pub(super) undecided: bool,
    /// Whether the log callback is running.
    pub(super) logging: bool,
}

impl Stream {
    /// A stream whose head has just arrived.
    pub(super) fn new(root: u32, request: Headers, head_only: bool) -> Self {
        Self {
            root,
            request,
            request_open: true,
            trailers: None,
            trailers_open: false,
            head_only,
            body: Vec::new(),
            body_ended: head_only,
            body_view: None,
            hold: Hold::Nothing,
            forwarded: None,
            response: Headers::default(),
            response_open: false,
            response_trailers: None,
            response_held: false,
            sent: None,
            end: None,
            deleted: false,
            properties: BTreeMap::new(),
            filter_state: BTreeMap::new(),
            decoding: false,
            prepared: None,
            resumed: false,
            replied: false,
            undecided: false,
            logging: false,
        }
    }

    /// Where it stands.
    pub(super) fn state(&self) -> State {
        match (&self.sent, &self.forwarded) {
            (Some(response), _) if response.local => State::Replied(response.clone()),
            (_, Some(forwarded)) => State::Forwarded(forwarded.clone()),
            (_, None) if self.end.is_some() => State::Closed,
            (_, None) => State::Paused,
        }
    }

    /// Whether the answer has no content, whatever its head says.
    pub(super) fn asks_for_head_only(&self) -> bool {
        self.request.get(":method") == Some(b"HEAD")
    }

    /// Whether the request, or the rest of it, is held.
    pub(super) fn held(&self) -> bool {
        self.hold != Hold::Nothing
    }
}
