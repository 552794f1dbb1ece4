//! What arrived at the upstreams. Whatever else a step says, the client's token
//! is not in it.

use super::super::{Arrived, Step, Upstream, Vars};
use super::{Message, Observed, contains, percent_decoded, text};

/// What is wrong with what the upstreams got.
pub(super) fn complaints(step: &Step, vars: &Vars, seen: &Observed) -> Vec<String> {
    let mut found = Vec::new();
    match &step.expect.upstream {
        Upstream::Nothing => {
            for message in &seen.upstream {
                found.push(format!(
                    "nothing was to go upstream: {}",
                    text(&message.bytes())
                ));
            }
        }
        Upstream::One(arrived) => {
            found.extend(one(arrived, vars, seen));
            found.extend(leaks(vars, seen));
        }
        Upstream::Untouched(arrived) => found.extend(one(arrived, vars, seen)),
        Upstream::NoToken => found.extend(leaks(vars, seen)),
    }
    found
}

/// The one request that was to arrive.
fn one(arrived: &Arrived, vars: &Vars, seen: &Observed) -> Vec<String> {
    let [message] = &seen.upstream[..] else {
        return vec![format!(
            "one request was to arrive, {} did",
            seen.upstream.len()
        )];
    };
    let mut found = Vec::new();
    if arrived
        .cluster
        .is_some_and(|cluster| cluster != message.cluster)
    {
        found.push(format!(
            "was to go to {:?}, went to {}",
            arrived.cluster, message.cluster
        ));
    }
    for (what, expected, got) in [
        ("target", &arrived.path, &message.path),
        ("content", &arrived.body, &message.body),
    ] {
        if let Some(expected) = expected.as_ref().map(|bytes| vars.fill(bytes))
            && expected != *got
        {
            let (expected, got) = (text(&expected), text(got));
            found.push(format!(
                "upstream: {what} is to be {expected:?}, is {got:?}"
            ));
        }
    }
    for (checks, fields) in [
        (&arrived.headers, &message.headers),
        (&arrived.trailers, &message.trailers),
    ] {
        found.extend(
            checks
                .iter()
                .filter_map(|c| c.complaint("upstream", vars, fields)),
        );
    }
    found
}

/// Every trace of a token in anything that an upstream got: raw, in lower case,
/// and percent-encoded in any way.
fn leaks(vars: &Vars, seen: &Observed) -> Vec<String> {
    let mut places = vec![seen.upstream_bytes.clone()];
    places.extend(seen.upstream.iter().map(Message::bytes));
    let mut found = Vec::new();
    for place in &places {
        for form in [place.clone(), percent_decoded(place)] {
            let form = form.to_ascii_lowercase();
            for token in vars.tokens() {
                if contains(&form, &token.to_ascii_lowercase()) {
                    found.push(format!("LEAK: the token is in {}", text(place)));
                }
            }
        }
    }
    found
}
