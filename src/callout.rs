//! A call to an OAuth endpoint: a form that is posted.

use core::time::Duration;

use crate::client_auth::Proof;
use crate::config::Endpoint;
use crate::secret::Secret;

/// A call to make: data, until the edge hands it to the host.
#[derive(Clone, Debug)]
pub struct Callout {
    /// The Envoy cluster.
    pub cluster: String,
    /// Header fields, pseudo fields first.
    pub headers: Vec<(&'static str, Secret)>,
    /// The form.
    pub body: Secret,
    /// For all of it.
    pub timeout: Duration,
}

impl Callout {
    /// Posts this form, form-encoded already, with what proves who we are.
    pub(crate) fn post(endpoint: &Endpoint, form: Vec<u8>, proof: Proof) -> Self {
        let mut headers: Vec<(&'static str, Secret)> = [
            (":method", "POST"),
            (":scheme", endpoint.scheme.as_str()),
            (":authority", endpoint.authority.as_str()),
            (":path", endpoint.path.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            // It may be tried once more where the endpoint cannot have seen it.
            // Envoy keeps these two.
            ("x-envoy-retry-on", "connect-failure,refused-stream"),
            ("x-envoy-max-retries", "1"),
        ]
        .into_iter()
        .map(|(name, value)| (name, Secret::new(value.as_bytes())))
        .collect();
        let mut body = form;
        match proof {
            Proof::Authorization(value) => headers.push(("authorization", value)),
            Proof::Form(part) => body.extend_from_slice(part.expose()),
            Proof::None => {}
        }
        Self {
            cluster: endpoint.cluster.clone(),
            headers,
            body: body.into(),
            timeout: endpoint.timeout,
        }
    }
}
