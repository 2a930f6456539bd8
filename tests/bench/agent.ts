// `npm run bench:agent [-- --seconds 600]`: what an idle agent costs: memory, CPU and traffic, connected to a real server,
// nothing deployed; beside it, in the same window, the agents of Debian that do a part of it (--no-peers leaves them out); and how soon it
// serves again after a restart without network.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sleep } from '@selvedge/runtime';
import { Product } from '../e2e/harness/product.ts';
import { type Peer, startPeers } from './agent-peers.ts';
import { CountingProxy } from './counting-proxy.ts';
import { measureRestarts } from './restart.ts';
import { cpuSecondsOf, memoryOf } from './rss.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    settle: { type: 'string', default: '30' },
    'no-peers': { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);

/** Node alone with the agent's flags: what no program in it can go below. */
async function measureFloor(agentPid: number): Promise<number> {
  const [, ...words] = readFileSync(`/proc/${agentPid}/cmdline`, 'utf8').split('\0');
  const flags = words.slice(
    0,
    words.findIndex((word) => !word.startsWith('--')),
  );
  const child = spawn(process.execPath, [...flags, '-e', 'setInterval(() => 0, 1e9)'], {
    stdio: 'ignore',
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  });
  await sleep(5000);
  const { rssMiB } = memoryOf(child.pid ?? 0);
  child.kill();
  return rssMiB;
}

/** What a process costs in the window. */
function startMeasuring(pid: number, wireBytes: () => number) {
  const begin = { cpu: cpuSecondsOf(pid), bytes: wireBytes() };
  return () => ({
    ...memoryOf(pid),
    cpuPercentOfACore: ((cpuSecondsOf(pid) - begin.cpu) / seconds) * 100,
    bytes: wireBytes() - begin.bytes,
  });
}

const product = await Product.create();
let peers: Peer[] = [];
try {
  await mkdir(product.dir, { recursive: true });
  await product.startServer();
  const proxy = new CountingProxy();
  const { hostname, port } = new URL(product.deviceUrl);
  const url = `https://127.0.0.1:${await proxy.start({ hostname, port: Number(port) })}`;
  const agent = await product.startAgent('bench', { url });
  const nodeAloneRssMiB = await measureFloor(agent.child.pid ?? 0);
  const started = values['no-peers'] ? { peers: [], missing: ['left out'] } : await startPeers(join(product.dir, 'peers'));
  peers = started.peers;
  for (const sentence of started.missing) process.stderr.write(`${sentence}\n`);
  await sleep(Number(values.settle) * 1000);
  const measureAgent = startMeasuring(agent.child.pid ?? 0, () => proxy.wireBytes);
  const measurePeers = peers.map((peer) => startMeasuring(peer.pid, peer.wireBytes));
  const tlsBytes = proxy.bytes;
  await sleep(seconds * 1000);
  const perDay = (bytes: number) => Math.round((bytes / seconds) * 86_400);
  const own = measureAgent();
  const result = {
    seconds,
    nodeAloneRssMiB,
    rssMiB: own.rssMiB,
    pssMiB: own.pssMiB,
    cpuPercentOfACore: own.cpuPercentOfACore,
    tlsBytesPerDay: perDay(proxy.bytes - tlsBytes),
    bytesPerDayWithTcpIp: perDay(own.bytes),
    peers: peers.map((peer, at) => {
      const { bytes, ...found } = measurePeers[at]?.() ?? {
        bytes: 0,
        rssMiB: Number.NaN,
        pssMiB: Number.NaN,
        cpuPercentOfACore: Number.NaN,
      };
      const bytesPerDayWithTcpIp = Math.round(peer.bytesPerDay(bytes, seconds));
      return {
        name: peer.name,
        does: peer.does,
        ...found,
        bytesPerDayWithTcpIp,
        agentTo: {
          rss: own.rssMiB / found.rssMiB,
          pss: own.pssMiB / found.pssMiB,
          cpu: own.cpuPercentOfACore / found.cpuPercentOfACore,
          bytes: perDay(own.bytes) / bytesPerDayWithTcpIp,
        },
      };
    }),
    missing: started.missing,
    restartToServingMs: await measureRestarts(5),
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  await Promise.all(peers.map((peer) => peer.stop()));
  await product.stop();
  await rm(product.dir, { recursive: true, force: true });
}
process.exit();
