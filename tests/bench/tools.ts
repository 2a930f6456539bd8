// `npm run bench:tools [-- --artifacts N]`: from the POST of a request to the completed artifact of a tool that does nothing, straight to the
// tool and through the server's gateway: HTTP, queue, folders and what is flushed to the disk. A real server and real tool processes.
// The end is seen by following the log, which closes with the artifact; nothing is polled. A flush of this disk is measured beside it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { waitUntil } from '@selvedge/runtime';
import * as z from 'zod';
import { TestServer } from '../../packages/server/src/testing/test-server.ts';

const { values } = parseArgs({ options: { artifacts: { type: 'string', default: '200' } } });
const artifacts = Number(values.artifacts);
const WARM_UP = 20;
const TOOL = 'process';

function quantiles(times: readonly number[]) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => Number((sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(1));
  return { p50Ms: at(0.5), p95Ms: at(0.95), minMs: at(1 / sorted.length) };
}

async function makeOne({ url, token }: { url: string; token: string }, name: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  const from = performance.now();
  const answer = await fetch(`${url}/artifacts`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name, parameters: {} }),
  });
  if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
  const log = await fetch(`${url}/artifacts/${name}/log?follow=1`, { headers });
  await log.arrayBuffer();
  const ms = performance.now() - from;
  const status = await (await fetch(`${url}/artifacts/${name}/status`, { headers })).text();
  if (!status.includes('"completed"')) throw new Error(status);
  return ms;
}

/** A new small file, written and flushed: what this disk takes for one. */
async function flushOne(path: string): Promise<number> {
  const from = performance.now();
  const file = await open(path, 'w');
  await file.writeFile('x');
  await file.sync();
  await file.close();
  const ms = performance.now() - from;
  await rm(path);
  return ms;
}

async function timesOf(measure: (index: number) => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < WARM_UP + artifacts; index += 1) {
    const ms = await measure(index);
    if (index >= WARM_UP) times.push(ms);
  }
  return times;
}

const command = [process.execPath, '--import', import.meta.resolve('tsx'), fileURLToPath(new URL('empty-tool.ts', import.meta.url))];

/** The same tool without a server: its process, its address, and the token for it. */
async function startAlone(folder: string) {
  await mkdir(folder);
  const token = 'of-this-benchmark';
  const [program = '', ...args] = [...command, TOOL, '--data', folder];
  const child = spawn(program, args, { env: { ...process.env, SELVEDGE_TOOL_TOKEN: token }, stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(child.stdout), 'line');
  const { port } = z.object({ port: z.int() }).parse(JSON.parse(z.string().parse(line)));
  return { child, address: { url: `http://127.0.0.1:${port}`, token } };
}

const server = await TestServer.start({ toolCommand: command });
try {
  const { child, address } = await startAlone(join(server.dir, 'alone'));
  const straight = quantiles(await timesOf((index) => makeOne(address, `empty-${index}`)));
  child.kill();
  await once(child, 'exit');
  const ready = async () => (await server.fetch(`/containers/${TOOL}/health`)).ok;
  await waitUntil(ready, { timeoutMs: 120_000, what: 'the tool to be healthy' });
  const behind = { url: `${server.url}/containers/${TOOL}`, token: server.token };
  const gateway = quantiles(await timesOf((index) => makeOne(behind, `empty-${index}`)));
  const flush = quantiles(await timesOf(() => flushOne(join(server.dir, 'flushed'))));
  process.stdout.write(
    `${JSON.stringify({ 'straight to the tool': straight, 'through the gateway': gateway, 'one flushed file': flush }, null, 2)}\n`,
  );
} finally {
  await server.stop();
}
process.exit();
