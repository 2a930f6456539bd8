import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Client, createClient, type Device, type FetchLike, type ServerReady, serverReadySchema } from '@selvedge/contract';
import { freePort, waitUntil, withConnectionAllocator } from '@selvedge/runtime';
import { Mosquitto } from '../../../packages/server/src/testing/mosquitto.ts';
import { CuttingProxy } from './cutting-proxy.ts';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const CLI = join(ROOT, 'packages/cli/bin/selvedge.mjs');
const SERVER = join(ROOT, 'packages/server/dist/server.js');
const AGENT = join(ROOT, 'packages/agent/bin/selvedge-agent');

const nodeFetch: FetchLike = (url, init) => fetch(url, init as RequestInit);

export interface ProductOptions {
  serverPrefix?: readonly string[];
  serverArgs?: readonly string[];
  dir?: string;
  broker?: 'mosquitto' | 'embedded';
}

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** A process of the product with its log kept, for failed assertions. */
export class Running {
  readonly child: ChildProcess;
  log = '';

  constructor(child: ChildProcess) {
    this.child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.log += chunk.toString();
    });
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (!this.isAlive) return;
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    await gone;
  }
}

/**
 * The real product in a folder of its own: server with tools, agents, CLI; real processes, loopback, free ports.
 * The ports stay the same over restarts, so that agents find the server again.
 */
export class Product {
  readonly dir: string;
  #server: Running | undefined;
  #ready: ServerReady | undefined;
  readonly #agents = new Map<string, Running>();
  readonly #serverPrefix: readonly string[];

  readonly #serverArgs: readonly string[];
  /** What carries the messages of the devices; changed between two starts of the server, at will. */
  broker: 'mosquitto' | undefined;
  #mosquitto: Mosquitto | undefined;
  #brokerPort = 0;
  /** In front of the broker of its own, for its devices and for the server. */
  #brokerRelay: CuttingProxy | undefined;

  private constructor(dir: string, serverPrefix: readonly string[], serverArgs: readonly string[], broker: 'mosquitto' | undefined) {
    this.broker = broker;
    this.dir = dir;
    this.#serverPrefix = serverPrefix;
    this.#serverArgs = serverArgs;
  }

