//! Certificates that sign themselves, made when a test begins.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
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
        }
    }

    /// The name that it is for.
    pub(crate) fn server_name() -> ServerName<'static> {
        ServerName::try_from(NAME).expect("a name")
    }

    /// What a client needs that trusts this certificate and no other, and
    /// speaks this protocol and no other.
    pub(crate) fn trust(&self, protocol: &[u8]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let mut trust = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        trust.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(trust)
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}
