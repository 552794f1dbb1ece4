//! What the authorization server was asked, and how.

use super::super::{Check, Step, Vars};
use super::{Message, Observed, percent_decoded, text, values};

/// The only fields that a call may have (RFC7662-5-a): nothing of the client's
/// but what correlates logs. `x-envoy-retry-*` are for Envoy, which removes
/// them.
const ALLOWED: &[&str] = &[
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-internal",
    "x-envoy-max-retries",
    "x-envoy-retry-on",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-request-id",
];

/// What is wrong with the calls that were made.
pub(super) fn complaints(step: &Step, vars: &Vars, seen: &Observed) -> Vec<String> {
    let mut found = Vec::new();
    let calls = &seen.introspections;
    if !step.expect.introspections.allows(calls.len()) {
        let expected = step.expect.introspections;
        found.push(format!(
            "introspections: {expected:?} expected, {} made",
            calls.len()
        ));
    }
    for call in calls {
        found.extend(always(step, vars, call));
        for check in &step.expect.call {
            found.extend(match check {
                Check::Pseudo(name, value) => pseudo(call, name, &vars.fill(value)),
                Check::Is(..)
                | Check::Absent(_)
                | Check::Contains(..)
                | Check::Lists(..)
                | Check::Lacks(..) => check.complaint("introspection", vars, &call.headers),
            });
        }
    }
    found
}

/// What holds for every call: RFC7662-2.1-a to -e, RFC6749-2.3-a, RFC9110-7.2-a.
fn always(step: &Step, vars: &Vars, call: &Message) -> Vec<String> {
    let fixed = [
        Check::Is(
            "content-type",
            b"application/x-www-form-urlencoded".to_vec(),
        ),
        Check::Is("accept", b"application/json".to_vec()),
        Check::Is("host", b"127.0.0.1".to_vec()),
    ];
    let mut found: Vec<String> = fixed
        .iter()
        .filter_map(|check| check.complaint("introspection", vars, &call.headers))
        .collect();
    found.extend(pseudo(call, ":method", b"POST"));
    found.extend(pseudo(call, ":path", b"/introspect"));
    let form = form(&call.body);
    let tokens: Vec<_> = form.iter().filter(|(name, _)| name == b"token").collect();
    match tokens[..] {
        [(_, token)] if *token == presented(step, vars) => {}
        _ => found.push(format!(
            "introspection: not the token presented: {}",
            text(&call.body)
        )),
    }
    let in_header = !values(&call.headers, "authorization").is_empty();
    if in_header && form.iter().any(|(name, _)| name == b"client_secret") {
        found.push("introspection: two methods of client authentication".into());
    }
    for (name, _) in &call.headers {
        let lower = name.to_ascii_lowercase();
        if !ALLOWED.iter().any(|allowed| allowed.as_bytes() == lower) {
            found.push(format!("introspection: has the field {}", text(name)));
        }
    }
    found
}

/// The token that the request presents: the last word of `Authorization`.
fn presented(step: &Step, vars: &Vars) -> Vec<u8> {
    let is_it = |name: &[u8]| name.eq_ignore_ascii_case(b"authorization");
    let field = step.request.headers.iter().find(|f| is_it(&f.name));
    let value = field.map(|f| vars.fill(&f.value)).unwrap_or_default();
    value
        .trim_ascii()
        .rsplit(|b| *b == b' ')
        .next()
        .unwrap_or_default()
        .to_vec()
}

/// A check of something that is not a field.
fn pseudo(call: &Message, name: &str, value: &[u8]) -> Option<String> {
    let got = match name {
        ":method" => &call.method,
        ":path" => &call.path,
        _ => &call.body,
    };
    let (expected, shown) = (text(value), text(got));
    (got != value).then(|| format!("introspection: `{name}` is to be {expected:?}, is {shown:?}"))
}

/// The parameters of a form body, decoded.
fn form(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |bytes: &[u8]| {
        let spaced: Vec<u8> = bytes
            .iter()
            .map(|b| if *b == b'+' { b' ' } else { *b })
            .collect();
        percent_decoded(&spaced)
    };
    body.split(|b| *b == b'&')
        .map(|pair| {
            let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
            (
                decode(&pair[..at]),
                decode(pair.get(at + 1..).unwrap_or_default()),
            )
        })
        .collect()
}
