//! What a browser does when a client sends a user to log in: it follows
//! redirects and keeps cookies.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_token_guard_tests::client::{self, Protocol};
use mcp_token_guard_tests::scenario::request;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::authority::Authority;

/// Where `oidc-provider` may send the code. Nobody listens there.
pub const REDIRECT: &str = "http://127.0.0.1:9/callback";

/// Anything of the right form.
const VERIFIER: &str = "a-verifier-that-is-at-least-43-characters-long";

/// What the client `desktop` gets from `oidc-provider` for a user.
pub fn tokens(authority: &Authority, resource: &str) -> Value {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("client_id", "desktop"),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", "openid offline_access mcp:read"),
            ("resource", resource),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    let at = Url::parse(&format!("{}/auth?{query}", authority.issuer)).expect("a URL");
    let back = follow(at);
    let code = back.query_pairs().find(|(name, _)| name == "code");
    let (_, code) = code.unwrap_or_else(|| panic!("no code in {back}"));
    authority.granted(
        "desktop",
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ],
    )
}

/// Follows redirects from here to the client's redirect URI.
pub fn follow(mut at: Url) -> Url {
    let mut cookies: Vec<String> = Vec::new();
    for _ in 0..10 {
        if at.as_str().starts_with(REDIRECT) {
            return at;
        }
        let target = &at[url::Position::BeforePath..url::Position::AfterQuery];
        let address = at.socket_addrs(|| None).expect("an address")[0];
        let request = request("GET", target)
            .to(&address.to_string())
            .header("Cookie", cookies.join("; "));
        let response = client::send(address, Protocol::Http1, &request).expect("an answer");
        for (name, value) in &response.headers {
            if name.eq_ignore_ascii_case(b"set-cookie") {
                let text = String::from_utf8_lossy(value).into_owned();
                let pair = text.split(';').next().unwrap_or_default().to_owned();
                let name = pair.split('=').next().unwrap_or_default().to_owned();
                cookies.retain(|known| known.split('=').next() != Some(&name));
                cookies.push(pair);
            }
        }
        let said = String::from_utf8_lossy(&response.body);
        let to = response.header("location");
        let to = to.unwrap_or_else(|| panic!("{}: {said}", response.status));
        at = at.join(&String::from_utf8_lossy(to)).expect("a URL");
    }
    panic!("it leads in circles");
}
