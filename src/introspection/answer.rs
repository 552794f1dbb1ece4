//! What an introspection answer says (RFC 7662 section 2.2).

use std::rc::Rc;

use crate::access::normal_form;
use crate::certificate::Confirmation;
use crate::denial::RETRY_AFTER;
use crate::fields::trim;
use crate::json::{self, Json};
use crate::leak::Search;

/// An answer as the host hands it over.
#[derive(Debug)]
pub enum Reply<'a> {
    /// No call could be made: no such cluster, no healthy host, no room.
    NotSent,
    /// The call ended without a head: a reset or the timeout in the middle.
    Broken,
    /// The body is larger than `limits.answer`.
    TooLarge,
    /// A whole answer.
    Whole {
        /// `:status`.
        status: u16,
        /// `Content-Type`.
        content_type: Option<&'a [u8]>,
        /// `Retry-After`.
        retry_after: Option<&'a [u8]>,
        /// The body.
        body: &'a [u8],
    },
}

/// What the authorization server says of a token.
#[derive(Debug)]
pub(crate) enum Introspection {
    /// It is live, and this is what it says.
    Active(Rc<Claims>),
    /// It is not.
    Inactive,
}

/// Nobody could say. The same request may do better later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undetermined {
    /// What went wrong.
    pub(crate) cause: Cause,
    /// Seconds after which the client may try again.
    pub(crate) retry_after: u32,
}

/// What went wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Our own credentials were refused (RFC 7662 section 2.3).
    CredentialsRefused,
    /// Not JSON, or not what RFC 7662 allows.
    Malformed,
    /// Any status that says neither yes nor no.
    Status,
    /// 429.
    Throttled,
    /// Larger than an answer may be.
    TooLarge,
    /// It cannot be reached, or did not answer in time.
    Unreachable,
}

impl Cause {
    /// All of them.
    #[cfg(target_family = "wasm")]
    pub(crate) const ALL: [Self; 6] = [
        Self::CredentialsRefused,
        Self::Malformed,
        Self::Status,
        Self::Throttled,
        Self::TooLarge,
        Self::Unreachable,
    ];

    /// Its word in the metric `introspections`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::CredentialsRefused => "credentials_refused",
            Self::Malformed => "malformed",
            Self::Status => "unexpected_status",
            Self::Throttled => "throttled",
            Self::TooLarge => "too_large",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether this is the authorization server being down, for which a known
    /// answer may stand in for a while.
    pub(crate) fn is_outage(self) -> bool {
        match self {
            Self::Status | Self::Throttled | Self::Unreachable => true,
            Self::CredentialsRefused | Self::Malformed | Self::TooLarge => false,
        }
    }
}

impl From<Cause> for Undetermined {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            retry_after: RETRY_AFTER,
        }
    }
}

/// The longest `Retry-After` of an authorization server that is handed on.
const LONGEST_RETRY: u32 = 30;

/// What an active answer says, as far as anything here looks at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    /// `aud` in normal form; none where it is missing or of a wrong type.
    pub(crate) audience: Option<Vec<Box<str>>>,
    /// `scope`, as it came.
    pub(crate) scope: Box<str>,
    /// `exp`.
    pub(crate) expires: Option<f64>,
    /// `nbf`.
    pub(crate) not_before: Option<f64>,
    /// `iss`; empty, which is no issuer's, where it is of a wrong type.
    pub(crate) issuer: Option<Box<str>>,
    /// `token_type`; empty, which is no type, where it is of a wrong type.
    pub(crate) token_type: Option<Box<str>>,
    /// `cnf`: what the token is bound to.
    pub(crate) confirmation: Confirmation,
    /// `sub`.
    pub(crate) subject: Option<Box<str>>,
    /// `client_id`.
    pub(crate) client_id: Option<Box<str>>,
    /// `jti`.
    pub(crate) token_id: Option<Box<str>>,
    /// The claims for `identity_headers`, in their order.
    pub(crate) identity: Vec<Option<Box<str>>>,
}

