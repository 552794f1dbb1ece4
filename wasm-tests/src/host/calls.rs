//! Calls that a filter makes to other clusters.

use core::time::Duration;

use super::headers::Headers;

/// A call, named by its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(super) u32);

/// A call as it was dispatched.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its token.
    pub id: CallId,
    /// The cluster.
    pub cluster: String,
    /// The head.
    pub headers: Headers,
    /// The content.
    pub body: Vec<u8>,
    /// The timeout of the whole call.
    pub timeout: Duration,
    /// The root context that owns it: one for each configuration.
    pub root: u32,
    /// Whether it is still to be answered.
    pub open: bool,
}

/// What comes back from a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A response.
    Response {
        /// The head, with `:status`.
        headers: Headers,
        /// The content.
        body: Vec<u8>,
        /// The trailers.
        trailers: Headers,
    },
    /// Nothing: the call was reset, or timed out, after the response had begun.
    /// The filter gets its callback with no headers, and must not ask for any.
    Reset,
}

impl Answer {
    /// A response with this status and this JSON.
    #[must_use]
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::response(status, [("content-type", "application/json")], body)
    }

    /// A response with these fields.
    pub fn response<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        status: u16,
        fields: impl IntoIterator<Item = (N, V)>,
        body: impl AsRef<[u8]>,
    ) -> Self {
        let mut headers = Headers::new([(":status", status.to_string())]);
        for (name, value) in fields {
            headers.add(name.as_ref(), value.as_ref());
        }
        Self::Response {
            headers,
            body: body.as_ref().to_vec(),
            trailers: Headers::default(),
        }
    }

    /// What Envoy answers itself where nobody listens.
    #[must_use]
    pub fn refused() -> Self {
        let body = "upstream connect error or disconnect/reset before headers. reset reason: \
                    remote connection failure";
        Self::response(503, [("content-type", "text/plain")], body)
    }

    /// What Envoy answers itself where nothing comes in time.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::response(
            504,
            [("content-type", "text/plain")],
            "upstream request timeout",
        )
    }
}
