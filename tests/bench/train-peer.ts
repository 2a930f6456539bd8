import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

const answerSchema = z.object({ clock: z.number(), cpu: z.number(), version: z.string() });

/** train-peer.py as a process that takes some steps whenever it is told to. */
export class TrainPeer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  /** @returns undefined, and says why, where that Python or its PyTorch is missing. */
  static async start(python: string, { threads, steps }: { threads: number; steps: number }): Promise<TrainPeer | undefined> {
    const script = fileURLToPath(new URL('train-peer.py', import.meta.url));
    const child = spawn(python, [script, String(threads), String(steps)], { stdio: ['pipe', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    // A process that could not be started, or has ended, takes no input; what came of it is looked at below.
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      complaint += error.message;
    });
    const peer = new TrainPeer(child, createInterface(child.stdout)[Symbol.asyncIterator]());
    const first = await peer.#ask({ name: 'small-cnn', input: [1, 28, 28], batch: 1 });
    process.stdout.write(first === undefined ? `without PyTorch: ${complaint.trim()}\n` : `beside PyTorch ${first.version}\n`);
    return first === undefined ? undefined : peer;
  }

  /** Milliseconds of the steps. */
  async run(subject: object): Promise<{ clock: number; cpu: number }> {
    const answer = await this.#ask(subject);
    if (answer === undefined) throw new Error('the PyTorch process has ended');
    return answer;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.stdin?.end();
    await once(this.#child, 'exit');
  }

  async #ask(subject: object) {
    this.#child.stdin?.write(`${JSON.stringify(subject)}\n`);
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : answerSchema.parse(JSON.parse(value));
  }
}
