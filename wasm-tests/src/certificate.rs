//! Certificates that sign themselves, made when a test begins.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName,
};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Whom every certificate names.
pub(crate) const NAME: &str = "gateway.example.com";

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, as PEM.
    pub chain: String,
    /// Its key, as PEM.
    pub key: String,
    /// The certificate, as clients want it.
    der: CertificateDer<'static>,
    /// Its key, as clients want it that show the certificate.
    key_der: Vec<u8>,
}

impl Certificate {
    /// A new one.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        Self {
            chain: cert.pem(),
            key: signing_key.serialize_pem(),
            der: cert.der().clone(),
            key_der: signing_key.serialize_der(),
        }
    }

    /// The name that it is for.
    pub(crate) fn server_name() -> ServerName<'static> {
        ServerName::try_from(NAME).expect("a name")
    }

    /// Its SHA-256, as `x5t#S256` (RFC 8705 section 3.1).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.der))
    }

    /// What a client needs that trusts this certificate and no other, and
    /// speaks this protocol and no other; with a certificate of its own, or not.
    pub(crate) fn trust(&self, protocol: &[u8], own: Option<&Self>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let trust = ClientConfig::builder().with_root_certificates(roots);
        let mut trust = match own {
            None => trust.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.key_der.clone()));
                let chain = vec![own.der.clone()];
                trust.with_client_auth_cert(chain, key).expect("its key")
            }
        };
        trust.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(trust)
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}
