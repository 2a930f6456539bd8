import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { Agent, createServer as createHttp, get } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { sleep, waitUntil } from '@selvedge/runtime';
import { CountingProxy } from './counting-proxy.ts';

/** A program of Debian that does a part of what the agent does, idle beside it. */
export interface Peer {
  name: string;
  /** What it does in the measurement. */
  does: string;
  pid: number;
  /** Bytes with TCP/IP headers a day. @param seconds - how long the window was in which `wireBytes` grew by `bytes`. */
  bytesPerDay: (bytes: number, seconds: number) => number;
  wireBytes: () => number;
  stop: () => Promise<void>;
}

const DAY_S = 86_400;
/** What Mender's client asks by default: for an update every half hour, and it sends its inventory every eight hours. */
const MENDER_UPDATE_S = 1800;
const MENDER_INVENTORY_S = 28_800;
const SCRAPE_S = 30;

function isInstalled(program: string): boolean {
  return spawnSync('which', [program]).status === 0;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

/**
 * Starts the peers that this machine has.
 *
 * @returns them, and a sentence about each that is missing.
 */
export async function startPeers(dir: string): Promise<{ peers: Peer[]; missing: string[] }> {
  const missing: string[] = [];
  const peers: Peer[] = [];
  const add = async (program: string, packageName: string, start: () => Promise<Peer>) => {
    if (!isInstalled(program)) missing.push(`${packageName} is not installed: apt-get install ${packageName}`);
    else {
      try {
        peers.push(await start());
      } catch (error) {
        missing.push(`${packageName} does not run here: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  await add('mender', 'mender-client', () => startMender(join(dir, 'mender')));
  await add('prometheus-node-exporter', 'prometheus-node-exporter', startNodeExporter);
  return { peers, missing };
}

/** The least that a server of Mender's answers to a device that it has accepted and that is up to date. */
async function startMenderServer(dir: string) {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert];
  execFileSync('openssl', [...made, '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  const counts = { checks: 0 };
  const server = createHttps({ key: await readFile(key), cert: await readFile(cert) }, (request, response) => {
    request.resume();
    request.on('end', () => {
      const path = request.url ?? '';
      if (path.includes('/deployments/next')) {
        counts.checks += 1;
        response.writeHead(204).end();
      } else if (path.includes('/auth_requests')) response.writeHead(200, { 'content-type': 'application/jwt' }).end('e30.e30.e30');
      else response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  // As after half an hour: each question is a connection of its own.
  server.keepAliveTimeout = 500;
  return { port: (server.address() as AddressInfo).port, cert, counts };
}

/** Folders that the client reads at fixed places are put there in a mount namespace of its own. */
async function spawnMender(dir: string, name: string, port: number, cert: string, updateS: number): Promise<ChildProcess> {
  const [data, etc, identity] = ['data', 'etc', 'identity'].map((folder) => join(dir, name, folder)) as [string, string, string];
  for (const folder of [data, etc, identity]) await mkdir(folder, { recursive: true });
  const config = {
    ServerURL: `https://localhost:${port}`,
    ServerCertificate: cert,
    DeviceTypeFile: join(etc, 'device_type'),
    UpdatePollIntervalSeconds: updateS,
    InventoryPollIntervalSeconds: MENDER_INVENTORY_S,
    RetryPollIntervalSeconds: 300,
    DBus: { Enabled: false },
  };
  await writeFile(join(etc, 'mender.conf'), JSON.stringify(config));
  await writeFile(join(etc, 'device_type'), 'device_type=bench\n');
  await writeFile(join(etc, 'artifact_info'), 'artifact_name=bench\n');
  await writeFile(join(identity, 'mender-device-identity'), '#!/bin/sh\necho mac=00:00:5e:00:53:01\n', { mode: 0o755 });
  const places = `mount --bind "${etc}" /etc/mender && mount --bind "${identity}" /usr/share/mender/identity`;
  const script = `${places} && exec mender --config "${etc}/mender.conf" --fallback-config /nonexistent --data "${data}" --no-syslog daemon`;
  return spawn('unshare', ['--map-root-user', '--mount', 'sh', '-c', script], { stdio: 'ignore' });
}

async function startMender(dir: string): Promise<Peer> {
  await mkdir(dir, { recursive: true });
  const { port, cert, counts } = await startMenderServer(dir);
  const checked = (least: number) =>
    waitUntil(() => counts.checks >= least, { timeoutMs: 60_000, what: 'the client to ask for an update' });
  // What one question costs, from a client that asks often: the other asks too seldom to be counted in the window.
  const often = new CountingProxy();
  const asking = await spawnMender(dir, 'often', await often.start({ hostname: '127.0.0.1', port }), cert, 5);
  const bytes: number[] = [];
  try {
    for (const at of [1, 2, 3]) {
      await checked(at);
      await sleep(1000);
      bytes.push(often.wireBytes);
    }
  } finally {
    await ended(asking);
    often.stop();
  }
  const [first = 0, , last = 0] = bytes;
  const checkBytes = (last - first) / 2;
  const beginBytes = first - checkBytes;
  counts.checks = 0;
  const proxy = new CountingProxy();
  const child = await spawnMender(dir, 'idle', await proxy.start({ hostname: '127.0.0.1', port }), cert, MENDER_UPDATE_S);
  await checked(1);
  return {
    name: 'mender-client',
    does: `daemon, accepted by a server with nothing new; asks every ${MENDER_UPDATE_S} s, inventory every ${MENDER_INVENTORY_S} s (defaults); traffic reckoned from questions asked more often`,
    pid: child.pid ?? 0,
    bytesPerDay: () => (DAY_S / MENDER_UPDATE_S) * checkBytes + (DAY_S / MENDER_INVENTORY_S) * beginBytes,
    wireBytes: () => proxy.wireBytes,
    stop: async () => {
      await ended(child);
      proxy.stop();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createHttp();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startNodeExporter(): Promise<Peer> {
  const own = await freePort();
  const child = spawn('prometheus-node-exporter', [`--web.listen-address=127.0.0.1:${own}`], { stdio: 'ignore' });
  const proxy = new CountingProxy();
  const port = await proxy.start({ hostname: '127.0.0.1', port: own });
  // As Prometheus asks: a kept connection, compressed.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { accept: 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5', 'accept-encoding': 'gzip' };
  const scrape = () =>
    new Promise<boolean>((resolve) => {
      const asked = get({ host: '127.0.0.1', port, path: '/metrics', agent, headers }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode === 200));
      });
      asked.on('error', () => resolve(false));
    });
  await waitUntil(scrape, { timeoutMs: 15_000, intervalMs: 200, what: 'the exporter to answer' });
  const timer = setInterval(() => void scrape(), SCRAPE_S * 1000);
  return {
    name: 'prometheus-node-exporter',
    does: `its default collectors, scraped every ${SCRAPE_S} s over plain HTTP on a kept connection`,
    pid: child.pid ?? 0,
    bytesPerDay: (bytes, seconds) => (bytes / seconds) * DAY_S,
    wireBytes: () => proxy.wireBytes,
    stop: async () => {
      clearInterval(timer);
      agent.destroy();
      await ended(child);
      proxy.stop();
    },
  };
}
