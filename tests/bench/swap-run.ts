import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep } from '@selvedge/runtime';
import { makePackage } from '../../packages/agent/src/testing/make-package.ts';
import { TestServer } from '../../packages/agent/src/testing/test-server.ts';
import { memoryOf } from './rss.ts';

const AGENT = fileURLToPath(new URL('../../packages/agent/bin/selvedge-agent', import.meta.url));
const DEVICE = 'device-1';
/** A small input, so that the model is not what limits the pace. */
const TENSOR = { inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 3, 4, 4], data: Array.from({ length: 48 }, (_, at) => at / 48) }] };
/** Swaps after which memory is first looked at: by then everything that swaps need is loaded. */
const SETTLED_SWAPS = 5;

export interface SwapOptions {
  swaps: number;
  perSecond: number;
  /** No swap is begun after so long. */
  maxSeconds: number;
  /** After each. */
  onSwap?: (swaps: number, seconds: number) => void;
}

export interface SwapFigures {
  swaps: number;
  seconds: number;
  requests: number;
  failed: number;
  /** Still waiting for a connection half a minute after the end: the machine did not keep the pace. */
  unanswered: number;
  /** The first reasons of failed requests. */
  reasons: string[];
  answersByVersion: Record<string, number>;
  p50Ms: number;
  p99Ms: number;
  /** Resident memory of the agent after the first swaps, at the end, and the most in between. */
  agentRssMiB: { begin: number; end: number; most: number };
}

/** Asks at a steady pace on kept connections; latencies are from when a request was due, so that waiting for a connection counts. */
class SteadyLoad {
  readonly latenciesMs: number[] = [];
  readonly byVersion: Record<string, number> = {};
  readonly reasons: string[] = [];
  failed = 0;
  unanswered = 0;
  requests = 0;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 24 });
  #timer: NodeJS.Timeout | undefined;
  #startedMs = 0;
  #waiting = 0;
  #isOver = false;

  start(port: number, body: Buffer, perSecond: number): void {
    this.#startedMs = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - this.#startedMs) / 1000) * perSecond);
      while (this.requests < due) void this.#ask(port, body);
    }, 5);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    for (let tries = 0; tries < 300 && this.#waiting > 0; tries += 1) await sleep(100);
    if (!this.#isOver) this.unanswered = this.#waiting;
    this.#isOver = true;
    this.#agent.destroy();
  }

  async #ask(port: number, body: Buffer): Promise<void> {
    this.requests += 1;
    this.#waiting += 1;
    const startedMs = performance.now();
    try {
      const version = await this.#once(port, body);
      this.byVersion[version] = (this.byVersion[version] ?? 0) + 1;
      this.latenciesMs.push(performance.now() - startedMs);
    } catch (error) {
      this.#waiting -= 1;
      // Those that we ourselves broke off are not failed.
      if (this.#isOver) return;
      this.failed += 1;
      if (this.reasons.length < 10) this.reasons.push(String(error));
      return;
    }
    this.#waiting -= 1;
  }

  #once(port: number, body: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const path = '/v2/models/colours/infer';
      const call = request({ host: '127.0.0.1', port, method: 'POST', path, agent: this.#agent, headers }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode !== 200) reject(new Error(`HTTP ${response.statusCode}: ${text.slice(0, 200)}`));
          else resolve(/"model_version":"([^"]+)"/.exec(text)?.[1] ?? '?');
        });
      });
      call.on('error', reject);
      call.end(body);
    });
  }
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** One agent as it is installed, the server that it obeys, and a load on its serving port while versions are swapped. */
export async function runSwaps(options: SwapOptions): Promise<SwapFigures> {
  const dir = await mkdtemp(join(tmpdir(), 'selvedge-swap-'));
  const server = await TestServer.start();
  let agent: ChildProcess | undefined;
  const load = new SteadyLoad();
  try {
    const packs = [makePackage({ version: '1' }), makePackage({ version: '2', gain: 1.01 })];
    for (const pack of packs) server.addPackage(pack);
    // Not synchronously: the server that it joins is in this process.
    const join = spawn(AGENT, ['join', server.url, '--token', server.token, '--dir', dir], { stdio: 'ignore' });
    await new Promise((resolve) => join.on('exit', resolve));
    agent = spawn(AGENT, ['run', '--dir', dir, '--log-level', 'warn'], { stdio: ['ignore', 'ignore', 'inherit'] });
    const swapTo = async (index: number) => {
      const pack = packs[index % 2] ?? packs[0];
      if (pack === undefined) return undefined;
      await server.desire(DEVICE, [server.workload(pack)]);
      const isThere = (workload: { servingVersion: string | null; state: string }) =>
        workload.servingVersion === pack.manifest.version && workload.state === 'serving';
      const found = await server.reported(`serves ${pack.manifest.version}`, isThere, 'colours', 120_000);
      server.reports.splice(0, server.reports.length - 1);
      server.messages.length = 0;
      return found;
    };
    const port = (await swapTo(0))?.port ?? 0;
    load.start(port, Buffer.from(JSON.stringify(TENSOR)), options.perSecond);
    const startedMs = performance.now();
    const rss: number[] = [];
    let swaps = 0;
    while (swaps < options.swaps && performance.now() - startedMs < options.maxSeconds * 1000) {
      swaps += 1;
      await swapTo(swaps);
      options.onSwap?.(swaps, (performance.now() - startedMs) / 1000);
      if (swaps >= SETTLED_SWAPS) rss.push(memoryOf(agent.pid ?? 0).rssMiB);
    }
    const seconds = (performance.now() - startedMs) / 1000;
    await load.stop();
    return {
      swaps,
      seconds,
      requests: load.requests,
      failed: load.failed,
      unanswered: load.unanswered,
      reasons: load.reasons,
      answersByVersion: load.byVersion,
      p50Ms: percentile(load.latenciesMs, 0.5),
      p99Ms: percentile(load.latenciesMs, 0.99),
      agentRssMiB: { begin: rss[0] ?? Number.NaN, end: rss.at(-1) ?? Number.NaN, most: Math.max(...rss) },
    };
  } finally {
    await load.stop();
    if (agent?.pid !== undefined && agent.exitCode === null) {
      const ended = new Promise((resolve) => agent?.on('exit', resolve));
      agent.kill('SIGTERM');
      await ended;
    }
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
