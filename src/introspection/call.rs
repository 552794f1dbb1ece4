//! The introspection request (RFC 7662 section 2.1).

use core::time::Duration;

use url::form_urlencoded::byte_serialize;

use crate::config::{ClientAuth, Endpoint};
use crate::fields::Field;
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

/// Tracing headers of the request that go with the call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Vec<(&'static str, Secret)>);

const TRACE_HEADERS: [&str; 3] = ["traceparent", "tracestate", "x-request-id"];

/// The longest tracing value that goes with the call, in bytes.
const LONGEST_TRACE: usize = 512;

impl Trace {
    /// Those of these fields that are plain text of a sensible length, each
    /// name once.
    pub(crate) fn of(fields: &[Field]) -> Self {
        let mut found: Vec<(&'static str, Secret)> = Vec::new();
        for (name, value) in fields {
            let Some(known) = TRACE_HEADERS.iter().find(|known| **known == name.as_str()) else {
                continue;
            };
            let plain = value.iter().all(|byte| matches!(byte, 0x20..=0x7e));
            if plain && value.len() <= LONGEST_TRACE && !found.iter().any(|(name, _)| name == known)
            {
                found.push((known, Secret::new(value)));
            }
        }
        Self(found)
    }
}

impl Callout {
    /// The call that asks about a token. Nothing else of the client goes with
    /// it (RFC 7662 section 5) than what ties the two together in a trace.
    pub(crate) fn new(endpoint: &Endpoint, token: &[u8], trace: &Trace) -> Self {
        let mut headers: Vec<(&'static str, Secret)> = [
            (":method", "POST"),
            (":scheme", endpoint.scheme.as_str()),
            (":authority", endpoint.authority.as_str()),
            (":path", endpoint.path.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            // Introspection changes nothing, so it may be tried once more
            // where the endpoint cannot have seen it. Envoy keeps these two.
            ("x-envoy-retry-on", "connect-failure,refused-stream"),
            ("x-envoy-max-retries", "1"),
        ]
        .into_iter()
        .map(|(name, value)| (name, Secret::new(value.as_bytes())))
        .collect();
        let mut body = b"token=".to_vec();
        for part in byte_serialize(token) {
            body.extend_from_slice(part.as_bytes());
        }
        body.extend_from_slice(b"&token_type_hint=access_token");
        match &endpoint.auth {
            ClientAuth::Basic { authorization, .. } | ClientAuth::Bearer(authorization) => {
                headers.push(("authorization", authorization.clone()));
            }
            ClientAuth::None => {}
            ClientAuth::Post { form, .. } => body.extend_from_slice(form.expose()),
        }
        headers.extend(trace.0.iter().cloned());
        Self {
            cluster: endpoint.cluster.clone(),
            headers,
            body: Secret::new(&body),
            timeout: endpoint.timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(auth: ClientAuth) -> Endpoint {
        Endpoint {
            url: "https://auth.example.com/introspect".into(),
            cluster: "authorization-server".into(),
            scheme: "https".into(),
            authority: "auth.example.com".into(),
            path: "/introspect".into(),
            auth,
            timeout: Duration::from_secs(2),
        }
    }

    fn header(call: &Callout, name: &str) -> Vec<String> {
        let fields = call.headers.iter().filter(|(given, _)| *given == name);
        fields
            .map(|(_, value)| String::from_utf8(value.expose().to_vec()).unwrap())
            .collect()
    }

    /// RFC7662-2.1-a, -b, -c, -e: `+`, `/` and `=` survive the form.
    #[test]
    fn the_token_is_posted_form_encoded() {
        let call = Callout::new(&endpoint(ClientAuth::None), b"a+b/c==", &Trace::default());
        assert_eq!(header(&call, ":method"), ["POST"]);
        assert_eq!(header(&call, "accept"), ["application/json"]);
        assert_eq!(
            call.body.expose(),
            b"token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token"
        );
        assert!(header(&call, "authorization").is_empty());
    }

    /// RFC6749-2.3-a: one method of client authentication in a call.
    #[test]
    fn the_client_authenticates_by_one_method() {
        let basic = ClientAuth::Basic {
            client_id: "gw".into(),
            authorization: Secret::new(b"Basic Z3c6cw=="),
        };
        let call = Callout::new(&endpoint(basic), b"t", &Trace::default());
        assert_eq!(header(&call, "authorization"), ["Basic Z3c6cw=="]);
        assert_eq!(call.body.expose(), b"token=t&token_type_hint=access_token");
        let post = ClientAuth::Post {
            client_id: "gw".into(),
            form: Secret::new(b"&client_id=gw&client_secret=s"),
        };
        let call = Callout::new(&endpoint(post), b"t", &Trace::default());
        assert!(header(&call, "authorization").is_empty());
        assert!(
            call.body
                .expose()
                .ends_with(b"&client_id=gw&client_secret=s")
        );
    }

    /// RFC7662-5-a: nothing of the client goes along but its trace.
    #[test]
    fn only_plain_tracing_headers_go_along_once() {
        let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let trace = Trace::of(&[
            field("traceparent", b"00-1-2-01"),
            field("traceparent", b"00-3-4-01"),
            field("tracestate", b"\xff"),
            field("cookie", b"a=b"),
            field("x-request-id", &[b'a'; 513]),
        ]);
        let call = Callout::new(&endpoint(ClientAuth::None), b"t", &trace);
        assert_eq!(header(&call, "traceparent"), ["00-1-2-01"]);
        assert_eq!(call.headers.len(), 9);
    }
}
