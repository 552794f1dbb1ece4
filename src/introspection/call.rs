//! The introspection request (RFC 7662 section 2.1).

use url::form_urlencoded::byte_serialize;

use crate::callout::Callout;
use crate::client_auth::Proof;
use crate::config::Endpoint;
use crate::fields::Field;
use crate::secret::Secret;

/// Tracing headers of the request that go with the call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(Vec<(&'static str, Secret)>);

/// The longest tracing value that goes with the call, in bytes.
const LONGEST_TRACE: usize = 512;

impl Trace {
    /// Those of these fields that are there once and are what they should be.
    /// `tracestate` says nothing without a `traceparent` (W3C Trace Context
    /// section 3.3.1.4).
    pub(crate) fn of(fields: &[Field]) -> Self {
        let mut found = Vec::new();
        let mut take = |name: &'static str, fits: fn(&[u8]) -> bool| {
            let mut values = fields.iter().filter(|(given, _)| given == name);
            let value = match (values.next(), values.next()) {
                (Some((_, value)), None) if fits(value) => value,
                _ => return false,
            };
            found.push((name, Secret::new(value)));
            true
        };
        if take("traceparent", is_traceparent) {
            take("tracestate", is_plain);
        }
        take("x-request-id", is_plain);
        Self(found)
    }
}

/// Visible ASCII and spaces, of a sensible length.
fn is_plain(value: &[u8]) -> bool {
    (1..=LONGEST_TRACE).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// W3C Trace Context section 3.2.2: version, trace, parent and flags, each in
/// lower-case hex digits. Versions to come may have more behind them.
fn is_traceparent(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'-');
    let version = parts.next().filter(|part| is_hex(part, 2));
    let mut id = |length| {
        let part = parts.next().filter(|part| is_hex(part, length));
        part.is_some_and(|part| part.iter().any(|byte| *byte != b'0'))
    };
    is_plain(value)
        && version.is_some_and(|version| version != b"ff")
        && id(32)
        && id(16)
        && parts.next().is_some_and(|flags| is_hex(flags, 2))
        && (version != Some(b"00") || parts.next().is_none())
}

/// So many digits, in lower case.
fn is_hex(part: &[u8], length: usize) -> bool {
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    part.len() == length && part.iter().all(digit)
}

/// The call that asks about a token. Nothing else of the client goes with it
/// (RFC 7662 section 5) than what ties the two together in a trace.
pub(crate) fn ask(endpoint: &Endpoint, token: &[u8], trace: &Trace, proof: Proof) -> Callout {
    let mut form = b"token=".to_vec();
    for part in byte_serialize(token) {
        form.extend_from_slice(part.as_bytes());
    }
    form.extend_from_slice(b"&token_type_hint=access_token");
    let mut call = Callout::post(endpoint, form, proof);
    call.headers.extend(trace.0.iter().cloned());
    call
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::rc::Rc;

    use super::*;
    use crate::client_auth::ClientAuth;

    fn endpoint() -> Endpoint {
        Endpoint {
            url: "https://auth.example.com/introspect".into(),
            cluster: "authorization-server".into(),
            scheme: "https".into(),
            authority: "auth.example.com".into(),
            path: "/introspect".into(),
            auth: Rc::new(ClientAuth {
                client_id: String::new(),
                credentials: Vec::new(),
                place: String::new(),
            }),
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
        let call = ask(&endpoint(), b"a+b/c==", &Trace::default(), Proof::None);
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
        let basic = Proof::Authorization(Secret::new(b"Basic Z3c6cw=="));
        let call = ask(&endpoint(), b"t", &Trace::default(), basic);
        assert_eq!(header(&call, "authorization"), ["Basic Z3c6cw=="]);
        assert_eq!(call.body.expose(), b"token=t&token_type_hint=access_token");
        let post = Proof::Form(Secret::new(b"&client_id=gw&client_secret=s"));
        let call = ask(&endpoint(), b"t", &Trace::default(), post);
        assert!(header(&call, "authorization").is_empty());
        assert!(
            call.body
                .expose()
                .ends_with(b"&client_id=gw&client_secret=s")
        );
    }

    /// RFC7662-5-a: nothing of the client goes along but its trace.
    #[test]
    fn only_tracing_headers_that_are_some_go_along() {
        let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let gone_along = |fields: &[Field]| {
            let call = ask(&endpoint(), b"t", &Trace::of(fields), Proof::None);
            let names = call.headers.into_iter().map(|(name, _)| name).skip(8);
            names.collect::<Vec<_>>()
        };
        let parent = field("traceparent", PARENT);
        let state = field("tracestate", b"vendor=1,other=2");
        let id = field("x-request-id", b"7f1d1b8e-0000-4000-8000-c0ffee000001");
        let all = [state.clone(), field("cookie", b"a=b"), id, parent.clone()];
        assert_eq!(
            gone_along(&all),
            ["traceparent", "tracestate", "x-request-id"]
        );
        let call = ask(&endpoint(), b"t", &Trace::of(&all), Proof::None);
        assert_eq!(
            header(&call, "traceparent"),
            [str::from_utf8(PARENT).unwrap()]
        );
        for (name, bad) in [
            ("tracestate", vec![0xff]),
            ("x-request-id", vec![b'a'; 513]),
            ("x-request-id", Vec::new()),
        ] {
            assert!(gone_along(&[field(name, &bad)]).is_empty(), "{name}");
        }
        // Without a parent, or with two of them, the state says nothing.
        assert!(gone_along(core::slice::from_ref(&state)).is_empty());
        assert!(gone_along(&[parent.clone(), state, parent]).is_empty());
    }

    const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_version_trace_parent_and_flags() {
        assert!(is_traceparent(PARENT));
        let text = str::from_utf8(PARENT).unwrap();
        assert!(is_traceparent(
            text.replacen("00", "cc", 1)
                .replace("-01", "-01-x")
                .as_bytes()
        ));
        for bad in [
            String::new(),
            "00-1-2-01".to_owned(),
            text.replacen("00", "ff", 1),
            text.replace("-01", "-01-x"),
            text.replace("-01", ""),
            text.to_uppercase(),
            text.replace("b7ad6b7169203331", "0000000000000000"),
            text.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            text.replacen("00", "cc", 1) + "-" + &"x".repeat(512),
        ] {
            assert!(!is_traceparent(bad.as_bytes()), "{bad}");
        }
    }
}
