//! `make run` and `make demo`: Envoy with the filter between an MCP client and
//! an MCP server, and what is seen there.

pub mod authorization_server;
pub mod envoy;
pub mod mcp_server;
pub mod ports;
pub mod recording;
mod scenes;

use std::path::Path;

use axum::Router;
use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use authorization_server::AuthorizationServer;
use envoy::{Envoy, Secrets};
use ports::Ports;
use recording::Recording;

/// The gateway's name at the authorization server, as in `envoy/envoy.yaml`.
const GATEWAY: &str = "mcp-gateway";
/// The MCP client's name there.
const CLIENT: &str = "demo-client";

/// What was asked for on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The first of four ports, or 0 for free ones.
    pub port: u16,
    /// Stay up when all has been shown.
    pub stay: bool,
}

/// All that runs.
struct Stage {
    ports: Ports,
    issuer: String,
    /// The MCP endpoint as clients have it, and the resource of their tokens.
    resource: String,
    client_secret: String,
    mcp_server_token: String,
    authorization_server: AuthorizationServer,
    recording: Recording,
    http: reqwest::Client,
}

/// Shows it.
///
/// # Errors
///
/// What did not go as said, in a sentence.
pub async fn run(options: Options) -> Result<(), String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("the project has no folder.")?;
    let (ports, listeners) = Ports::open(options.port)?;
    let issuer = format!("http://127.0.0.1:{}", ports.authorization_server);
    let (client_secret, introspection_client, mcp_server) = (random(), random(), random());

    let authorization_server = AuthorizationServer::new(
        &issuer,
        (GATEWAY, &introspection_client),
        (CLIENT, &client_secret),
    );
    let listener = tokio_listener(listeners.authorization_server)?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    serve(listener, authorization_server.router());
    let recording = Recording::default();
    let listener = recording.over(tokio_listener(listeners.mcp_server)?);
    serve(listener, mcp_server::router());

    let stage = Stage {
        resource: format!("http://127.0.0.1:{}/mcp", ports.gateway),
        mcp_server_token: mcp_server.clone(),
        http: reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|e| format!("there is no HTTP client: {e}."))?,
        ports,
        issuer,
        client_secret,
        authorization_server,
        recording,
    };
    println!("\nStarting Envoy with envoy/envoy.yaml");
    let secrets = Secrets {
        introspection_client,
        mcp_server,
    };
    let mut envoy = Envoy::start(project, &ports, &secrets).await?;
    stage.show().await?;
    if !options.stay {
        return Ok(());
    }
    stage.invite();
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|e| format!("no signals come here: {e}."))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
        why = envoy.wait() => Err(why),
    }
}

fn tokio_listener(listener: std::net::TcpListener) -> Result<TcpListener, String> {
    listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(|e| format!("a listener does not work: {e}."))
}

fn serve<L>(listener: L, router: Router)
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    tokio::spawn(async move { axum::serve(listener, router).await });
}

/// 256 random bits, as text that is a token68.
fn random() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}
