// `npm run bench:transfer [-- --mib 256]`: a file pushed to a device, against curl and sha256sum with the same file from the same
// port, in turn.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Operation } from '@selvedge/contract';
import { Product } from '../e2e/harness/product.ts';

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
try {
  await product.startServer();
  const agent = await product.startAgent('bench-1');
  await product.startAgent('bench-2');
  const folderOf = async (device: string) => {
    await mkdir(join(product.agentDir(device), 'files'), { recursive: true });
    return realpath(join(product.agentDir(device), 'files'));
  };
  const [files, others] = [await folderOf('bench-1'), await folderOf('bench-2')];
  const source = join(product.dir, 'source.bin');
  const sha256 = await makeFile(source);
  const push = (device: string, path: string, ...more: string[]) =>
    product.cliJson<Operation>(['device', 'push', device, source, path, ...more]);

  // The second device is given it so slowly that curl may fetch it with that device's certificate all the while.
  await push('bench-2', `${others}/slow.bin`, '--limit', '1k', '--detach');
  const { port } = new URL(product.deviceUrl);
  const identity = product.agentDir('bench-2');
  const fetched = join(product.dir, 'curl.bin');
  const curl = () => {
    const address = `https://selvedge-server:${port}/device/v1/blobs/${sha256}`;
    const tls = ['--cacert', `${identity}/ca.pem`, '--cert', `${identity}/cert.pem`, '--key', `${identity}/key.pem`];
    execFileSync('curl', ['-sSf', ...tls, '--resolve', `selvedge-server:${port}:127.0.0.1`, '-o', fetched, address]);
    const printed = execFileSync('sha256sum', [fetched]).toString();
    if (!printed.startsWith(sha256)) throw new Error('curl fetched something else');
  };
  const idle = { agent: await peakMiB(agent.child.pid), server: await peakMiB(product.server.child.pid) };
  const pushMs: number[] = [];
  const wholeMs: number[] = [];
  const curlMs: number[] = [];
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
      `peak memory: agent ${(await peakMiB(agent.child.pid)).toFixed(0)} MiB (${idle.agent.toFixed(0)} before), server ${(await peakMiB(product.server.child.pid)).toFixed(0)} MiB (${idle.server.toFixed(0)} before)`,
      '',
    ].join('\n'),
  );
} finally {
  await product.stop();
}
