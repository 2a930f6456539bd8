// A Docker engine of the tests' own: its data, socket and images are in a temporary folder and go with it.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitUntil } from '@selvedge/runtime';

const run = promisify(execFile);
const MAX_OUTPUT = 64 * 1024 * 1024;

export class DockerEngine {
  readonly #folder: string;
  readonly #network: EngineNetwork;
  readonly #daemon: ChildProcess;
  #ended = false;

  private constructor(folder: string, network: EngineNetwork, daemon: ChildProcess) {
    this.#folder = folder;
    this.#network = network;
    this.#daemon = daemon;
    daemon.on('exit', () => {
      this.#ended = true;
    });
  }

  /**
   * @param options.network - `host` (the default): containers get the network of this machine, and no other, so that the engine
   * changes nothing about it; `own`: networks of containers work, in a network namespace of the engine's own without a way out.
   */
  static async start(options: { network?: 'host' | 'own' } = {}): Promise<DockerEngine> {
    const network = options.network === 'own' ? await ownNetwork() : HOST_NETWORK;
    const folder = await mkdtemp(join(tmpdir(), 'selvedge-docker-'));
    const at = (name: string) => join(folder, name);
    const args = ['--data-root', at('root'), '--exec-root', at('exec'), '--pidfile', at('pid'), '-H', `unix://${at('sock')}`];
    const [program = '', ...rest] = [...network.enter, 'dockerd', ...args, ...network.flags];
    const daemon = spawn(program, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    daemon.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4000);
    });
    const engine = new DockerEngine(folder, network, daemon);
    try {
      await waitUntil(
        async () => {
          if (engine.#ended) throw new Error(`dockerd ended:\n${log}`);
          return engine.docker('version').then(
            () => true,
            () => false,
          );
        },
        { timeoutMs: 60_000, what: 'the Docker engine' },
      );
    } catch (error) {
      await engine.stop();
      throw error;
    }
    return engine;
  }

  async docker(...args: string[]): Promise<string> {
    const { stdout } = await run('docker', args, { env: this.env, maxBuffer: MAX_OUTPUT });
    return stdout.trim();
  }

  /** With which docker, and what calls it, reach this engine. */
  get env(): NodeJS.ProcessEnv {
    return { ...process.env, DOCKER_HOST: `unix://${join(this.#folder, 'sock')}`, DOCKER_BUILDKIT: '0' };
  }

  /** An image of the files of a folder. */
  async importImage(folder: string, name: string, changes: readonly string[]): Promise<void> {
    const archive = join(this.#folder, 'image.tar');
    await run('tar', ['-cf', archive, '-C', folder, '.']);
    await this.docker('import', ...changes.flatMap((change) => ['--change', change]), archive, name);
    await rm(archive);
  }

  /** Runs a program where published ports of containers are reached. */
  async inNetwork(program: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv } = {}): Promise<string> {
    const [first = '', ...rest] = [...this.#network.enter, program, ...args];
    const { stdout } = await run(first, rest, { env: { ...process.env, ...options.env }, maxBuffer: MAX_OUTPUT });
    return stdout.trim();
  }

  async stop(): Promise<void> {
    if (!this.#ended) {
      const gone = new Promise<void>((resolve) => this.#daemon.once('exit', () => resolve()));
      this.#daemon.kill('SIGTERM');
      await gone;
    }
    // The engine leaves the namespace of its host network mounted.
    await run('umount', [join(this.#folder, 'exec/netns/default')]).catch(() => undefined);
    await this.#network.remove();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

interface EngineNetwork {
  /** Put before a program's name so that it runs there. */
  readonly enter: readonly string[];
  /** Flags of dockerd. */
  readonly flags: readonly string[];
  remove(): Promise<void>;
}

const HOST_NETWORK: EngineNetwork = {
  enter: [],
  flags: ['--bridge=none', '--iptables=false', '--ip-forward=false'],
  remove: async () => undefined,
};

async function ownNetwork(): Promise<EngineNetwork> {
  const name = `selvedge-${randomUUID().slice(0, 8)}`;
  await run('ip', ['netns', 'add', name]);
  await run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  // `ip netns exec` would hide the control groups.
  return {
    enter: ['nsenter', `--net=/run/netns/${name}`],
    flags: [],
    remove: async () => void (await run('ip', ['netns', 'delete', name])),
  };
}
