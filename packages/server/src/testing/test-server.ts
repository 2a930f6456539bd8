import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AnyResource, type Client, createClient, type FetchLike, KINDS, type Kind, type Run } from '@selvedge/contract';
import { createLogger, waitUntil } from '@selvedge/runtime';
import { serverConfigSchema } from '../config.ts';
import { type RunningServer, startServer } from '../server.ts';

const FIXTURE = fileURLToPath(new URL('fixture-tool.mjs', import.meta.url));
const nodeFetch: FetchLike = (url, init) => fetch(url, init as RequestInit);

export const SMALL_PIPELINE = {
  dataset: { name: 'things', path: { train: 'train', test: 'test' } },
  preproc: { pipeline: ['hwctochw'] },
  model: { name: 'thing', hyperparams: { lr: 0.1, batch_size: 1, epochs: 1 } },
  postproc: { pipeline: ['softmax'] },
} as const;

/** A real server on free ports in a folder of its own; its tools are real processes of the fixture. */
export class TestServer {
  readonly dir: string;
  #running: RunningServer | undefined;
  readonly #settings: Record<string, unknown>;
  token = '';

  private constructor(dir: string, settings: Record<string, unknown>) {
    this.dir = dir;
    this.#settings = settings;
  }

  static async start(settings: Record<string, unknown> = {}): Promise<TestServer> {
    const server = new TestServer(await mkdtemp(join(tmpdir(), 'selvedge-server-')), settings);
    await server.startAgain();
    return server;
  }

  get url(): string {
    return this.#running?.ready.url ?? '';
  }
  get loginUrl(): string {
    return this.#running?.ready.loginUrl ?? '';
  }

  async startAgain(): Promise<void> {
    const config = serverConfigSchema.parse({
      dataDir: this.dir,
      port: 0,
      devicePort: 0,
      toolCommand: [process.execPath, FIXTURE],
      ...this.#settings,
    });
    const lines: string[] = [];
    const log = createLogger({ name: 'test', level: 'warn', format: 'json', write: (line) => lines.push(line) });
    this.#running = await startServer(config, log);
    this.token = (await readFile(join(this.dir, 'admin-token'), 'utf8')).trim();
  }

  async stopServer(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  async stop(): Promise<void> {
    await this.stopServer();
    await rm(this.dir, { recursive: true, force: true });
  }

  get client(): Client {
    return createClient({ baseUrl: this.url, token: this.token, fetch: nodeFetch });
  }

  /** A request with the administrator's token, unless the headers say otherwise. */
  fetch(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, { ...init, headers: { authorization: `Bearer ${this.token}`, ...init.headers } });
  }

  async resource<K extends Kind>(kind: K, name: string): Promise<Extract<AnyResource, { kind: K }>> {
    const found = await this.client.getResource({ params: { plural: KINDS[kind].plural, name } });
    return found as Extract<AnyResource, { kind: K }>;
  }

  /** Sets or clears a switch of the fixture: `hold`, `fail`, `mute`, `deaf`, `damage`. */
  async toolFlag(tool: string, flag: 'hold' | 'fail' | 'mute' | 'deaf' | 'damage' | 'foreign', on: boolean): Promise<void> {
    const folder = join(this.dir, 'tools', tool);
    await mkdir(folder, { recursive: true });
    if (on) await writeFile(join(folder, flag), '');
    else await rm(join(folder, flag), { force: true });
  }

  /** Names of the artifacts that a tool was asked for, in order. */
  async createdBy(tool: string): Promise<string[]> {
    const text = await readFile(join(this.dir, 'tools', tool, 'created.log'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  }

  async toolsHealthy(): Promise<void> {
    await waitUntil(async () => (await this.client.getHealth()).status === 'ok', { timeoutMs: 20_000, what: 'the tools to be healthy' });
  }

  /** Uploads bytes as a dataset version and waits until it is Ready. */
  async addDataset(name: string, bytes = 'some bytes'): Promise<string> {
    const version = await this.client.uploadDataset({ params: { name }, upload: bytes });
    const { name: versionName } = version.metadata;
    await waitUntil(async () => (await this.resource('DatasetVersion', versionName)).status.phase === 'Ready', {
      timeoutMs: 20_000,
      what: `${versionName} to be ready`,
    });
    return versionName;
  }

  async applyPipeline(name: string, spec: Record<string, unknown> = SMALL_PIPELINE): Promise<void> {
    const body = { documents: [{ apiVersion: 'selvedge.dev/v1alpha1', kind: 'Pipeline', metadata: { name }, spec }] };
    const response = await this.fetch('/api/v1/apply', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  async waitForRun(name: string, test: (run: Run) => boolean, what: string, timeoutMs = 20_000): Promise<Run> {
    return waitUntil(
      async () => {
        const run = await this.resource('Run', name);
        return test(run) ? run : undefined;
      },
      { timeoutMs, what: `run ${name}: ${what}` },
    );
  }
}
