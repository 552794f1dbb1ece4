//! The servers of `make run`, each by itself, for `envoy/docker-compose.yaml`:
//! `servers authorization-server ADDRESS ISSUER` or `servers mcp-server ADDRESS`.

use std::process::ExitCode;

use axum::Router;
use mcp_token_guard_tests::demo::authorization_server::AuthorizationServer;
use mcp_token_guard_tests::demo::mcp_server;
use tokio::net::TcpListener;

const USAGE: &str = "servers authorization-server ADDRESS ISSUER, with \
    INTROSPECTION_CLIENT_SECRET and DEMO_CLIENT_SECRET in the environment, or \
    servers mcp-server ADDRESS.";

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("servers: {sentence}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (address, router): (&str, Router) = match args[..] {
        ["authorization-server", address, issuer] => {
            let gateway = ("mcp-gateway", &*secret("INTROSPECTION_CLIENT_SECRET")?);
            let client = ("demo-client", &*secret("DEMO_CLIENT_SECRET")?);
            let server = AuthorizationServer::new(issuer, gateway, client);
            (address, server.router())
        }
        ["mcp-server", address] => (address, mcp_server::router()),
        _ => return Err(USAGE.to_owned()),
    };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("{address} cannot be listened on: {error}."))?;
    println!("{} listens on {address}", args[0]);
    // Init of a container ignores the signal unless somebody takes it.
    tokio::select! {
        ended = axum::serve(listener, router) => ended.map_err(|error| format!("{error}.")),
        () = terminated() => Ok(()),
    }
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

fn secret(name: &str) -> Result<String, String> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.ok_or_else(|| format!("{name} is not set: give it a random text."))
}
