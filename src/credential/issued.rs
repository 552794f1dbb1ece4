//! What a token endpoint answers (RFC 6749 sections 5.1 and 5.2, RFC 8693
//! section 2.2).

use super::{Fault, SCHEME, Unfetched};
use crate::bearer::{LONGEST, is_token68};
use crate::config::Grant;
use crate::introspection::{Reply, is_json, seconds};
use crate::json::{self, Json};
use crate::leak::Search;
use crate::secret::Secret;

/// A token that was issued to us.
#[derive(Debug)]
pub(super) struct Issued {
    /// `Bearer` and the token.
    pub(super) authorization: Secret,
    /// `expires_in`, in seconds.
    pub(super) expires_in: Option<f64>,
}

impl Issued {
    /// What the reply to a call with this grant gives; `subject` is the client's
    /// token, where one was exchanged.
    pub(super) fn read(
        reply: &Reply<'_>,
        grant: Grant,
        subject: Option<&Secret>,
    ) -> Result<Self, Unfetched> {
        let (status, content_type, retry_after, body) = match reply {
            Reply::NotSent | Reply::Broken => return Err(Fault::Unreachable.into()),
            Reply::TooLarge => return Err(Fault::TooLarge.into()),
            Reply::Whole {
                status,
                content_type,
                retry_after,
                body,
            } => (*status, *content_type, *retry_after, *body),
        };
        match status {
            200 => {}
            400 | 401 | 403 => return Err(refusal(status, body, grant).into()),
            429 => {
                let mut throttled = Unfetched::from(Fault::Throttled);
                if let Some(seconds) = retry_after.and_then(seconds) {
                    throttled.retry_after = seconds;
                }
                return Err(throttled);
            }
            // Envoy itself answers so where nothing else did.
            503 | 504 => return Err(Fault::Unreachable.into()),
            _ => return Err(Fault::Status.into()),
        }
        if !content_type.is_some_and(is_json) {
            return Err(Fault::Malformed.into());
        }
        let answer = json::parse(body).map_err(|_| Fault::Malformed)?;
        if answer.duplicate() {
            return Err(Fault::Malformed.into());
        }
        let issued = Self::members(&answer, grant).ok_or(Fault::Malformed)?;
        // A token that is given back would cross the boundary under another name.
        let echoes = |token: &Secret| Search::new(token.expose()).in_value(issued.token());
        if subject.is_some_and(echoes) {
            return Err(Fault::Echoed.into());
        }
        Ok(issued)
    }

    /// The token alone.
    pub(super) fn token(&self) -> &[u8] {
        let value = self.authorization.expose();
        value.strip_prefix(SCHEME).unwrap_or(value)
    }

    /// The members, each of the type that it has to have.
    fn members(answer: &Json, grant: Grant) -> Option<Self> {
        let text = |name: &str| answer.get(name).and_then(Json::as_str);
        let token = text("access_token")?.as_bytes();
        if token.len() > LONGEST || !is_token68(token) {
            return None;
        }
        if !text("token_type")?.eq_ignore_ascii_case("bearer") {
            return None;
        }
        if grant == Grant::TokenExchange && !TYPES.contains(&text("issued_token_type")?) {
            return None;
        }
        let expires_in = match answer.get("expires_in") {
            None => None,
            Some(value) => Some(value.as_f64()?),
        };
        Some(Self {
            authorization: [SCHEME, token].concat().into(),
            expires_in,
        })
    }
}

/// What may have been issued where an access token was asked for.
const TYPES: &[&str] = &[
    "urn:ietf:params:oauth:token-type:access_token",
    "urn:ietf:params:oauth:token-type:jwt",
];

