"""The MCP client of PyPI's `mcp`, which knows nothing but the URL.

Its argument is JSON: url; era (`legacy`, `auto`); and either robot ({id, secret,
issuer}: client credentials) or nothing, for a registration and a login by a
browser that says yes to everything; seed, if it is to begin with that token; again,
if it is to try until it gets through.
It prints the tokens that it used and what the tool `echo` said.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata, OAuthToken

given = json.loads(sys.argv[1])
REDIRECT = "http://127.0.0.1:9/callback"


class Storage:
    """In memory, and tells what it is given."""

    def __init__(self):
        seed = given.get("seed")
        self.tokens = OAuthToken(access_token=seed, token_type="Bearer", expires_in=600) if seed else None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        print("token", tokens.access_token, flush=True)

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser:
    """Follows redirects to the client's own URL."""

    async def open(self, at):
        async with httpx2.AsyncClient() as http:
            for _ in range(10):
                if at.startswith(REDIRECT):
                    self.query = {name: values[0] for name, values in parse_qs(urlsplit(at).query).items()}
                    return
                at = urljoin(at, (await http.get(at)).headers["location"])
        raise RuntimeError("it leads in circles")

    async def back(self):
        query = self.query
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


def provider():
    robot = given.get("robot")
    if robot:
        return ClientCredentialsOAuthProvider(
            given["url"], Storage(), robot["id"], robot["secret"], issuer=robot["issuer"]
        )
    browser = Browser()
    metadata = OAuthClientMetadata(
        redirect_uris=[REDIRECT],
        client_name="interop",
        application_type="native",
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    return OAuthClientProvider(given["url"], metadata, Storage(), browser.open, browser.back)


async def call(auth):
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        transport = streamable_http_client(given["url"], http_client=http)
        async with Client(transport, mode=given["era"]) as client:
            print("version", client.protocol_version, flush=True)
            result = await client.call_tool("echo", {"message": "hello"})
            print("said", result.content[0].text, flush=True)


async def main():
    auth = provider()
    while True:
        try:
            return await call(auth)
        except Exception as error:
            if not given.get("again"):
                raise
            print("fails", repr(error), flush=True)
            await asyncio.sleep(0.5)


asyncio.run(asyncio.wait_for(main(), 60))
