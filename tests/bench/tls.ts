// `npm run bench:tls [-- --connections 3000]`: what a connection with client certificate costs a bare server of Node's TLS in memory, set
// up as the device port is and with the allocator's settings of `selvedge up`: the floor of what a server holds per connected device, for
// one that connects for the first time and for one that goes on with its session.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createSecureContext, createServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sleep, waitUntil, withConnectionAllocator } from '@selvedge/runtime';
import * as z from 'zod';
import {
  generateKeys,
  issueOwnClientCertificate,
  issueServerCertificate,
  makeAuthority,
  privateKeyPem,
} from '../../packages/server/src/adapters/tls/certificates.ts';
import { memoryOf } from './rss.ts';

const HOST = '127.0.0.1';
const DAYS = 10;
const AT_A_TIME = 20;
const credentialsSchema = z.object({ key: z.string(), cert: z.string(), ca: z.string() });
const orderSchema = z.object({ port: z.number(), credentials: credentialsSchema, resumed: z.boolean() });

async function makeCredentials() {
  const now = new Date();
  const authority = await makeAuthority(now, DAYS);
  const ca = authority.certificate.toString('pem');
  const [serverKeys, clientKeys] = [await generateKeys(), await generateKeys()];
  const server = await issueServerCertificate(authority, serverKeys, [HOST], now, DAYS);
  const client = await issueOwnClientCertificate(authority, clientKeys, 'device', now, DAYS);
  return {
    server: { key: await privateKeyPem(serverKeys), cert: `${server.toString('pem')}\n${ca}`, ca },
    client: { key: await privateKeyPem(clientKeys), cert: client.toString('pem'), ca },
  };
}

/** Connects so often, twenty at a time, and keeps all of them until it is ended. */
async function beClient(connections: number): Promise<void> {
  const [message]: unknown[] = await once(process, 'message');
  const { port, credentials, resumed } = orderSchema.parse(message);
  const options = { host: HOST, port, secureContext: createSecureContext(credentials) };
  const begin = (more: { session?: Buffer }, done: () => void): TLSSocket => {
    const socket = connect({ ...options, ...more }, () => {
      socket.write('x');
      done();
    });
    return socket.resume();
  };
  let session: { session?: Buffer } = {};
  if (resumed) {
    const [made]: unknown[] = await once(
      begin({}, () => undefined),
      'session',
    );
    session = { session: z.instanceof(Buffer).parse(made) };
  }
  let begun = resumed ? 1 : 0;
  const next = (): void => {
    if (begun >= connections) return;
    begun += 1;
    begin(session, next);
  };
  for (let index = 0; index < AT_A_TIME; index += 1) next();
}

async function beServer(connections: number, resumed: boolean): Promise<void> {
  const credentials = await makeCredentials();
  const sockets = new Set<TLSSocket>();
  const server = createServer({ ...credentials.server, requestCert: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => sockets.delete(socket)).resume();
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = z.object({ port: z.number() }).parse(server.address());
  const before = memoryOf(process.pid).rssMiB;
  const child = run('client', connections, resumed);
  child.send({ port: address.port, credentials: credentials.client, resumed });
  await waitUntil(() => sockets.size >= connections, { timeoutMs: 600_000, what: `${connections} connections` });
  await sleep(3000);
  const perConnectionKiB = ((memoryOf(process.pid).rssMiB - before) * 1024) / connections;
  process.stdout.write(`${JSON.stringify({ connections, resumed, beforeMiB: before, perConnectionKiB }, null, 2)}\n`);
  child.kill();
  process.exit();
}

function run(role: string, connections: number, resumed: boolean): ChildProcess {
  const options = ['--role', role, '--connections', String(connections), ...(resumed ? ['--resumed'] : [])];
  const args = ['--import', 'tsx', fileURLToPath(import.meta.url), ...options];
  return spawn(process.execPath, args, { env: withConnectionAllocator(process.env), stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '3000' },
    role: { type: 'string', default: 'main' },
    resumed: { type: 'boolean', default: false },
  },
});
const connections = Number(values.connections);
if (values.role === 'client') await beClient(connections);
else if (values.role === 'server') await beServer(connections, values.resumed);
else {
  for (const resumed of [false, true]) {
    const [code] = await once(run('server', connections, resumed), 'exit');
    if (code !== 0) process.exitCode = 1;
  }
}
