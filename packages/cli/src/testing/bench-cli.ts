import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { ContractServer, type Handlers } from './contract-server.ts';
import { bundleCli, type Outcome, RunningBin } from './run-bin.ts';

/** The real command line in child processes, in a fresh folder per test, with a test server where one is wanted. */
export class CliBench {
  /** Where commands are called. */
  cwd = '';
  /** Root of the installation that is called. */
  root = '';
  #bin = '';
  #server: ContractServer | undefined;
  readonly #running: RunningBin[] = [];

  /** Registers the hooks; to be called once per test file. */
  install(): this {
    beforeAll(async () => {
      ({ root: this.root, bin: this.#bin } = await bundleCli());
    });
    afterAll(() => rm(this.root, { recursive: true, force: true }));
    beforeEach(async () => {
      this.cwd = await mkdtemp(join(tmpdir(), 'selvedge-cwd-'));
    });
    afterEach(async () => {
      for (const { child } of this.#running.splice(0)) child.kill('SIGKILL');
      await this.#server?.stop();
      this.#server = undefined;
      await rm(this.cwd, { recursive: true, force: true });
    });
    return this;
  }

  async serve(handlers: Handlers): Promise<ContractServer> {
    this.#server = new ContractServer(handlers);
    await this.#server.start();
    return this.#server;
  }

  /** Starts `selvedge ARGS` against the test server, if there is one. */
  start(args: readonly string[], options: { env?: Record<string, string>; stdin?: string; anonymous?: boolean } = {}): RunningBin {
    const server = this.#server;
    const access: Record<string, string> = server === undefined ? {} : { SELVEDGE_SERVER: server.url, SELVEDGE_TOKEN: server.token };
    const env = { ...(options.anonymous === true ? {} : access), HOME: this.cwd, ...options.env };
    const running = new RunningBin(this.#bin, args, {
      cwd: this.cwd,
      env,
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    });
    this.#running.push(running);
    return running;
  }

  async call(
    args: readonly string[],
    options: { env?: Record<string, string>; stdin?: string; anonymous?: boolean } = {},
  ): Promise<Outcome> {
    return this.start(args, options).ended();
  }
}
