// `npm run bench:agent [-- --seconds 600]`: what an idle agent costs: memory, CPU and traffic, connected to a real server, nothing deployed.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sleep } from '@selvedge/runtime';
import { Product, ROOT } from '../e2e/harness/product.ts';
import { cpuSecondsOf, memoryOf } from './rss.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '600' }, settle: { type: 'string', default: '30' } } });
const seconds = Number(values.seconds);

/** Counts the bytes on the wire between agent and server, TLS included; TCP/IP headers are estimated at 52 bytes a segment. */
class CountingProxy {
  bytes = 0;
  segments = 0;
  async start(target: URL): Promise<string> {
    const server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.on('data', (chunk: Buffer) => {
          this.bytes += chunk.length;
          // Each data segment is answered by an acknowledgement of its own at worst.
          this.segments += 2 * Math.ceil(chunk.length / 1448);
          to.write(chunk);
        });
        from.on('close', () => to.destroy());
        from.on('error', () => to.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}

/** Node alone with the agent's flags: what no program in it can go below. */
async function measureFloor(): Promise<number> {
  const script = readFileSync(join(ROOT, 'packages/agent/bin/selvedge-agent'), 'utf8');
  const flags = /exec .*?(--[^"]*)"\$program"/s.exec(script)?.[1]?.replaceAll('\\', ' ').trim().split(/\s+/) ?? [];
  const child = spawn(process.execPath, [...flags, '-e', 'setInterval(() => 0, 1e9)'], {
    stdio: 'ignore',
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  });
  await sleep(5000);
  const { rssMiB } = memoryOf(child.pid ?? 0);
  child.kill();
  return rssMiB;
}

const product = await Product.create();
try {
  await mkdir(product.dir, { recursive: true });
  await product.startServer();
  const proxy = new CountingProxy();
  const url = await proxy.start(new URL(product.deviceUrl));
  const agent = await product.startAgent('bench', { url });
  const pid = agent.child.pid ?? 0;
  await sleep(Number(values.settle) * 1000);
  const begin = { cpu: cpuSecondsOf(pid), bytes: proxy.bytes, segments: proxy.segments };
  await sleep(seconds * 1000);
  const cpuShare = (cpuSecondsOf(pid) - begin.cpu) / seconds;
  const perDay = (value: number) => (value / seconds) * 86_400;
  const payload = perDay(proxy.bytes - begin.bytes);
  const wire = payload + perDay(proxy.segments - begin.segments) * 52;
  const { rssMiB, pssMiB } = memoryOf(pid);
  const result = {
    seconds,
    nodeAloneRssMiB: await measureFloor(),
    rssMiB,
    pssMiB,
    cpuPercentOfACore: cpuShare * 100,
    tlsBytesPerDay: Math.round(payload),
    bytesPerDayWithTcpIp: Math.round(wire),
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  await product.stop();
  await rm(product.dir, { recursive: true, force: true });
}
process.exit();
