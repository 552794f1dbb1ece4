//! What the endpoints have in common: form fields, client authentication and
//! refusals.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Host, Url, form_urlencoded};

/// Scopes that the server gives.
pub(super) const SCOPES: [&str; 2] = ["mcp:call", "mcp:read"];

/// The metadata document of RFC 8414.
pub(super) fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": SCOPES,
    })
}

/// The fields of a form or a query, in order.
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl Fields {
    pub(super) fn at_most_one(&self, name: &str) -> Result<Option<String>, Refusal> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (first, None) => Ok(first.map(|(_, value)| value.clone())),
            _ => Err(Refusal::bad("invalid_request", "a parameter came twice")),
        }
    }

    pub(super) fn one(&self, name: &str) -> Result<String, Refusal> {
        self.at_most_one(name)?
            .ok_or_else(|| Refusal::bad("invalid_request", "a parameter is missing"))
    }
}

/// An error of OAuth (RFC 6749 section 5.2).
pub(super) struct Refusal {
    status: StatusCode,
    pub(super) error: &'static str,
    description: &'static str,
}

impl Refusal {
    pub(super) fn bad(error: &'static str, description: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description,
        }
    }

    pub(super) fn client() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "invalid_client",
            description: "the client is unknown, or its secret is wrong",
        }
    }

    pub(super) fn full() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "temporarily_unavailable",
            description: "it holds all that it can",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = json_answer(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Basic realm=\"demo\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

pub(super) fn json_answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Id and secret of HTTP Basic as RFC 6749 section 2.3.1 has it: each of them
/// form-encoded before they are joined.
pub(super) fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let pair = value
        .to_str()
        .ok()
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(Refusal::client)?;
    let (id, secret) = pair.split_once(':').ok_or_else(Refusal::client)?;
    Ok(Some((form_decoded(id), form_decoded(secret))))
}

fn form_decoded(text: &str) -> String {
    // A lone value: what would separate or name it is in there only encoded.
    form_urlencoded::parse(format!("v={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// RFC 7636: what S256 makes of a verifier.
pub(super) fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

pub(super) fn is_loopback(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| {
        url.scheme() == "http"
            && match url.host() {
                Some(Host::Domain(name)) => name == "localhost",
                Some(Host::Ipv4(ip)) => ip.is_loopback(),
                Some(Host::Ipv6(ip)) => ip.is_loopback(),
                None => false,
            }
    })
}

/// The URI with these fields in its query; empty ones are left out.
pub(super) fn with_query(uri: &str, fields: &[(&str, &str)]) -> String {
    Url::parse(uri).map_or_else(
        |_| uri.to_owned(),
        |mut url| {
            url.query_pairs_mut()
                .extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
            url.into()
        },
    )
}
