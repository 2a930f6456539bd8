// `npm run bench:tls [-- --connections 3000]`: what a connection with client certificate costs a bare server of Node's TLS in memory, set
// up as the device port is and with the allocator's settings of `selvedge up`: the floor of what a server holds per connected device.
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import { connect, createSecureContext, createServer, type SecureContextOptions, type TLSSocket } from 'node:tls';
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
const orderSchema = z.object({ port: z.number(), credentials: credentialsSchema });

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
  const { port, credentials } = orderSchema.parse(message);
  const secureContext = createSecureContext(credentials);
  let begun = 0;
  const next = (): void => {
    if (begun >= connections) return;
    begun += 1;
    const socket = connect({ host: HOST, port, secureContext }, () => {
      socket.write('x');
      next();
    });
    socket.resume();
  };
  for (let index = 0; index < AT_A_TIME; index += 1) next();
}

async function beServer(connections: number, credentials: SecureContextOptions, client: SecureContextOptions): Promise<void> {
  const sockets = new Set<TLSSocket>();
  const server = createServer({ ...credentials, requestCert: true, secureOptions: constants.SSL_OP_NO_TICKET }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => sockets.delete(socket)).resume();
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = z.object({ port: z.number() }).parse(server.address());
  const before = memoryOf(process.pid).rssMiB;
  const child = run('client', connections);
  child.send({ port: address.port, credentials: client });
  await waitUntil(() => sockets.size >= connections, { timeoutMs: 600_000, what: `${connections} connections` });
  await sleep(3000);
  const perConnectionKiB = ((memoryOf(process.pid).rssMiB - before) * 1024) / connections;
  process.stdout.write(`${JSON.stringify({ connections, beforeMiB: before, perConnectionKiB }, null, 2)}\n`);
  child.kill();
  process.exit();
}

function run(role: string, connections: number): ChildProcess {
  const args = ['--import', 'tsx', fileURLToPath(import.meta.url), '--role', role, '--connections', String(connections)];
  return spawn(process.execPath, args, { env: withConnectionAllocator(process.env), stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

const { values } = parseArgs({ options: { connections: { type: 'string', default: '3000' }, role: { type: 'string', default: 'main' } } });
const connections = Number(values.connections);
if (values.role === 'client') await beClient(connections);
else if (values.role === 'server') {
  const { server, client } = await makeCredentials();
  await beServer(connections, server, client);
} else {
  const [code] = await once(run('server', connections), 'exit');
  process.exitCode = Number(code);
}
