//! The certificate of the client, where a server lets bound tokens in.

use super::Guard;
use crate::certificate::CertificateBinding;
use crate::config::Config;
use crate::fields::Field;
use crate::servers::Found;

/// Whether any server lets tokens in that are bound to a certificate.
pub(super) fn any(config: &Config) -> bool {
    let binds = |one| one != CertificateBinding::Refused;
    let mut servers = config.servers.iter();
    servers.any(|server| binds(server.requirement.certificates))
}

impl Guard {
    /// Whether the client's certificate has to be told with this request.
    #[must_use]
    pub fn wants_certificate(&self, fields: &[Field], cluster: Option<&str>) -> bool {
        let path = || {
            let path = fields.iter().find(|(name, _)| name == ":path");
            path.map_or(&b""[..], |(_, value)| value)
        };
        self.binds
            && cluster.is_some_and(|cluster| match self.config.servers.find(cluster, path()) {
                Found::Server(_, server) => {
                    server.requirement.certificates != CertificateBinding::Refused
                }
                Found::UnknownPath | Found::Unlisted => false,
            })
    }
}
