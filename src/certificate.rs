//! Tokens that are bound to the certificate of a client (RFC 8705 section 3).
//!
//! Such a token is good in the hands of who has shown, in the TLS handshake of
//! this very connection, that the certificate's key is theirs. Envoy does the
//! handshake and says which certificate it was; a header never does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json::Json;

/// The SHA-256 of a certificate as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thumbprint([u8; 32]);

/// What `cnf` says of who may use a token (RFC 7800).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// Whoever has it: it is not there, or `null`.
    #[default]
    Bearer,
    /// Who has the key of this certificate.
    Certificate(Thumbprint),
    /// Something that cannot be checked here.
    Other,
}

/// `certificate_bound_tokens`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CertificateBinding {
    /// Bound tokens are refused, as every token that is not a plain bearer's.
    #[default]
    Refused,
    /// Bound tokens are good with their certificate; others are bearer tokens.
    Accepted,
    /// Tokens are good with their certificate only.
    Required,
}

impl Thumbprint {
    /// From `x5t#S256`: base64url without padding, in its only form.
    fn from_claim(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// From the host: hex digits. It is empty where there is no certificate.
    pub(crate) fn from_hex(hex: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let digits = core::str::from_utf8(digits).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl Confirmation {
    /// From the answer's `cnf`. What stands beside `x5t#S256` would be one more
    /// thing to check, so that it is something else.
    pub(crate) fn read(cnf: Option<&Json>) -> Self {
        match cnf {
            None | Some(Json::Null) => Self::Bearer,
            Some(Json::Object(members)) => match members.as_slice() {
                [(name, Json::String(text))] if name == "x5t#S256" => {
                    Thumbprint::from_claim(text).map_or(Self::Other, Self::Certificate)
                }
                _ => Self::Other,
            },
            Some(Json::Array(_) | Json::Bool(_) | Json::Number(_) | Json::String(_)) => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    const HEX: &str = "00ff10ef20df30cf40bf50af609f708f80fe90ee0123456789abcdef01234567";
    const CLAIM: &str = "AP8Q7yDfMM9Av1CvYJ9wj4D-kO4BI0VniavN7wEjRWc";

    fn read(cnf: &str) -> Confirmation {
        Confirmation::read(Some(&json::parse(cnf.as_bytes()).unwrap()))
    }

    #[test]
    fn a_thumbprint_is_the_same_in_both_forms() {
        let of_host = Thumbprint::from_hex(HEX.as_bytes()).unwrap();
        assert_eq!(
            Thumbprint::from_hex(HEX.to_uppercase().as_bytes()),
            Some(of_host)
        );
        let cnf = format!(r#"{{"x5t#S256":"{CLAIM}"}}"#);
        assert_eq!(read(&cnf), Confirmation::Certificate(of_host));
    }

    #[test]
    fn what_is_no_thumbprint_is_none() {
        for bad in [
            "",
            HEX.strip_prefix("0").unwrap(),
            HEX.strip_prefix("00").unwrap(),
            &format!("{HEX}00"),
            &HEX.replace("00", "+0"),
        ] {
            assert_eq!(Thumbprint::from_hex(bad.as_bytes()), None, "{bad}");
        }
    }

    /// CNF-unknown.
    #[test]
    fn only_a_thumbprint_alone_can_be_checked() {
        for bad in [
            "{}".to_owned(),
            "[]".to_owned(),
            r#""x5t#S256""#.to_owned(),
            "false".to_owned(),
            r#"{"jkt":"x"}"#.to_owned(),
            r#"{"x5t#S256":null}"#.to_owned(),
            r#"{"x5t#S256":""}"#.to_owned(),
            format!(r#"{{"x5t#s256":"{CLAIM}"}}"#),
            format!(r#"{{"x5t#S256":"{CLAIM}="}}"#),
            format!(r#"{{"x5t#S256":"{CLAIM}A"}}"#),
            // Other bits behind the last of 256.
            format!(r#"{{"x5t#S256":"{}d"}}"#, CLAIM.strip_suffix('c').unwrap()),
            format!(r#"{{"x5t#S256":["{CLAIM}"]}}"#),
            format!(r#"{{"x5t#S256":"{CLAIM}","jkt":"x"}}"#),
            format!(r#"{{"x5t#S256":"{CLAIM}","x5t#S256":"{CLAIM}"}}"#),
        ] {
            assert_eq!(read(&bad), Confirmation::Other, "{bad}");
        }
        assert_eq!(read("null"), Confirmation::Bearer);
        assert_eq!(Confirmation::read(None), Confirmation::Bearer);
    }
}
