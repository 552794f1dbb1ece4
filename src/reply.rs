//! Answers that the guard gives itself.

/// One answer: what is sent instead of asking the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The status code.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body; Envoy leaves it out for HEAD.
    pub body: String,
}

/// What a page may read besides the simple headers, on every answer that it may
/// read at all: without it a browser client does not see the challenge.
pub(crate) const EXPOSED: &str = "WWW-Authenticate, Mcp-Session-Id";

impl LocalReply {
    /// An empty answer.
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::with_capacity(8),
            body: String::new(),
        }
    }

    /// One more field.
    pub(crate) fn header(&mut self, name: &'static str, value: &str) {
        self.headers.push((name, value.to_owned()));
    }

    /// A JSON body.
    pub(crate) fn json(&mut self, body: String) {
        self.header("content-type", "application/json");
        self.body = body;
    }

    /// A refusal: never to be stored, and with a body as OAuth writes it. Both
    /// texts are ours, without anything that JSON would have to escape.
    pub(crate) fn error(&mut self, error: &'static str, description: &'static str) {
        self.header("cache-control", "no-store");
        self.json(format!(
            r#"{{"error":"{error}","error_description":"{description}"}}"#
        ));
    }

    /// Lets a page of this origin read the answer.
    pub(crate) fn allow_origin(&mut self, origin: Option<&str>) {
        if let Some(origin) = origin {
            self.header("access-control-allow-origin", origin);
            self.header("access-control-expose-headers", EXPOSED);
            self.header("vary", "Origin");
        }
    }
}
