// The server in the executable: its limit, its latency at 80 % of that, its memory over many requests.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { decodeImage } from '@selvedge/graph/image';
import { waitUntil } from '@selvedge/runtime';
import * as z from 'zod';
import { memoryOf } from '../../rss.ts';
import { type BenchContext, VGA } from '../bench-context.ts';
import { makeProgram } from '../peer-programs.ts';
import { drawPicture, encodeJpeg } from '../pictures.ts';
import type { Row, Table } from '../report.ts';

const run = promisify(execFile);
const loadSchema = z.object({
  seconds: z.number(),
  answered: z.number(),
  refused: z.number(),
  failed: z.literal(0),
  p50: z.number(),
  p90: z.number(),
  p99: z.number(),
  most: z.number(),
});
type Load = z.infer<typeof loadSchema>;

const CONNECTIONS = 8;
const REQUESTS = 10_000;
/** Memory may grow by so much between the first and the last part of the requests: what malloc keeps for the largest. */
const GROWTH_KIB = 256;
const PARTS = 10;
const TAIL = 1.5;

const listeningSchema = z.object({ port: z.number() });
const LONGEST_START_MS = 30_000;

async function startServer(folder: string) {
  const child = spawn(join(folder, 'run'), ['--serve', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = await once(createInterface(child.stdout), 'line');
  const { port } = listeningSchema.parse(JSON.parse(String(line)));
  const stop = async () => {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  };
  // It listens before the model is loaded, and refuses requests until then.
  const isReady = async () => (await fetch(`http://127.0.0.1:${port}/v2/health/ready`)).status === 200;
  try {
    await waitUntil(isReady, { timeoutMs: LONGEST_START_MS, intervalMs: 5, what: 'the server' });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, pid: child.pid ?? 0, stop };
}

function summary(load: Load): string {
  return `p50 ${load.p50.toPrecision(3)} ms, p90 ${load.p90.toPrecision(3)}, p99 ${load.p99.toPrecision(3)}, longest ${load.most.toPrecision(3)}; ${load.answered} answered, ${load.refused} refused`;
}

/** The picture that a client would send for this network: of the digit CNN a small one. */
async function pictureOf(context: BenchContext, name: string): Promise<string> {
  if (name !== 'digits') return context.pictureFile(VGA);
  const path = join(context.folder, 'small.jpg');
  const jpeg = await encodeJpeg(drawPicture(77, 64, 64));
  await decodeImage(jpeg);
  await writeFile(path, jpeg);
  return path;
}

async function measureServer(context: BenchContext, client: string, name: string, requests: number, endurance: number): Promise<Row[]> {
  const network = context.network(name);
  if (network === undefined) return [];
  const { folder } = await context.package(network, 'linux-amd64', 'int8');
  const picture = await pictureOf(context, name);
  const server = await startServer(folder);
  const load = async (count: number, rate: number): Promise<Load> => {
    const { stdout } = await run(client, [String(server.port), picture, String(count), String(CONNECTIONS), String(rate)]);
    return loadSchema.parse(JSON.parse(stdout));
  };
  try {
    await load(Math.ceil(requests / 20), 0); // warms up
    const limit = await load(requests, 0);
    const perSecond = limit.answered / limit.seconds;
    const most = await load(requests, perSecond * 0.8);
    const rows: Row[] = [
      { what: `${name} int8, at its limit`, measured: perSecond, unit: 'requests/s', note: summary(limit) },
      {
        what: `${name} int8, p99 / p50 at 80 %`,
        measured: most.p99 / most.p50,
        unit: '',
        bar: { is: '<=', value: TAIL },
        note: summary(most),
      },
    ];
    if (endurance === 0) return rows;
    const memory: number[] = [];
    for (let part = 0; part < PARTS; part++) {
      await load(Math.ceil(endurance / PARTS), 0);
      memory.push(memoryOf(server.pid).rssMiB * 1024);
    }
    const [first = Number.NaN, last = Number.NaN] = [memory[0], memory.at(-1)];
    const note = `${(first / 1024).toFixed(2)} to ${(last / 1024).toFixed(2)} MiB`;
    rows.push({
      what: `${name} int8, growth over ${endurance} requests`,
      measured: last - first,
      unit: 'KiB',
      bar: { is: '<=', value: GROWTH_KIB },
      note,
    });
    return rows;
  } finally {
    await server.stop();
  }
}

export async function serving(context: BenchContext): Promise<Table> {
  const client = join(context.folder, 'load-client');
  await makeProgram(await context.target('linux-amd64'), 'load_client.cc', client);
  const requests = context.flags.quick ? 1000 : REQUESTS;
  const endurance = context.flags.quick ? 5000 : context.flags.requests;
  const rows = await measureServer(context, client, 'digits', requests, endurance);
  if (!context.flags.quick) rows.push(...(await measureServer(context, client, 'detector', requests, 0)));
  const how = `run --serve, POST /v1/infer, ${CONNECTIONS} connections, ${requests} requests at the limit and again evenly at 80 % of it (load_client)`;
  return { subject: 'Server', how, rows };
}
