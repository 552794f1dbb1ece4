//! A small OAuth 2.1 authorization server for the demonstration.
//!
//! It issues opaque tokens bound to one resource (RFC 8707) to clients that it
//! knows (client credentials) and to clients that register (RFC 7591;
//! authorization code with PKCE, approved without asking: whoever reaches the
//! loopback address is "alice"). It answers introspection (RFC 7662), to the
//! gateway only, and revocation (RFC 7009). It forgets all when it ends.

mod parts;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde_json::{Value, json};

use parts::{
    Fields, Refusal, SCOPES, basic, challenge_of, document, is_loopback, json_answer, with_query,
};

const TOKEN_LIFE: Duration = Duration::from_secs(3600);
const CODE_LIFE: Duration = Duration::from_secs(60);
/// Of each kind: it stays up, and everybody on the machine may register.
const AT_MOST: usize = 10_000;

/// The server; clones are the same one.
#[derive(Clone)]
pub struct AuthorizationServer(Arc<Inner>);

struct Inner {
    issuer: String,
    gateway: (String, String),
    introspections: AtomicUsize,
    state: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    clients: HashMap<String, Client>,
    codes: HashMap<String, Grant>,
    tokens: HashMap<String, Token>,
}

#[derive(Clone, Default)]
struct Client {
    /// None: a public client.
    secret: Option<String>,
    redirect_uris: Vec<String>,
}

struct Grant {
    client_id: String,
    redirect_uri: String,
    challenge: String,
    resource: String,
    scope: String,
    until: Instant,
}

struct Token {
    client_id: String,
    sub: String,
    resource: String,
    scope: String,
    exp: u64,
}

type Answer = Result<Response, Refusal>;

impl AuthorizationServer {
    /// One that knows a gateway, which may introspect, and a client, which may
    /// have tokens; both with their secrets.
    #[must_use]
    pub fn new(issuer: &str, gateway: (&str, &str), client: (&str, &str)) -> Self {
        let mut held = Held::default();
        let secret = Some(client.1.to_owned());
        let known = Client {
            secret,
            ..Client::default()
        };
        held.clients.insert(client.0.to_owned(), known);
        Self(Arc::new(Inner {
            issuer: issuer.to_owned(),
            gateway: (gateway.0.to_owned(), gateway.1.to_owned()),
            introspections: AtomicUsize::new(0),
            state: Mutex::new(held),
        }))
    }

    /// How often it was asked about a token.
    #[must_use]
    pub fn introspections(&self) -> usize {
        self.0.introspections.load(Ordering::Relaxed)
    }

    /// Its endpoints.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/introspect", post(introspect))
            .route("/revoke", post(revoke))
            .with_state(self.clone())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which client sent this, proven by its secret if it has one.
    fn client(&self, headers: &HeaderMap, form: &Fields) -> Result<String, Refusal> {
        let (id, secret) = match basic(headers)? {
            Some((id, secret)) => (id, Some(secret)),
            None => (form.one("client_id")?, form.at_most_one("client_secret")?),
        };
        let held = self.held();
        match held.clients.get(&id) {
            Some(client) if client.secret == secret => Ok(id),
            _ => Err(Refusal::client()),
        }
    }

