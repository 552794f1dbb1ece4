//! The way to the authorization server, which can be closed: what it has issued
//! and knows is kept meanwhile, as no restart of these servers would.

use std::net::SocketAddr;

use mcp_token_guard_tests::peers::runtime;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on while it is open.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it is open.
    open: watch::Sender<bool>,
    /// The task that accepts.
    task: JoinHandle<()>,
}

impl Relay {
    /// One to this address, open.
    pub fn to(server: SocketAddr) -> Self {
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (open, watch) = watch::channel(true);
        let task = runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, server, watch.clone()));
            }
        });
        Self {
            address,
            open,
            task,
        }
    }

    /// Closes it, and what goes through it.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Opens it again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
        self.task.abort();
    }
}

/// Passes one connection on until it is closed.
async fn pass(mut here: TcpStream, server: SocketAddr, mut open: watch::Receiver<bool>) {
    if !*open.borrow() {
        return;
    }
    let Ok(mut there) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut here, &mut there) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}
