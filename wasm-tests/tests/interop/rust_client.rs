//! The client of crates.io's `rmcp`, which logs in by itself.

use mcp_token_guard_tests::peers::runtime;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{
    AuthClient, AuthorizationRequest, ClientCredentialsConfig, OAuthState,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use url::Url;

use crate::authority::{ROBOT, ROBOT_SECRET};
use crate::browser::{self, REDIRECT};
use crate::clients::{Called, Scene, in_a_session, stateless};

/// Its way of the era with sessions, and of the one without.
fn eras() -> [(ClientLifecycleMode, Called); 2] {
    let discover = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    [
        (ClientLifecycleMode::Initialize, in_a_session()),
        (discover, stateless()),
    ]
}

/// Calls the tool as one who is logged in. Returns the token.
async fn call(url: &str, login: OAuthState, era: ClientLifecycleMode) -> String {
    let manager = login.into_authorization_manager().expect("a login");
    let client = AuthClient::new(reqwest::Client::default(), manager);
    let token = client.get_access_token().await.expect("a token");
    let transport = StreamableHttpClientTransport::with_client(
        client,
        StreamableHttpClientTransportConfig::with_uri(url),
    );
    let service = ().serve_with_lifecycle(transport, era).await;
    let service = service.expect("a connection");
    let arguments = serde_json::json!({"message": "hello"});
    let call = CallToolRequestParams::new("echo")
        .with_arguments(arguments.as_object().cloned().expect("an object"));
    let result = service.call_tool(call).await.expect("a result");
    let said = result.content.first().and_then(|part| part.as_text());
    assert_eq!(said.map(|text| &*text.text), Some("hello"));
    service.cancel().await.expect("to end");
    token
}

/// MCP-PRM-a, RFC9728-5.1-a
#[test]
fn rmcp_registers_and_logs_in_in_both_eras() {
    for (era, called) in eras() {
        let scene = Scene::new();
        let url = scene.gateway.url.clone();
        let mut login = runtime()
            .block_on(OAuthState::new(&url, None))
            .expect("a client");
        let about = AuthorizationRequest::new(REDIRECT)
            .with_client_name("interop")
            .with_application_type("native");
        let at = runtime().block_on(async {
            login.start_authorization(about).await.expect("to begin");
            login.get_authorization_url().await.expect("a URL")
        });
        let back = browser::follow(Url::parse(&at).expect("a URL"));
        let token = runtime().block_on(async {
            let read = login.handle_callback_url(back.as_str()).await;
            read.expect("a token");
            call(&url, login, era).await
        });
        assert_eq!(scene.called(), called);
        scene.gateway.carries_only_the_credential(&token);
    }
}

/// MCP-PRM-a, RFC9728-5.1-a
#[test]
fn rmcp_with_credentials_in_both_eras() {
    for (era, called) in eras() {
        let scene = Scene::new();
        let url = scene.gateway.url.clone();
        let token = runtime().block_on(async {
            let mut login = OAuthState::new(&url, None).await.expect("a client");
            let robot = ClientCredentialsConfig::ClientSecret {
                client_id: ROBOT.to_owned(),
                client_secret: ROBOT_SECRET.to_owned(),
                scopes: vec!["mcp:read".to_owned()],
                resource: Some(url.clone()),
            };
            let login_by_itself = login.authenticate_client_credentials(robot).await;
            login_by_itself.expect("a token");
            call(&url, login, era).await
        });
        assert_eq!(scene.called(), called);
        scene.gateway.carries_only_the_credential(&token);
    }
}
