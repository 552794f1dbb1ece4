//! An authority and what it vouches for, made when a test begins, and TLS in
//! front of a server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mcp_token_guard_tests::peers::runtime;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Certified;

/// A certificate authority.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, which nobody else knows.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Authority of a test");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What a server needs that is to have this name.
    fn vouch(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate with its key")
    }
}

/// TLS on loopback in front of a server without. It ends on drop.
pub struct Front {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

/// What a front has seen.
#[derive(Default)]
struct Seen {
    /// Connections, whether or not they came to be TLS.
    connections: AtomicUsize,
    /// The names that clients have asked for.
    names: Mutex<Vec<String>>,
}

impl Seen {
    /// Notes a name, if there is one.
    fn note(&self, name: Option<&str>) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.extend(name.map(str::to_owned));
    }
}

impl Front {
    /// One so certified, before the server that is there.
    pub fn start(certified: &Certified<'_>, behind: SocketAddr) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(certified.by.vouch(certified.name)));
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("its address");
        let seen = Arc::new(Seen::default());
        let noted = Arc::clone(&seen);
        let task = runtime().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                noted.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(pass(stream, acceptor.clone(), Arc::clone(&noted), behind));
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections have begun.
    pub fn hello(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// The name that the first client asked for.
    pub fn asked_for(&self) -> String {
        let names = self.seen.names.lock();
        let names = names.unwrap_or_else(PoisonError::into_inner);
        names.first().cloned().unwrap_or_default()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection: what is inside of TLS goes on in the clear. An error is a
/// client that did not like the certificate, which is what tests want.
async fn pass(stream: TcpStream, acceptor: TlsAcceptor, seen: Arc<Seen>, behind: SocketAddr) {
    let Ok(mut inside) = acceptor.accept(stream).await else {
        return;
    };
    seen.note(inside.get_ref().1.server_name());
    if let Ok(mut server) = TcpStream::connect(behind).await {
        let _ = copy_bidirectional(&mut inside, &mut server).await;
    }
}
