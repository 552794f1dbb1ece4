// The MCP clients of TypeScript, which know nothing but the URL: npm's
// `@modelcontextprotocol/sdk` (1.x) or `@modelcontextprotocol/client` (2.x).
//
// Its argument is JSON: generation (1 or 2); url; era (`legacy`, `auto`); and
// either robot ({id, secret, issuer}: client credentials) or nothing, for a
// registration and a login by a browser that says yes to everything; seed, if
// it is to begin with that token; renews, false if it is to do without a refresh
// token; again, if it is to try until it gets through. It
// prints the methods that it tries, the tokens
// that it used, and what the tool `echo` said or that it could not connect.
const given = JSON.parse(process.argv[2]);
const REDIRECT = 'http://127.0.0.1:9/callback';

const parts = given.generation === 1
  ? {
    ...await import('@modelcontextprotocol/sdk/client/index.js'),
    ...await import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
    ...await import('@modelcontextprotocol/sdk/client/auth-extensions.js'),
  }
  : await import('@modelcontextprotocol/client');

// Follows redirects to the client's own URL. Cookies go by their paths there,
// but all of them may as well go everywhere.
async function browse(url) {
  const cookies = new Map();
  let at = new URL(url);
  for (let hop = 0; hop < 10; hop += 1) {
    if (at.href.startsWith(REDIRECT)) return at.searchParams;
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const response = await fetch(at, { redirect: 'manual', headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]*)=([^;]*)/);
      cookies.set(name, value);
    }
    at = new URL(response.headers.get('location'), at);
  }
  throw new Error('it leads in circles');
}

// Everything of one login, in memory.
class Login {
  redirectUrl = REDIRECT;
  clientMetadata = {
    redirect_uris: [REDIRECT],
    client_name: 'interop',
    application_type: 'native',
    grant_types: given.renews === false ? ['authorization_code'] : ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };

  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.held; }
  saveTokens(tokens) { this.held = tokens; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  async redirectToAuthorization(url) { this.back = await browse(url); }
}

const provider = given.robot
  ? new parts.ClientCredentialsProvider({
    clientId: given.robot.id,
    clientSecret: given.robot.secret,
    expectedIssuer: given.robot.issuer,
    // The first generation takes no scope from the challenge in this flow.
    scope: given.generation === 1 ? 'mcp:read' : undefined,
  })
  : new Login();
const save = provider.saveTokens.bind(provider);
provider.saveTokens = (tokens, ...more) => {
  console.log(`token ${tokens.access_token}`);
  return save(tokens, ...more);
};
if (given.seed) save({ access_token: given.seed, token_type: 'Bearer' });

// Tells which methods are tried.
function tell(url, init) {
  const method = /"method":"([^"]*)"/.exec(typeof init?.body === 'string' ? init.body : '');
  if (method) console.log(`tries ${method[1]}`);
  return fetch(url, init);
}

let transport;

// Finishes a login that a refusal has begun; what was refused is tried again.
async function finish(error) {
  if (!provider.back) throw error;
  // The second generation checks `iss` of the answer too, and takes all of it.
  await transport.finishAuth(given.generation === 1 ? provider.back.get('code') : provider.back);
  provider.back = undefined;
}

async function connect() {
  transport = new parts.StreamableHTTPClientTransport(new URL(given.url), { authProvider: provider, fetch: tell });
  const client = new parts.Client(
    { name: 'interop', version: '1' },
    given.generation === 2 ? { versionNegotiation: { mode: given.era } } : {},
  );
  try {
    await client.connect(transport);
  } catch (error) {
    await finish(error);
    return connect();
  }
  return client;
}

setTimeout(() => { console.error('it takes too long'); process.exit(1); }, 60000).unref();
let client;
while (!client) {
  client = await connect().catch((error) => console.log(`fails ${error.message}`));
  if (!client && !given.again) process.exit(1);
  if (!client) await new Promise((resolve) => { setTimeout(resolve, 500); });
}
const call = () => client.callTool({ name: 'echo', arguments: { message: 'hello' } });
const result = await call().catch(async (error) => {
  await finish(error);
  return call();
});
console.log(`said ${result.content[0].text}`);
await client.close();
