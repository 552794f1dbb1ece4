//! The request to a token endpoint (RFC 6749 section 4.4.2, RFC 8693 section
//! 2.1).

use url::form_urlencoded::byte_serialize;

use crate::callout::Callout;
use crate::client_auth::Proof;
use crate::config::{Fetch, Grant};
use crate::secret::Secret;

/// The call that fetches a credential. The client's token, where there is one,
/// is for the token endpoint alone; nothing else of a request goes with it.
pub(super) fn call(fetch: &Fetch, subject: Option<&Secret>, proof: Proof) -> Callout {
    let mut form = match fetch.grant {
        Grant::ClientCredentials => b"grant_type=client_credentials".to_vec(),
        Grant::TokenExchange => EXCHANGE.as_bytes().to_vec(),
    };
    if let Some(subject) = subject {
        form.extend_from_slice(b"&subject_token=");
        for part in byte_serialize(subject.expose()) {
            form.extend_from_slice(part.as_bytes());
        }
    }
    form.extend_from_slice(fetch.targets.as_bytes());
    Callout::post(&fetch.endpoint, form, proof)
}

/// An access token for an access token.
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
    &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
