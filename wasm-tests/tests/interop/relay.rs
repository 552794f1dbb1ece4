//! The way to a server, which can be closed, and keeps the bytes that go there.
//! What an authorization server has issued and knows is kept while it is closed,
//! as no restart of these servers would.

use std::net::SocketAddr;

use axum::serve::Listener;
use mcp_token_guard_tests::demo::recording::{RecordedStream, Recording};
use mcp_token_guard_tests::peers::runtime;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on while it is open.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    /// What has gone to the server.
    pub recording: Recording,
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
        let recording = Recording::default();
        let mut listener = recording.over(listener);
        let (open, watch) = watch::channel(true);
        let task = runtime().spawn(async move {
            loop {
                let (stream, _) = Listener::accept(&mut listener).await;
                tokio::spawn(pass(stream, server, watch.clone()));
            }
        });
        Self {
            address,
            recording,
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
async fn pass(mut here: RecordedStream, server: SocketAddr, mut open: watch::Receiver<bool>) {
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