    fn issue(&self, token: Token) -> Answer {
        let name = super::random();
        let answer = json!({
            "access_token": name,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFE.as_secs(),
            "scope": token.scope,
        });
        let mut held = self.held();
        held.tokens.retain(|_, token| token.exp > now());
        if held.tokens.len() >= AT_MOST {
            return Err(Refusal::full());
        }
        held.tokens.insert(name, token);
        Ok(json_answer(StatusCode::OK, &answer))
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

async fn metadata(State(server): State<AuthorizationServer>) -> Json<Value> {
    Json(document(&server.0.issuer))
}

/// RFC 7591, for clients whose redirect URIs stay on this machine.
async fn register(
    State(server): State<AuthorizationServer>,
    Json(mut wish): Json<Value>,
) -> Answer {
    let redirect_uris: Vec<String> = wish["redirect_uris"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|uri| uri.as_str().map(str::to_owned))
        .collect();
    if redirect_uris.is_empty() || !redirect_uris.iter().all(|uri| is_loopback(uri)) {
        return Err(Refusal::bad(
            "invalid_redirect_uri",
            "http on a loopback address is asked for",
        ));
    }
    // Said also to a client that did not ask: not all know the default.
    let method = wish["token_endpoint_auth_method"].as_str();
    let method = method.unwrap_or("client_secret_basic").to_owned();
    let public = method == "none";
    wish["token_endpoint_auth_method"] = json!(method);
    let (id, secret) = (super::random(), (!public).then(super::random));
    wish["client_id"] = json!(id);
    wish["grant_types"] = json!(["authorization_code"]);
    wish["response_types"] = json!(["code"]);
    if let Some(secret) = &secret {
        wish["client_secret"] = json!(secret);
        wish["client_secret_expires_at"] = json!(0);
    }
    let mut held = server.held();
    if held.clients.len() >= AT_MOST {
        return Err(Refusal::full());
    }
    held.clients.insert(
        id,
        Client {
            secret,
            redirect_uris,
        },
    );
    Ok(json_answer(StatusCode::CREATED, &wish))
}

/// The authorization endpoint: says yes.
async fn authorize(
    State(server): State<AuthorizationServer>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let query = Fields(query);
    let (client_id, redirect_uri) = (query.one("client_id")?, query.one("redirect_uri")?);
    let mut held = server.held();
    // Until both are known to belong together nobody is sent anywhere.
    match held.clients.get(&client_id) {
        Some(client) if client.redirect_uris.contains(&redirect_uri) => {}
        _ => return Err(Refusal::client()),
    }
    held.codes.retain(|_, grant| grant.until > Instant::now());
    if held.codes.len() >= AT_MOST {
        return Err(Refusal::full());
    }
    let code = super::random();
    let said = granted(&query).map(|(challenge, resource, scope)| {
        held.codes.insert(
            code.clone(),
            Grant {
                client_id,
                redirect_uri: redirect_uri.clone(),
                challenge,
                resource,
                scope,
                until: Instant::now() + CODE_LIFE,
            },
        );
    });
    let state = query.at_most_one("state")?.unwrap_or_default();
    let result = match &said {
        Ok(()) => ("code", code.as_str()),
        Err(refusal) => ("error", refusal.error),
    };
    let to = with_query(
        &redirect_uri,
        &[result, ("state", &state), ("iss", &server.0.issuer)],
    );
    Ok((StatusCode::FOUND, [(header::LOCATION, to)]).into_response())
}

/// Challenge, resource and scope of a request that can be granted.
fn granted(query: &Fields) -> Result<(String, String, String), Refusal> {
    if query.one("response_type")? != "code" {
        return Err(Refusal::bad(
            "unsupported_response_type",
            "code is asked for",
        ));
    }
    if query.one("code_challenge_method")? != "S256" {
        return Err(Refusal::bad(
            "invalid_request",
            "PKCE with S256 is asked for",
        ));
    }
    Ok((
        query.one("code_challenge")?,
        resource(query)?,
        scope(query)?,
    ))
}

/// RFC 8707: a token is for one resource.
fn resource(form: &Fields) -> Result<String, Refusal> {
    form.one("resource")
        .map_err(|_| Refusal::bad("invalid_target", "one resource is asked for"))
}

fn scope(form: &Fields) -> Result<String, Refusal> {
    let scope = form
        .at_most_one("scope")?
        .unwrap_or_else(|| SCOPES[0].to_owned());
    if scope.split(' ').all(|word| SCOPES.contains(&word)) {
        Ok(scope)
    } else {
        Err(Refusal::bad("invalid_scope", "a scope is unknown"))
    }
}

/// The token endpoint.
async fn token(
    State(server): State<AuthorizationServer>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Answer {
    let form = Fields(form);
    let client_id = server.client(&headers, &form)?;
    let exp = now() + TOKEN_LIFE.as_secs();
    match form.one("grant_type")?.as_str() {
        "client_credentials" => {
            let secret = server
                .held()
                .clients
                .get(&client_id)
                .and_then(|c| c.secret.clone());
            if secret.is_none() {
                return Err(Refusal::bad("unauthorized_client", "it has no secret"));
            }
            let (resource, scope) = (resource(&form)?, scope(&form)?);
            server.issue(Token {
                sub: client_id.clone(),
                client_id,
                resource,
                scope,
                exp,
            })
        }
        "authorization_code" => {
            let wrong = || Refusal::bad("invalid_grant", "the code is not good for this");
            // Taken out whatever comes: a code is tried once.
            let code = form.one("code")?;
            let grant = server.held().codes.remove(&code).ok_or_else(wrong)?;
            let proven = grant.challenge == challenge_of(&form.one("code_verifier")?);
            let same =
                grant.client_id == client_id && grant.redirect_uri == form.one("redirect_uri")?;
            let resource = form.at_most_one("resource")?;
            if !proven
                || !same
                || grant.until < Instant::now()
                || resource.is_some_and(|r| r != grant.resource)
            {
                return Err(wrong());
            }
            let (resource, scope) = (grant.resource, grant.scope);
            server.issue(Token {
                sub: "alice".to_owned(),
                client_id,
                resource,
                scope,
                exp,
            })
        }
        _ => Err(Refusal::bad("unsupported_grant_type", "it is not offered")),
    }
}

/// RFC 7662.
async fn introspect(
    State(server): State<AuthorizationServer>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Answer {
    server.0.introspections.fetch_add(1, Ordering::Relaxed);
    if basic(&headers)?.as_ref() != Some(&server.0.gateway) {
        return Err(Refusal::client());
    }
    let held = server.held();
    let answer = match held.tokens.get(&Fields(form).one("token")?) {
        Some(token) if token.exp > now() => json!({
            "active": true,
            "token_type": "Bearer",
            "iss": server.0.issuer,
            "aud": token.resource,
            "sub": token.sub,
            "client_id": token.client_id,
            "scope": token.scope,
            "exp": token.exp,
            "iat": token.exp - TOKEN_LIFE.as_secs(),
        }),
        _ => json!({"active": false}),
    };
    Ok(json_answer(StatusCode::OK, &answer))
}

/// RFC 7009: a client may revoke its own tokens.
async fn revoke(
    State(server): State<AuthorizationServer>,
    headers: HeaderMap,
    Form(form): Form<Vec<(String, String)>>,
) -> Answer {
    let form = Fields(form);
    let client_id = server.client(&headers, &form)?;
    let name = form.one("token")?;
    let mut held = server.held();
    if held
        .tokens
        .get(&name)
        .is_some_and(|token| token.client_id == client_id)
    {
        held.tokens.remove(&name);
    }
    Ok(StatusCode::OK.into_response())
}