impl Claims {
    /// The granted scopes. Absent is none; the order says nothing.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split(' ').filter(|scope| !scope.is_empty())
    }

    /// About how many bytes they take.
    pub(crate) fn weight(&self) -> usize {
        let audience = self.audience.iter().flatten();
        let identity = self.identity.iter().flatten();
        let texts = [
            &self.issuer,
            &self.token_type,
            &self.subject,
            &self.client_id,
            &self.token_id,
        ];
        audience
            .chain(identity)
            .chain(texts.into_iter().flatten())
            .map(|text| text.len().saturating_add(size_of::<Box<str>>()))
            .fold(size_of::<Self>(), usize::saturating_add)
            .saturating_add(self.scope.len())
    }

    /// Reads the members; unknown ones are left alone. `exp`, `nbf` and
    /// `scope` of a wrong type are no answer at all.
    fn read(answer: &Json, identity: &[(String, String)], token: &[u8]) -> Option<Self> {
        // A claim that repeats the token may not get into records and headers.
        let search = Search::new(token);
        let text = |name: &str| {
            let value = answer.get(name).and_then(Json::as_str)?;
            (!search.in_value(value.as_bytes())).then(|| value.into())
        };
        let number = |name: &str| match answer.get(name) {
            None => Some(None),
            Some(value) => value.as_f64().map(Some),
        };
        let pinned = |name: &str| {
            answer
                .get(name)
                .map(|value| value.as_str().unwrap_or_default().into())
        };
        let scope = match answer.get("scope") {
            None => "",
            Some(value) => value.as_str()?,
        };
        Some(Self {
            audience: answer.get("aud").and_then(audience),
            scope: scope.into(),
            expires: number("exp")?,
            not_before: number("nbf")?,
            issuer: pinned("iss"),
            token_type: pinned("token_type"),
            confirmation: Confirmation::read(answer.get("cnf")),
            subject: text("sub"),
            client_id: text("client_id"),
            token_id: text("jti"),
            identity: identity
                .iter()
                .map(|(_, claim)| identity_claim(answer.get(claim)?, &search))
                .collect(),
        })
    }
}

/// `aud` is a string or a list of strings (RFC 7519 section 4.1.3); a list
/// with anything else in it counts as none.
fn audience(value: &Json) -> Option<Vec<Box<str>>> {
    match value {
        Json::String(one) => Some(vec![normal_form(one).into()]),
        Json::Array(list) => list
            .iter()
            .map(|one| one.as_str().map(|one| normal_form(one).into()))
            .collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

/// Texts as they are, whole numbers and booleans as JSON writes them. A number
/// that is not whole, or so large that it is rounded, names nobody.
fn identity_claim(value: &Json, search: &Search<'_>) -> Option<Box<str>> {
    let text: Box<str> = match value {
        Json::String(text) => text.as_str().into(),
        Json::Bool(value) => value.to_string().into(),
        Json::Number(number) => json::whole(*number)?.to_string().into(),
        Json::Null | Json::Array(_) | Json::Object(_) => return None,
    };
    (!search.in_value(text.as_bytes())).then_some(text)
}

impl Introspection {
    /// What the reply says of `token`.
    pub(crate) fn read(
        reply: &Reply<'_>,
        identity: &[(String, String)],
        token: &[u8],
    ) -> Result<Self, Undetermined> {
        let (status, content_type, retry_after, body) = match reply {
            Reply::NotSent | Reply::Broken => return Err(Cause::Unreachable.into()),
            Reply::TooLarge => return Err(Cause::TooLarge.into()),
            Reply::Whole {
                status,
                content_type,
                retry_after,
                body,
            } => (*status, *content_type, *retry_after, *body),
        };
        match status {
            200 => {}
            400 if is_about_our_credentials(body) => return Err(Cause::CredentialsRefused.into()),
            // Some servers refuse the shape of a token so (INTRO-400).
            400 => return Ok(Self::Inactive),
            401 | 403 => return Err(Cause::CredentialsRefused.into()),
            429 => {
                return Err(Undetermined {
                    cause: Cause::Throttled,
                    retry_after: retry_after.and_then(seconds).unwrap_or(RETRY_AFTER),
                });
            }
            // Envoy itself answers so where nothing else did.
            503 | 504 => return Err(Cause::Unreachable.into()),
            _ => return Err(Cause::Status.into()),
        }
        if !content_type.is_some_and(is_json) {
            return Err(Cause::Malformed.into());
        }
        let answer = json::parse(body).map_err(|_| Cause::Malformed)?;
        if answer.duplicate() {
            return Err(Cause::Malformed.into());
        }
        match answer.get("active").and_then(Json::as_bool) {
            Some(true) => match Claims::read(&answer, identity, token) {
                Some(claims) => Ok(Self::Active(Rc::new(claims))),
                None => Err(Cause::Malformed.into()),
            },
            Some(false) => Ok(Self::Inactive),
            None => Err(Cause::Malformed.into()),
        }
    }
}

fn is_about_our_credentials(body: &[u8]) -> bool {
    json::parse(body).is_ok_and(|answer| {
        matches!(
            answer.get("error").and_then(Json::as_str),
            Some("invalid_client" | "unauthorized_client")
        )
    })
}

/// Parameters are allowed, another type is not (RFC7662-2.2-ct).
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    let media_type = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or(b"");
    trim(media_type).eq_ignore_ascii_case(b"application/json")
}

/// `Retry-After` in seconds, bounded; a date is not read.
pub(crate) fn seconds(value: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(trim(value)).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(LONGEST_RETRY).min(LONGEST_RETRY))
}

#[cfg(test)]
mod tests;
