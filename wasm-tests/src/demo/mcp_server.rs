//! A real MCP server (`rmcp`, streamable HTTP) with two tools, behind a layer
//! that keeps every byte it is sent.

use std::sync::Arc;

use axum::Router;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::Deserialize;

/// The server of one session.
#[derive(Clone)]
struct Tools;

/// What `echo` is called with.
#[derive(Deserialize, schemars::JsonSchema)]
struct Echo {
    /// What to say back.
    message: String,
}

#[tool_router]
impl Tools {
    /// Says back what it was told.
    #[tool(description = "Says back what it was told.")]
    async fn echo(&self, Parameters(Echo { message }): Parameters<Echo>) -> String {
        message
    }

    /// Says whom the gateway says it is working for.
    #[tool(description = "Says whom the gateway says it is working for.")]
    async fn whoami(&self, Extension(head): Extension<axum::http::request::Parts>) -> String {
        let subject = head
            .headers
            .get("x-mcp-subject")
            .and_then(|value| value.to_str().ok());
        subject.unwrap_or("nobody").to_owned()
    }
}

#[tool_handler]
impl ServerHandler for Tools {}

/// The server at `/mcp`.
pub fn router() -> Router {
    let service: StreamableHttpService<Tools, LocalSessionManager> = StreamableHttpService::new(
        || Ok(Tools),
        Arc::default(),
        StreamableHttpServerConfig::default(),
    );
    Router::new().nest_service("/mcp", service)
}
