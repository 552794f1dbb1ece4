// An authorization server of npm's `oidc-provider`: opaque and JWT access tokens
// bound to a resource (RFC 8707), registration, introspection, revocation, DPoP.
// Whoever comes is "alice" and consents, so no page is shown.
//
// Its argument is JSON: life (seconds of an access token), gateway, robot (each
// {id, secret}). It prints its issuer when it is ready.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { life, gateway, robot } = JSON.parse(process.argv[2]);
const SCOPE = 'mcp:read mcp:write';

const machine = ({ id, secret }, more) => ({
  client_id: id,
  client_secret: secret,
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
  scope: SCOPE,
  ...more,
});

const configuration = {
  clients: [
    machine(gateway, { grant_types: [], scope: undefined }),
    machine(robot),
    // The same, with JWTs as access tokens.
    machine({ id: `${robot.id}-jwt`, secret: robot.secret }),
    {
      client_id: 'desktop',
      client_secret: robot.secret,
      redirect_uris: ['http://127.0.0.1:9/callback'],
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'],
    },
  ],
  scopes: ['openid', 'offline_access', ...SCOPE.split(' ')],
  // Of this process alone.
  cookies: { keys: ['interop'] },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    introspection: {
      enabled: true,
      allowedPolicy: (ctx, client) => client.clientId === gateway.id,
    },
    dPoP: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource, client) => ({
        scope: SCOPE,
        audience: resource,
        accessTokenTTL: life,
        accessTokenFormat: client.clientId.endsWith('-jwt') ? 'jwt' : 'opaque',
      }),
    },
  },
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: false,
};

let provider;
let callback;

async function consent(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({ accountId: 'alice', clientId: params.client_id });
  grant.addOIDCScope(`openid offline_access ${SCOPE}`);
  for (const resource of [params.resource].flat().filter(Boolean)) {
    grant.addResourceScope(resource, SCOPE);
  }
  await provider.interactionFinished(request, response, {
    login: { accountId: 'alice' },
    consent: { grantId: await grant.save() },
  });
}

const server = createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    callback(request, response);
    return;
  }
  consent(request, response).catch((error) => {
    response.statusCode = 500;
    response.end(String(error));
  });
});

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = new Provider(issuer, configuration);
  // Clients register with the scopes that they have heard of so far, and may
  // ask for others later.
  provider.use(async (ctx, next) => {
    if (ctx.method === 'POST' && ctx.path === '/reg') {
      const chunks = [];
      for await (const chunk of ctx.req) chunks.push(chunk);
      const { scope, ...metadata } = JSON.parse(Buffer.concat(chunks));
      ctx.req.body = metadata;
    }
    await next();
  });
  callback = provider.callback();
  console.log(`ready ${issuer}`);
});