/// Whom a refusal is about. With client credentials there is nobody but us.
fn refusal(status: u16, body: &[u8], grant: Grant) -> Fault {
    let is_about_us = || {
        json::parse(body).is_ok_and(|answer| {
            matches!(
                answer.get("error").and_then(Json::as_str),
                Some("invalid_client" | "unauthorized_client" | "unsupported_grant_type")
            )
        })
    };
    match grant {
        Grant::ClientCredentials => Fault::ClientRefused,
        Grant::TokenExchange if status == 401 || is_about_us() => Fault::ClientRefused,
        Grant::TokenExchange => Fault::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"access_token":"a.b","token_type":"bEARER","expires_in":60,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token","scope":"x"}"#;

    fn reply(status: u16, body: &str) -> Reply<'_> {
        Reply::Whole {
            status,
            content_type: Some(b"application/json;charset=UTF-8"),
            retry_after: Some(b"7"),
            body: body.as_bytes(),
        }
    }

    fn fault(reply: &Reply<'_>, grant: Grant) -> Fault {
        let subject = Secret::new(b"client");
        Issued::read(reply, grant, Some(&subject))
            .unwrap_err()
            .fault
    }

    #[test]
    fn a_bearer_token_and_its_lifetime_are_read() {
        for grant in [Grant::ClientCredentials, Grant::TokenExchange] {
            let issued = Issued::read(&reply(200, GOOD), grant, None).unwrap();
            assert_eq!(issued.authorization.expose(), b"Bearer a.b");
            assert_eq!(issued.expires_in, Some(60.0));
        }
        let bare = r#"{"access_token":"a==","token_type":"Bearer"}"#;
        let issued = Issued::read(&reply(200, bare), Grant::ClientCredentials, None).unwrap();
        assert_eq!(issued.expires_in, None);
    }

    #[test]
    fn anything_else_is_malformed() {
        let without = |name: &str| GOOD.replace(&format!("\"{name}\""), "\"other\"");
        for body in [
            String::new(),
            "[]".to_owned(),
            GOOD.replace("a.b", ""),
            GOOD.replace("a.b", "a b"),
            GOOD.replace("a.b", "a,b"),
            GOOD.replace("a.b", &"a".repeat(8_193)),
            GOOD.replace("bEARER", "DPoP"),
            GOOD.replace("60", "\"60\""),
            GOOD.replace("60", "null"),
            GOOD.replace("\"x\"", "\"x\",\"scope\":\"x\""),
            GOOD.replace("token-type:access_token", "token-type:refresh_token"),
            without("access_token"),
            without("token_type"),
            without("issued_token_type"),
        ] {
            let found = fault(&reply(200, &body), Grant::TokenExchange);
            assert_eq!(found, Fault::Malformed, "{body}");
        }
        let text = Reply::Whole {
            status: 200,
            content_type: Some(b"text/plain"),
            retry_after: None,
            body: GOOD.as_bytes(),
        };
        assert_eq!(fault(&text, Grant::ClientCredentials), Fault::Malformed);
        let longest = GOOD.replace("a.b", &"a".repeat(8_192));
        assert!(Issued::read(&reply(200, &longest), Grant::TokenExchange, None).is_ok());
    }

    #[test]
    fn the_clients_token_is_not_taken_back() {
        for token in ["a.b", "a-long-token-of-a-client"] {
            let subject = Secret::new(token.as_bytes());
            for given in [token, &format!("xx{token}xx")] {
                let body = GOOD.replace("a.b", given);
                let read = Issued::read(&reply(200, &body), Grant::TokenExchange, Some(&subject));
                let inside = given != token && token.len() < 16;
                let found = read.err().map(|unfetched| unfetched.fault);
                assert_eq!(found, (!inside).then_some(Fault::Echoed), "{given}");
            }
        }
    }

    /// RFC 6749 section 5.2, RFC 8693 section 2.2.2.
    #[test]
    fn a_refusal_is_about_us_or_about_the_token() {
        use Grant::{ClientCredentials, TokenExchange};
        for (status, error, own, exchanged) in [
            (
                400,
                "invalid_client",
                Fault::ClientRefused,
                Fault::ClientRefused,
            ),
            (
                400,
                "unauthorized_client",
                Fault::ClientRefused,
                Fault::ClientRefused,
            ),
            (401, "", Fault::ClientRefused, Fault::ClientRefused),
            (400, "invalid_request", Fault::ClientRefused, Fault::Refused),
            (400, "invalid_target", Fault::ClientRefused, Fault::Refused),
            (403, "access_denied", Fault::ClientRefused, Fault::Refused),
            (500, "server_error", Fault::Status, Fault::Status),
            (302, "", Fault::Status, Fault::Status),
            (429, "", Fault::Throttled, Fault::Throttled),
            (503, "", Fault::Unreachable, Fault::Unreachable),
        ] {
            let body = format!(r#"{{"error":"{error}"}}"#);
            assert_eq!(
                fault(&reply(status, &body), ClientCredentials),
                own,
                "{error}"
            );
            assert_eq!(
                fault(&reply(status, &body), TokenExchange),
                exchanged,
                "{error}"
            );
        }
        let throttled = Issued::read(&reply(429, ""), ClientCredentials, None).unwrap_err();
        assert_eq!(throttled.retry_after, 7);
        assert_eq!(fault(&Reply::NotSent, TokenExchange), Fault::Unreachable);
        assert_eq!(fault(&Reply::Broken, TokenExchange), Fault::Unreachable);
        assert_eq!(fault(&Reply::TooLarge, TokenExchange), Fault::TooLarge);
    }
}
