//! JWT client assertions (RFC 7523 sections 2.2 and 3): `client_secret_jwt`
//! and `private_key_jwt`.

use core::fmt;
use core::time::Duration;
use std::hash::{BuildHasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::form_urlencoded::byte_serialize;

use super::private_key;
use crate::secret::Secret;
use crate::time::Now;

/// What signs an assertion.
pub(crate) enum Key {
    /// HS256: the client secret.
    Shared(Hmac<Sha256>),
    /// ES256: a private key.
    Private(SigningKey),
}

impl Key {
    /// The client secret as a key.
    pub(crate) fn shared(secret: &Secret) -> Option<Self> {
        Hmac::new_from_slice(secret.expose()).ok().map(Self::Shared)
    }

    /// A P-256 key as PEM; the error is a sentence.
    pub(crate) fn private(pem: &[u8]) -> Result<Self, &'static str> {
        private_key::read(pem).map(Self::Private)
    }

    /// `alg` (RFC 7518 section 3.1).
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Shared(_) => "HS256",
            Self::Private(_) => "ES256",
        }
    }

    /// The signature. None can be had for one message in 2^256; what is sent
    /// without one is refused.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Shared(key) => {
                let mut mac = key.clone();
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Private(key) => {
                let signature: Result<Signature, _> = key.try_sign(message);
                signature.map_or_else(|_| Vec::new(), |signature| signature.to_bytes().to_vec())
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.algorithm())
    }
}

/// Assertions of one client with one key, but for what is new in each.
#[derive(Debug)]
pub(crate) struct Assertions {
    key: Key,
    /// The form up to the assertion.
    form: String,
    /// The header, encoded, and the dot behind it.
    header: String,
    /// The claims up to the `jti` itself.
    claims: String,
}

impl Assertions {
    /// For this client, meant for this authorization server.
    pub(crate) fn new(key: Key, client_id: &str, audience: &str, key_id: Option<&str>) -> Self {
        // The type is that of the successor of RFC 7523 section 3, which also
        // wants the issuer as only audience.
        let text = |text: &str| json!(text).to_string();
        let kid = key_id.map(|key_id| format!(r#","kid":{}"#, text(key_id)));
        let header = format!(
            r#"{{"alg":"{}","typ":"client-authentication+jwt"{}}}"#,
            key.algorithm(),
            kid.unwrap_or_default()
        );
        let id: String = byte_serialize(client_id.as_bytes()).collect();
        let (client, audience) = (text(client_id), text(audience));
        Self {
            form: format!("&client_id={id}&client_assertion_type={TYPE}&client_assertion="),
            header: URL_SAFE_NO_PAD.encode(header) + ".",
            claims: format!(r#"{{"iss":{client},"sub":{client},"aud":{audience},"jti":""#),
            key,
        }
    }

    /// The part of a form that has a new assertion in it.
    pub(super) fn form(&self, id: &str, now: Now) -> Secret {
        let issued = Duration::from_millis(now.wall_ms).as_secs();
        let expires = issued.saturating_add(LIFETIME);
        let claims = format!(r#"{}{id}","iat":{issued},"exp":{expires}}}"#, self.claims);
        let mut jwt = self.header.clone();
        URL_SAFE_NO_PAD.encode_string(claims, &mut jwt);
        let signature = self.key.sign(jwt.as_bytes());
        jwt.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
        Secret::new([self.form.as_str(), &jwt].concat().as_bytes())
    }
}

/// `client_assertion_type` (RFC 7523 section 2.2), form-encoded.
const TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

/// Seconds for which an assertion is good: for the call, and for clocks that do
/// not agree.
const LIFETIME: u64 = 60;

/// Values of `jti`: no two are the same, and none can be foretold.
#[derive(Debug)]
pub(super) struct Ids {
    seed: Secret,
    count: u64,
}

impl Default for Ids {
    fn default() -> Self {
        // The randomness of the standard library's maps, which is the host's.
        let random = RandomState::new();
        let seed = [0_u8, 1].map(|half| random.hash_one(half).to_le_bytes());
        Self {
            seed: Secret::new(seed.as_flattened()),
            count: 0,
        }
    }
}

impl Ids {
    /// The next one: 22 characters of base64url.
    pub(super) fn next(&mut self) -> String {
        self.count = self.count.wrapping_add(1);
        let mut hash = Sha256::new();
        hash.update(self.seed.expose());
        hash.update(self.count.to_le_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        let (half, _) = hash.split_at(16);
        URL_SAFE_NO_PAD.encode(half)
    }
}
