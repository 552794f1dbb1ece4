//! An authorization server that lets in who proves to be its client, and the
//! bench around it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use mcp_token_guard_tests::client::{Protocol, Response};
use mcp_token_guard_tests::envoy::{Bench, Surroundings, now};
use mcp_token_guard_tests::peers::{Act, Peer};
use mcp_token_guard_tests::scenario::{
    Answer, Message, Reply, Vars, active, base, default_claims, post, status,
};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::{Value, json};
use sha2::Sha256;

/// Who the client is; needs form-encoding.
pub(crate) const CLIENT_ID: &str = "gw:rs & 1";

/// The base configuration with this at the introspection endpoint.
pub(crate) fn configuration(auth: &Value) -> Value {
    let mut configuration = base();
    configuration["session_key"] = "${env:SESSION_KEY}".into();
    let endpoint = &mut configuration["authorization_server"]["introspection"];
    let members = endpoint.as_object_mut().expect("an object");
    members.remove("client_secret");
    members["client_id"] = CLIENT_ID.into();
    for (name, value) in auth.as_object().expect("members") {
        members.insert(name.clone(), value.clone());
    }
    // `null` takes a member out.
    members.retain(|_, value| !value.is_null());
    configuration
}

/// The bench, with these variables in the environment of Envoy.
pub(crate) fn surroundings(environment: &[(&str, &str)]) -> Surroundings {
    let mut surroundings = Surroundings::new();
    for (name, value) in environment {
        let variable = ((*name).to_owned(), (*value).to_owned());
        surroundings.setup.environment.push(variable);
    }
    surroundings
}

/// A good request with this token.
pub(crate) fn ask(bench: &Bench, token: &str) -> Response {
    let request = post("/github/mcp").header("Authorization", format!("Bearer {token}"));
    bench.send(Protocol::Http1, &request)
}

/// Asserts that the client is told to come again, and that nothing has gone on.
pub(crate) fn is_undecided(bench: &Bench, response: &Response) {
    let what = (response.status, response.error());
    assert_eq!(what, (503, "temporarily_unavailable".to_owned()));
    assert!(response.header("retry-after").is_some());
    assert!(response.header("www-authenticate").is_none());
    assert_eq!(bench.arrived().len(), 0);
}

/// The names and values of a form.
pub(crate) fn form(message: &Message) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&message.body)
        .into_owned()
        .collect()
}

/// The answer to who is refused (RFC 6749 section 5.2).
pub(crate) fn refusal() -> Reply {
    status(401).json(json!({"error": "invalid_client"}))
}

/// Lets the server answer that the token is good, where this says nothing
/// against it, and refuse the client otherwise. Gives back what was said.
pub(crate) fn lets_in(
    peer: &Peer,
    judge: impl Fn(&Message) -> Result<(), String> + Send + Sync + 'static,
) -> Arc<Mutex<Vec<String>>> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let answer = Vars::default().answer(&active(default_claims(b"/github/mcp")), now());
    let complaints = Arc::clone(&said);
    peer.script(move |message| match judge(message) {
        Ok(()) => Act::Answer(answer.clone()),
        Err(complaint) => {
            complaints.lock().unwrap().push(complaint);
            Act::Answer(Answer::Reply(refusal()))
        }
    });
    said
}

/// What the server knows of its client's key.
pub(crate) enum Known {
    Shared(&'static str),
    Public(VerifyingKey, Option<&'static str>),
}

/// Judges client assertions as RFC 7523 section 3 has it.
pub(crate) fn assertion(
    known: Known,
    audience: &'static str,
) -> impl Fn(&Message) -> Result<(), String> + Send + Sync + 'static {
    let seen = Mutex::new(HashSet::new());
    move |message| {
        let id = judge(message, &known, audience)?;
        if seen.lock().unwrap().insert(id) {
            Ok(())
        } else {
            Err("the jti was there before".to_owned())
        }
    }
}

/// The `jti`, where all else is right.
fn judge(message: &Message, known: &Known, audience: &str) -> Result<String, String> {
    let is = |name: &str| {
        let found = message.headers.iter().find(|(n, _)| n == name.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    if is("authorization").is_some() {
        return Err("two methods at once".to_owned());
    }
    let form = form(message);
    let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "token",
        "token_type_hint",
        "client_id",
        "client_assertion_type",
        "client_assertion",
    ];
    if names != expected {
        return Err(format!("the form has {names:?}"));
    }
    if form[2].1 != CLIENT_ID {
        return Err(format!("client_id is {}", form[2].1));
    }
    if form[3].1 != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
        return Err(format!("client_assertion_type is {}", form[3].1));
    }
    let parts: Vec<&str> = form[4].1.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err("not three parts".to_owned());
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|e| e.to_string());
    let signed = format!("{header}.{claims}");
    let signature = decoded(signature)?;
    let (is_good, mut wanted) = match known {
        Known::Shared(secret) => {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
            mac.update(signed.as_bytes());
            (
                mac.verify_slice(&signature).is_ok(),
                json!({"alg": "HS256"}),
            )
        }
        Known::Public(key, key_id) => {
            let mut wanted = json!({"alg": "ES256"});
            if let Some(key_id) = key_id {
                wanted["kid"] = (*key_id).into();
            }
            let is_good = Signature::from_slice(&signature)
                .is_ok_and(|signature| key.verify(signed.as_bytes(), &signature).is_ok());
            (is_good, wanted)
        }
    };
    wanted["typ"] = "client-authentication+jwt".into();
    let header: Value = serde_json::from_slice(&decoded(header)?).map_err(|e| e.to_string())?;
    if header != wanted {
        return Err(format!("the header is {header}"));
    }
    if !is_good {
        return Err("the signature is another's".to_owned());
    }
    let claims: Value = serde_json::from_slice(&decoded(claims)?).map_err(|e| e.to_string())?;
    for (name, value) in [("iss", CLIENT_ID), ("sub", CLIENT_ID), ("aud", audience)] {
        if claims[name] != value {
            return Err(format!("{name} is {}", claims[name]));
        }
    }
    let (issued, expires) = (claims["iat"].as_f64(), claims["exp"].as_f64());
    let (Some(issued), Some(expires)) = (issued, expires) else {
        return Err("iat or exp is missing".to_owned());
    };
    if (now() - issued).abs() > 10.0 || expires <= now() || expires > issued + 60.0 {
        return Err(format!("from {issued} to {expires}, and now is {}", now()));
    }
    let id = claims["jti"].as_str().unwrap_or_default();
    if id.len() < 16 {
        return Err(format!("jti is {}", claims["jti"]));
    }
    Ok(id.to_owned())
}