  /**
   * @param options.serverPrefix - put before the server's command, e.g. to limit it; `serverArgs`: put after it; `broker`: default
   *   what SELVEDGE_TEST_BROKER says, so that any test can be run over Mosquitto.
   */
  static async create(options: ProductOptions = {}): Promise<Product> {
    const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'selvedge-e2e-')));
    const broker = options.broker ?? process.env.SELVEDGE_TEST_BROKER;
    return new Product(dir, options.serverPrefix ?? [], options.serverArgs ?? [], broker === 'mosquitto' ? broker : undefined);
  }

  get dataDir(): string {
    return join(this.dir, 'server');
  }
  get url(): string {
    return this.#ready?.url ?? '';
  }
  get deviceUrl(): string {
    return this.#ready?.deviceUrl ?? '';
  }
  get loginUrl(): string {
    return this.#ready?.loginUrl ?? '';
  }
  get server(): Running {
    if (this.#server === undefined) throw new Error('the server was not started');
    return this.#server;
  }

  async startServer(): Promise<void> {
    const port = this.#ready === undefined ? '0' : new URL(this.#ready.url).port;
    const devicePort = this.#ready === undefined ? '0' : new URL(this.#ready.deviceUrl).port;
    const [program = '', ...args] = [
      ...this.#serverPrefix,
      process.execPath,
      SERVER,
      '--data',
      this.dataDir,
      '--port',
      port,
      '--device-port',
      devicePort,
      ...this.#serverArgs,
    ];
    const broker = await this.#brokerArgs();
    args.push(...broker);
    this.#server = new Running(
      spawn(program, args, {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...withConnectionAllocator(process.env), SELVEDGE_EXIT_WITH_PARENT: '1' },
      }),
    );
    const lines = createInterface({ input: this.#server.child.stdout ?? process.stdin });
    for await (const line of lines) {
      const ready = serverReadySchema.safeParse(JSON.parse(line));
      if (!ready.success) continue;
      this.#ready = ready.data;
      await this.#startBroker();
      this.#server.child.stdout?.resume();
      return;
    }
    throw new Error(`the server ended before it was ready:\n${this.#server.log}`);
  }

  /** With a broker of its own: its flag. */
  async #brokerArgs(): Promise<string[]> {
    if (this.broker === undefined) return [];
    const at = this.#serverArgs.indexOf('--device-host');
    const host = (at < 0 ? undefined : this.#serverArgs[at + 1]) ?? '127.0.0.1';
    if (this.#brokerRelay === undefined) {
      this.#brokerPort = await freePort();
      this.#brokerRelay = new CuttingProxy(`mqtts://127.0.0.1:${this.#brokerPort}`);
      await this.#brokerRelay.start(host);
    }
    return ['--broker', `mqtts://${host}:${this.#brokerRelay.port}`];
  }

  async #startBroker(): Promise<void> {
    if (this.broker === undefined || this.#mosquitto !== undefined) return;
    this.#mosquitto = new Mosquitto(this.dataDir, this.#brokerPort);
    await this.#mosquitto.start();
  }

  /** The broker, when it is one of its own. */
  get mosquitto(): Mosquitto | undefined {
    return this.#mosquitto;
  }

  /**
   * A relay that the messages of a device pass when the device joins by this URL; to be stopped by who asks for it.
   * With a broker of its own it stands in front of that, and what it cuts, it cuts for the server and all devices.
   */
  async relay(): Promise<{ proxy: CuttingProxy; url: string; stop: () => Promise<void> }> {
    const shared = this.#brokerRelay;
    if (shared !== undefined) {
      const letAllThrough = async () => {
        shared.cutAfterBytes = undefined;
        shared.cutAfterSentBytes = undefined;
        shared.cuts = 0;
      };
      return { proxy: shared, url: this.deviceUrl, stop: letAllThrough };
    }
    const proxy = new CuttingProxy(this.deviceUrl);
    return { proxy, url: await proxy.start(), stop: () => proxy.stop() };
  }

  async api(): Promise<Client> {
    const token = (await readFile(join(this.dataDir, 'admin-token'), 'utf8')).trim();
    return createClient({ baseUrl: this.url, token, fetch: nodeFetch });
  }

  /** Runs `selvedge ARGS` against this server. */
  async cli(args: readonly string[], options: { input?: string } = {}): Promise<CliResult> {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: ROOT,
      env: { ...process.env, SELVEDGE_DATA: this.dataDir, NO_COLOR: '1' },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.stdin.end(options.input ?? '');
    const [code] = await once(child, 'close');
    return { code: Number(code), stdout, stderr };
  }

  /** As `cli`, but the command must succeed; returns its `-o json` output. */
  async cliJson<T = Record<string, unknown>>(args: readonly string[]): Promise<T> {
    const result = await this.cli([...args, '-o', 'json']);
    if (result.code !== 0) throw new Error(`selvedge ${args.join(' ')}: exit code ${result.code}\n${result.stderr}`);
    return JSON.parse(result.stdout) as T;
  }

  agentDir(name: string): string {
    return join(this.dir, 'agents', name);
  }

  /** Joins (when it has not) and starts an agent, and waits until it is online. @param options.url - another way to the device port, e.g. a proxy; `prefix`: put before the agent's command. */
  async startAgent(
    name: string,
    options: {
      url?: string;
      labels?: Record<string, string>;
      dir?: string;
      wait?: boolean;
      args?: readonly string[];
      prefix?: readonly string[];
    } = {},
  ): Promise<Running> {
    const dir = options.dir ?? this.agentDir(name);
    mkdirSync(dir, { recursive: true });
    if (!existsSync(join(dir, 'identity.json'))) {
      const labels = Object.entries(options.labels ?? { site: 'test' }).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
      const { token } = await this.cliJson<{ token: string }>(['device', 'token', ...labels]);
      const joined = await this.cli([
        'agent',
        'join',
        options.url ?? this.deviceUrl,
        '--token',
        token,
        '--name',
        name,
        '--dir',
        dir,
        '--no-run',
      ]);
      if (joined.code !== 0) throw new Error(`join failed: ${joined.stderr}`);
    }
    const [program = AGENT, ...args] = [...(options.prefix ?? []), AGENT];
    const running = new Running(
      spawn(program, [...args, 'run', '--dir', dir, ...(options.args ?? [])], {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...process.env, SELVEDGE_EXIT_WITH_PARENT: '1' },
      }),
    );
    running.child.stdout?.resume();
    this.#agents.set(dir, running);
    if (options.wait !== false) {
      await this.waitForDevice(name, (device) => device.status.online, 'online').catch((error: unknown) => {
        throw new Error(`${name} does not come online; its log ends with:\n${running.log.slice(-2000)}`, { cause: error });
      });
    }
    return running;
  }

  async device(name: string): Promise<Device> {
    const api = await this.api();
    const resource = await api.getResource({ params: { plural: 'devices', name } });
    if (resource.kind !== 'Device') throw new Error(`unexpected ${resource.kind}`);
    return resource;
  }

  async waitForDevice(name: string, test: (device: Device) => boolean, what: string, timeoutMs = 30_000): Promise<Device> {
    return waitUntil(
      async () => {
        const device = await this.device(name);
        return test(device) ? device : undefined;
      },
      { timeoutMs, intervalMs: 100, what: `${name} to be ${what}` },
    );
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.kill('SIGTERM')));
    await this.#server?.kill('SIGTERM');
    await this.#mosquitto?.stop();
    await this.#brokerRelay?.stop();
    // Tools in containers notice a little later that their server is gone.
    await rm(this.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }
}
