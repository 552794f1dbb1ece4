//! A private key as people have it: PEM, from PKCS#8 or SEC1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use p256::pkcs8::DecodePrivateKey as _;

/// Reads a P-256 key; the error is a sentence. Line breaks may be written as
/// `\n`, which is what is left of them in many an environment.
pub(super) fn read(pem: &[u8]) -> Result<SigningKey, &'static str> {
    let text = core::str::from_utf8(pem).map_err(|_| NOT_PEM)?;
    let mut blocks = text.split("-----BEGIN ").skip(1);
    // Parameters of the curve may stand first.
    let (label, rest) = blocks
        .find_map(|block| {
            block
                .split_once("-----")
                .filter(|(label, _)| label.ends_with("PRIVATE KEY"))
        })
        .ok_or(NOT_PEM)?;
    let (body, _) = rest.split_once("-----END ").ok_or(NOT_PEM)?;
    let body: String = body.replace("\\n", "").split_whitespace().collect();
    let key = match label {
        "PRIVATE KEY" | "EC PRIVATE KEY" => STANDARD.decode(body).map_err(|_| NOT_PEM)?,
        "ENCRYPTED PRIVATE KEY" => {
            return Err(
                "is encrypted, and there is nobody to ask for the password; give the key \
                        itself, as PKCS#8 in PEM",
            );
        }
        _ => return Err(NOT_P256),
    };
    let key = match label {
        "EC PRIVATE KEY" => SecretKey::from_sec1_der(&key).map_err(|_| NOT_P256)?,
        _ => SecretKey::from_pkcs8_der(&key).map_err(|_| NOT_P256)?,
    };
    Ok(key.into())
}

const NOT_PEM: &str = "is not a private key in PEM; give it whole, with its BEGIN and END lines";
const NOT_P256: &str = "is not a private key on the curve P-256, which ES256 needs; make one with \
                        `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`";
