// An OpenID provider for the tests: with the arguments PORT ALGORITHM it serves on loopback, with a new key, and says so.
// Each line on its input is a token to make, `{"format": "jwt" | "opaque", "account": ..., "audience": ...}`, and is
// answered with the token. What it says is JSON, a line each; other lines are the library's. It ends with its input.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const [port, alg] = process.argv.slice(-2);
const kinds = { RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }] };
const { privateKey } = generateKeyPairSync(...kinds[alg]);
const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' };
const other = generateKeyPairSync(...kinds.RS256).privateKey.export({ format: 'jwk' });

const client = (client_id, client_secret) => ({
  client_id, client_secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
});
const server = (accessTokenFormat, audience) => ({
  audience, accessTokenFormat, accessTokenTTL: 600, scope: 'roamline', jwt: { sign: { alg, kid: key.kid } },
});
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client('desktop', 'the secret of the desktop'), client('roamline', 'the secret of Roamline')],
  cookies: { keys: [randomUUID()] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: { enabled: true, getResourceServerInfo: (_, audience) => server('jwt', audience) },
  },
  ttl: { AccessToken: 600 },
  jwks: { keys: [key, { ...other, kid: randomUUID(), use: 'sig' }] },
});

async function make({ format, account, audience }) {
  const token = new provider.AccessToken({
    client: await provider.Client.find('desktop'),
    accountId: account,
    scope: 'roamline',
  });
  token.resourceServer = new provider.ResourceServer(audience, server(format, audience));
  return token.save();
}

provider.listen(Number(port), '127.0.0.1', async () => {
  console.log(JSON.stringify({ serving: true }));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify({ token: await make(JSON.parse(line)) }));
  }
  process.exit(0);
});
