import type { ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Loaded by every Node process of an agent: `Date` shows another time, and a signal sets it anew while the program runs. */
const program = (path: string) => `
const { readFileSync } = require('node:fs');
const Real = Date;
const look = () => Number(readFileSync(${JSON.stringify(path)}, 'utf8'));
let offsetMs = look();
process.on('SIGUSR2', () => { offsetMs = look(); });
globalThis.Date = class extends Real {
  constructor(...given) { if (given.length === 0) super(Real.now() + offsetMs); else super(...given); }
  static now() { return Real.now() + offsetMs; }
};
`;

/** The clock of a machine that a test sets, as a person or a time server does. */
export class SettableClock {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param offsetMs - this machine's clock minus the true time. */
  static async create(folder: string, offsetMs = 0): Promise<SettableClock> {
    const clock = new SettableClock(folder);
    await writeFile(clock.#path, String(offsetMs));
    await writeFile(join(folder, 'clock.cjs'), program(clock.#path));
    return clock;
  }

  get #path(): string {
    return join(this.#folder, 'clock-offset');
  }

  /** Environment of the agent that lives by this clock. */
  get env(): Record<string, string> {
    return { NODE_OPTIONS: `--require ${join(this.#folder, 'clock.cjs')}` };
  }

  async set(agent: ChildProcess, offsetMs: number): Promise<void> {
    await writeFile(this.#path, String(offsetMs));
    agent.kill('SIGUSR2');
  }
}
