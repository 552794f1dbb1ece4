//! The three calls, each one checked and not only printed.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::WWW_AUTHENTICATE;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::recording::find;
use super::{CLIENT, Stage};

/// `cache.ttl` of `envoy/envoy.yaml`, and time for a slow machine.
const REVOKED_WITHIN: Duration = Duration::from_secs(2 + 5);

type Client = RunningService<RoleClient, ()>;

impl Stage {
    pub(super) async fn show(&self) -> Result<(), String> {
        self.refused().await?;
        let token = self.token().await?;
        let client = self.accepted(&token).await?;
        self.revoked(&token, &client).await
    }

    async fn refused(&self) -> Result<(), String> {
        println!("\n1. Refused: a call without a token");
        let answer = self
            .http
            .post(&self.resource)
            .json(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
            .send()
            .await
            .map_err(|e| format!("the gateway does not answer: {e}."))?;
        let (version, status) = (answer.version(), answer.status());
        let challenge = answer.headers().get(WWW_AUTHENTICATE).cloned();
        println!("   {version:?} {status}");
        if let Some(challenge) = &challenge {
            println!(
                "   www-authenticate: {}",
                String::from_utf8_lossy(challenge.as_bytes())
            );
        }
        let said = challenge.is_some_and(|c| find(c.as_bytes(), b"resource_metadata=").is_some());
        expect(
            status == StatusCode::UNAUTHORIZED && said,
            "a 401 with a challenge was due.",
        )?;
        expect(
            self.recording.requests().is_empty(),
            "the MCP server received it.",
        )?;
        println!("   The MCP server received nothing.");
        Ok(())
    }

    async fn token(&self) -> Result<String, String> {
        let answer = self
            .http
            .post(format!("{}/token", self.issuer))
            .basic_auth(CLIENT, Some(&self.client_secret))
            .form(&[
                ("grant_type", "client_credentials"),
                ("resource", &self.resource),
            ])
            .send()
            .await
            .map_err(|e| format!("the authorization server does not answer: {e}."))?;
        let answer: Value = answer
            .json()
            .await
            .map_err(|e| format!("that was no JSON: {e}."))?;
        let token = answer["access_token"].as_str();
        token
            .map(str::to_owned)
            .ok_or_else(|| format!("the authorization server gave no token: {answer}."))
    }

    async fn accepted(&self, token: &str) -> Result<Client, String> {
        println!("\n2. Accepted: the same with a token for {}", self.resource);
        println!("   token: {token}");
        let config = StreamableHttpClientTransportConfig::with_uri(self.resource.as_str())
            .auth_header(token);
        let transport = StreamableHttpClientTransport::with_client(self.http.clone(), config);
        let client = ()
            .serve(transport)
            .await
            .map_err(|e| format!("the MCP client did not get through initialize: {e}."))?;
        let message = "hello through the guard";
        let said = call(&client, "echo", json!({"message": message})).await;
        let said = said.map_err(|e| format!("echo was not called: {e}."))?;
        println!("   initialize: done; tools/call echo: {said:?}");
        expect(said == message, "the MCP server said something else.")?;
        let whoami = call(&client, "whoami", json!({})).await;
        let whoami = whoami.map_err(|e| format!("whoami was not called: {e}."))?;
        println!("   tools/call whoami: {whoami:?}");
        expect(whoami == CLIENT, "the gateway did not say who is calling.")?;
        self.received(token)?;
        Ok(client)
    }

    /// What the MCP server was sent, from the bytes of its socket.
    fn received(&self, token: &str) -> Result<(), String> {
        let requests = self.recording.requests();
        let shown = requests
            .iter()
            .find(|request| find(&request.body, b"\"tools/call\"").is_some())
            .ok_or("the MCP server has no record of a tools/call.")?;
        println!("   What it received there, from the bytes on its socket:");
        for line in shown
            .head
            .split(|byte| *byte == b'\n')
            .chain([&b""[..], &shown.body])
        {
            println!("     | {}", String::from_utf8_lossy(line.trim_ascii_end()));
        }
        let credential = format!("Bearer {}", self.mcp_server_token);
        for request in &requests {
            let values: Vec<&[u8]> = request.values("authorization").collect();
            expect(
                values == [credential.as_bytes()],
                "a request arrived without the static credential, or with something beside it.",
            )?;
        }
        self.token_is_nowhere(token)?;
        println!(
            "   Checked: the static credential once in each of {} requests, the client's token in none of their bytes.",
            requests.len()
        );
        println!(
            "   The authorization server was asked about it {} time(s).",
            self.authorization_server.introspections()
        );
        Ok(())
    }

    fn token_is_nowhere(&self, token: &str) -> Result<(), String> {
        let connections = self.recording.connections();
        let found = connections
            .iter()
            .any(|bytes| find(bytes, token.as_bytes()).is_some());
        expect(!found, "the MCP server received the client's token.")
    }

    async fn revoked(&self, token: &str, client: &Client) -> Result<(), String> {
        println!("\n3. Revoked: the same token after the client has given it up");
        let answer = self
            .http
            .post(format!("{}/revoke", self.issuer))
            .basic_auth(CLIENT, Some(&self.client_secret))
            .form(&[("token", token)])
            .send()
            .await
            .map_err(|e| format!("the authorization server does not answer: {e}."))?;
        expect(
            answer.status() == StatusCode::OK,
            "the authorization server did not revoke it.",
        )?;
        let since = Instant::now();
        let error = loop {
            match call(client, "echo", json!({"message": "again"})).await {
                Err(error) => break error,
                Ok(_) if since.elapsed() < REVOKED_WITHIN => {
                    sleep(Duration::from_millis(100)).await;
                }
                Ok(_) => {
                    return Err(
                        "it was still accepted when the cache's ttl had long passed.".into(),
                    );
                }
            }
        };
        let challenge = error.auth_challenge().unwrap_or_default();
        println!("   {} ms later: 401", since.elapsed().as_millis());
        println!("   www-authenticate: {challenge}");
        expect(
            challenge.contains("invalid_token"),
            &format!("invalid_token was due, not: {error}."),
        )?;
        self.token_is_nowhere(token)
    }

    /// What a person may try next.
    pub(super) fn invite(&self) {
        let (issuer, resource) = (&self.issuer, &self.resource);
        let (admin, upstream) = (self.ports.admin, self.ports.mcp_server);
        let secret = &self.client_secret;
        println!(
            "
It stays up until Ctrl-C.

   MCP clients     {resource} (they log in by themselves)
   authorization   {issuer}
   MCP server      http://127.0.0.1:{upstream}/mcp (for Envoy; it records what it is sent)
   Envoy's stats   http://127.0.0.1:{admin}/stats/prometheus
   audit records   target/demo/access.log, Envoy's log beside it

A token, and a call with it:

   TOKEN=$(curl -s {issuer}/token -u {CLIENT}:{secret} -d grant_type=client_credentials -d resource={resource} | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')
   curl -i {resource} -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{{}},\"clientInfo\":{{\"name\":\"curl\",\"version\":\"8\"}}}}}}'
"
        );
    }
}

async fn call(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> Result<String, ServiceError> {
    let mut params = CallToolRequestParams::new(tool);
    params.arguments = arguments.as_object().cloned();
    let result = client.call_tool(params).await?;
    let text = result.content.first().and_then(|content| content.as_text());
    Ok(text.map(|text| text.text.clone()).unwrap_or_default())
}

/// Goes on if it is so, else ends with the sentence.
fn expect(so: bool, sentence: &str) -> Result<(), String> {
    if so { Ok(()) } else { Err(sentence.to_owned()) }
}
