//! What the client got. Beyond what a step says, some things hold for every
//! reply of the guard, and are checked on each.

use serde_json::Value;

use super::super::{BodyCheck, Check, ENVIRONMENT, Step, Upstream, Vars};
use super::{Observed, challenge, contains, text, values};

/// The one origin that the base configuration allows.
const ALLOWED_ORIGIN: &[u8] = b"https://app.example.com";

/// What is wrong with the reply.
pub(super) fn complaints(step: &Step, vars: &Vars, seen: &Observed) -> Vec<String> {
    let expect = &step.expect;
    let mut found = Vec::new();
    if seen.status != expect.status {
        let (right, got, body) = (expect.status, seen.status, text(&seen.body));
        found.push(format!("status: {right} expected, got {got}: {body}"));
    }
    for check in &expect.headers {
        found.extend(match check {
            Check::Pseudo(name, value) => {
                let (right, got) = (vars.fill(value), whole(seen));
                let (shown, other) = (text(&right), text(&got));
                (right != got).then(|| format!("{name} differs: {shown} and {other}"))
            }
            Check::Is(..)
            | Check::Absent(_)
            | Check::Contains(..)
            | Check::Lists(..)
            | Check::Lacks(..) => check.complaint("reply", vars, &seen.headers),
        });
    }
    let checks = expect.body.iter();
    found.extend(checks.filter_map(|check| content(check, vars, &seen.body)));
    let refused = expect
        .body
        .iter()
        .any(|check| matches!(check, BodyCheck::Error(_)));
    if refused {
        found.extend(refusal(vars, seen));
    }
    if !matches!(expect.upstream, Upstream::Untouched(_)) {
        found.extend(cors(step, vars, seen));
        found.extend(secrets(vars, seen));
    }
    if step.request.method == b"HEAD" && !seen.body.is_empty() {
        found.push("reply: the answer to HEAD has content (RFC9110-9.3.2-a)".into());
    }
    found
}

/// The reply in one piece, without what differs from one moment to the next.
pub(super) fn whole(seen: &Observed) -> Vec<u8> {
    let mut all = seen.status.to_string().into_bytes();
    let passing = |name: &[u8]| {
        [&b"date"[..], b"connection"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    for (name, value) in seen.headers.iter().filter(|(name, _)| !passing(name)) {
        all.extend([b"\n", &name[..], b": ", value].concat());
    }
    all.extend([b"\n\n", &seen.body[..]].concat());
    all
}

/// What is wrong with the content.
fn content(check: &BodyCheck, vars: &Vars, body: &[u8]) -> Option<String> {
    let json = || serde_json::from_slice::<Value>(body).unwrap_or(Value::Null);
    let (holds, told) = match check {
        BodyCheck::Empty => (body.is_empty(), "be empty".to_owned()),
        BodyCheck::Error("*") => (json()["error"].is_string(), "have an `error`".to_owned()),
        BodyCheck::Error(error) => (json()["error"] == *error, format!("have `error` {error}")),
        BodyCheck::Json(value) => (json() == *value, format!("be {value}")),
        BodyCheck::Member(name, value) => {
            (json()[name] == *value, format!("have `{name}` {value}"))
        }
        BodyCheck::NoMember(name) => (
            json().is_object() && json().get(name).is_none(),
            format!("have no `{name}`"),
        ),
        BodyCheck::Is(bytes) => (body == vars.fill(bytes), format!("be {:?}", text(bytes))),
        BodyCheck::Lacks(bytes) => (
            !contains(body, &vars.fill(bytes)),
            format!("lack {:?}", text(bytes)),
        ),
    };
    (!holds).then(|| format!("reply: content is to {told}, is {:?}", text(body)))
}

/// What holds for every refusal: contract section 3, CACHE-ERR-a, MCP-BODY-a,
/// MCP-CODE-a (never a code: an OAuth error and no more),
/// RFC6750-3-a to -e, RFC9110-15.6-a.
fn refusal(vars: &Vars, seen: &Observed) -> Vec<String> {
    let mut checks = vec![
        Check::Is("content-type", b"application/json".to_vec()),
        Check::Is("cache-control", b"no-store".to_vec()),
    ];
    let error = serde_json::from_slice::<Value>(&seen.body).unwrap_or(Value::Null);
    let mut found = Vec::new();
    let word = error["error"].as_str().unwrap_or_default();
    let challenged =
        seen.status == 401 || ["invalid_request", "insufficient_scope"].contains(&word);
    if challenged {
        checks.push(Check::Contains(
            "www-authenticate",
            b"Bearer resource_metadata=".to_vec(),
        ));
    }
    if seen.status >= 500 {
        checks.push(Check::Absent("www-authenticate"));
    }
    if seen.status == 503 {
        checks.push(Check::Contains("retry-after", Vec::new()));
    }
    found.extend(
        checks
            .iter()
            .filter_map(|c| c.complaint("refusal", vars, &seen.headers)),
    );
    found.extend(
        values(&seen.headers, "www-authenticate")
            .into_iter()
            .find_map(challenge::complaint),
    );
    let only_two = error.as_object().is_some_and(|members| {
        members
            .iter()
            .all(|(k, v)| ["error", "error_description"].contains(&k.as_str()) && v.is_string())
    });
    if !only_two {
        found.push(format!(
            "refusal: content is not an OAuth error: {}",
            text(&seen.body)
        ));
    }
    found
}

/// FETCH-exp-a, FETCH-cred-a, RFC9111-4.1-v: on every reply to the allowed
/// origin, and on none to another.
fn cors(step: &Step, vars: &Vars, seen: &Observed) -> Vec<String> {
    let origins: Vec<_> = step
        .request
        .headers
        .iter()
        .filter(|f| f.name.eq_ignore_ascii_case(b"origin"))
        .map(|f| &f.value[..])
        .collect();
    let public = values(&seen.headers, "access-control-allow-origin") == [&b"*"[..]]
        && step
            .request
            .path
            .starts_with(b"/.well-known/oauth-protected-resource");
    if public {
        return Vec::new();
    }
    let mut checks = vec![Check::Absent("access-control-allow-credentials")];
    if origins == [ALLOWED_ORIGIN] {
        checks.push(Check::Is(
            "access-control-allow-origin",
            ALLOWED_ORIGIN.to_vec(),
        ));
        checks.push(Check::Lists("vary", "origin"));
        // Nothing to expose in the answer to a preflight.
        if seen.status != 204 {
            for name in ["WWW-Authenticate", "Mcp-Session-Id"] {
                checks.push(Check::Lists("access-control-expose-headers", name));
            }
        }
    } else if origins.len() == 1 && origins != [&b"https://gateway.example.com"[..]] {
        checks.push(Check::Absent("access-control-allow-origin"));
    }
    checks
        .iter()
        .filter_map(|c| c.complaint("CORS", vars, &seen.headers))
        .collect()
}

/// PRIV-a, MCP-PASS-h: nothing secret, no token and nobody's data in a reply.
fn secrets(vars: &Vars, seen: &Observed) -> Vec<String> {
    let mut all = seen.body.clone();
    for (name, value) in &seen.headers {
        all.extend([name, &b": "[..], value, b"\n"].concat());
    }
    let mut hidden: Vec<&[u8]> = ENVIRONMENT
        .iter()
        .map(|(_, value)| value.as_bytes())
        .collect();
    hidden.push(b"kanarie-username");
    hidden.extend(vars.tokens());
    hidden
        .into_iter()
        .filter(|secret| contains(&all, secret))
        .map(|secret| format!("reply: tells {}", text(secret)))
        .collect()
}
