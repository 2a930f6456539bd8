// A peer that stays loaded and computes on command, so that peers can take turns.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import * as z from 'zod';

const turnsSchema = z.object({ turns: z.number(), medianMs: z.number(), leastMs: z.number().optional(), bareMs: z.number().optional() });
export type Turns = z.infer<typeof turnsSchema>;

export class Peer {
  readonly name: string;
  readonly words: readonly string[];
  readonly #env: Record<string, string>;
  #child: ChildProcess | undefined;
  #lines: AsyncIterator<string> | undefined;
  #reader: Interface | undefined;

  constructor(name: string, words: readonly string[], env: Record<string, string> = {}) {
    this.name = name;
    this.words = words;
    this.#env = env;
  }

  async start(): Promise<void> {
    const [program = '', ...args] = this.words;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...this.#env } });
    let errors = '';
    child.stderr.on('data', (chunk) => {
      if (!String(chunk).startsWith('Schema error')) errors = (errors + String(chunk)).slice(-2000);
    });
    child.once('exit', (code) => {
      if (code !== 0 && code !== null) process.stderr.write(`${this.name} ended with ${code}: ${errors}\n`);
    });
    this.#child = child;
    this.#reader = createInterface(child.stdout);
    this.#lines = this.#reader[Symbol.asyncIterator]();
    if ((await this.#next()) !== 'ready') throw new Error(`${this.name} did not get ready`);
  }

  async #next(): Promise<string> {
    const line = await this.#lines?.next();
    if (line === undefined || line.done === true) throw new Error(`${this.name} (${this.words.join(' ')}) ended early`);
    return line.value;
  }

  /** Computes for so many ms; of processor time, unless the program says otherwise. */
  async measure(budgetMs: number): Promise<Turns> {
    this.#child?.stdin?.write(`${budgetMs}\n`);
    return turnsSchema.parse(JSON.parse(await this.#next()));
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.stdin?.end();
    await exited;
    this.#reader?.close();
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/**
 * All peers in turn, round by round; of each the median over rounds of what a round's median was.
 *
 * @param budgetMs - of one peer in one round.
 */
export async function interleave(peers: readonly Peer[], rounds: number, budgetMs: number): Promise<Map<string, Turns>> {
  const found = new Map<string, Turns[]>(peers.map((peer) => [peer.name, []]));
  try {
    for (const peer of peers) await peer.start();
    for (let round = 0; round < rounds; round++) {
      // Another one begins each round: whoever comes after a heavy one finds cold caches.
      for (let at = 0; at < peers.length; at++) {
        const peer = peers[(at + round) % peers.length];
        if (peer !== undefined) found.get(peer.name)?.push(await peer.measure(budgetMs));
      }
    }
  } finally {
    for (const peer of peers) await peer.stop();
  }
  const summary = (all: Turns[]): Turns => ({
    turns: all.reduce((sum, { turns }) => sum + turns, 0),
    medianMs: median(all.map(({ medianMs }) => medianMs)),
    leastMs: Math.min(...all.map(({ leastMs }) => leastMs ?? Number.POSITIVE_INFINITY)),
    bareMs: median(all.map(({ bareMs }) => bareMs ?? Number.NaN)),
  });
  return new Map([...found].map(([name, all]) => [name, summary(all)]));
}
