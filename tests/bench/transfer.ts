// `npm run bench:transfer [-- --mib 256]`: a file pushed to a device, against curl and sha256sum with the same file from the same
// port, and with rsync and scp of the same file over loopback, in turn.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Operation } from '@selvedge/contract';
import { readIdentity } from '../../packages/agent/src/adapters/disk/identity-folder.ts';
import { Product } from '../e2e/harness/product.ts';
import { startTransferPeers, type TransferPeers } from './transfer-peers.ts';

const { values } = parseArgs({ options: { mib: { type: 'string', default: '256' }, rounds: { type: 'string', default: '5' } } });
const mib = Number(values.mib);
const rounds = Number(values.rounds);

async function makeFile(path: string): Promise<string> {
  const handle = await open(path, 'w');
  const hash = createHash('sha256');
  for (let done = 0; done < mib; done += 1) {
    const bytes = randomBytes(1024 * 1024);
    hash.update(bytes);
    await handle.write(bytes);
  }
  await handle.close();
  return hash.digest('hex');
}

/** The most memory that a process has had, in MiB. */
async function peakMiB(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

const product = await Product.create();
let others: TransferPeers | undefined;
try {
  await product.startServer();
  const agent = await product.startAgent('bench-1');
  await product.startAgent('bench-2');
  const folderOf = async (device: string) => {
    await mkdir(join(product.agentDir(device), 'files'), { recursive: true });
    return realpath(join(product.agentDir(device), 'files'));
  };
  const [files, slow] = [await folderOf('bench-1'), await folderOf('bench-2')];
  const source = join(product.dir, 'source.bin');
  const sha256 = await makeFile(source);
  const push = (device: string, path: string, ...more: string[]) =>
    product.cliJson<Operation>(['device', 'push', device, source, path, ...more]);

  // The second device is given it so slowly that curl may fetch it with that device's certificate all the while.
  await push('bench-2', `${slow}/slow.bin`, '--limit', '1k', '--detach');
  const { port } = new URL(product.deviceUrl);
  const stored = await readIdentity(product.agentDir('bench-2'));
  if (stored === undefined) throw new Error('the second device has not joined');
  const pem = (name: string) => join(product.dir, `curl-${name}.pem`);
  await Promise.all([writeFile(pem('ca'), stored.caPem), writeFile(pem('cert'), stored.certPem), writeFile(pem('key'), stored.keyPem)]);
  const fetched = join(product.dir, 'curl.bin');
  const curl = () => {
    const address = `https://selvedge-server:${port}/device/v1/blobs/${sha256}`;
    const tls = ['--cacert', pem('ca'), '--cert', pem('cert'), '--key', pem('key')];
    execFileSync('curl', ['-sSf', ...tls, '--resolve', `selvedge-server:${port}:127.0.0.1`, '-o', fetched, address]);
    const printed = execFileSync('sha256sum', [fetched]).toString();
    if (!printed.startsWith(sha256)) throw new Error('curl fetched something else');
  };
  others = await startTransferPeers({ dir: join(product.dir, 'peers'), folder: product.dir, file: 'source.bin', sha256 });
  for (const sentence of others.missing) process.stderr.write(`${sentence}\n`);
  const idle = { agent: await peakMiB(agent.child.pid), server: await peakMiB(product.server.child.pid) };
  const pushMs: number[] = [];
  const wholeMs: number[] = [];
  const curlMs: number[] = [];
  const peerMs = others.peers.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    await rm(`${files}/data.bin`, { force: true });
    const began = performance.now();
    const { status } = await push('bench-1', `${files}/data.bin`);
    wholeMs.push(performance.now() - began);
    const [one] = status.devices;
    pushMs.push(Date.parse(one?.finishedAt ?? '') - Date.parse(one?.startedAt ?? ''));
    await rm(fetched, { force: true });
    const curlBegan = performance.now();
    curl();
    curlMs.push(performance.now() - curlBegan);
    for (const [at, { fetch }] of others.peers.entries()) {
      await rm(others.destination, { force: true });
      const peerBegan = performance.now();
      fetch();
      peerMs[at]?.push(performance.now() - peerBegan);
    }
  }
  const rate = (ms: number) => `${((mib / ms) * 1000).toFixed(0)} MiB/s`;
  const [pushed, whole, peer] = [median(pushMs), median(wholeMs), median(curlMs)];
  process.stdout.write(
    [
      `${mib} MiB, median of ${rounds}`,
      `push, server to device (fetch, verify, sync, rename): ${pushed.toFixed(0)} ms, ${rate(pushed)}`,
      `push, whole command (the server has the file):        ${whole.toFixed(0)} ms`,
      `curl and sha256sum:                                   ${peer.toFixed(0)} ms, ${rate(peer)}`,
      `ratio ${(peer / pushed).toFixed(2)} (at least 0.8)`,
      ...others.peers.map(({ name }, at) => {
        const ms = median(peerMs[at] ?? []);
        return `${`${name}:`.padEnd(53)} ${ms.toFixed(0)} ms, ${rate(ms)}; push has ${(ms / pushed).toFixed(2)}x of it`;
      }),
      ...others.missing,
      `peak memory: agent ${(await peakMiB(agent.child.pid)).toFixed(0)} MiB (${idle.agent.toFixed(0)} before), server ${(await peakMiB(product.server.child.pid)).toFixed(0)} MiB (${idle.server.toFixed(0)} before)`,
      '',
    ].join('\n'),
  );
} finally {
  others?.stop();
  await product.stop();
}
