// A Docker engine of the tests' own: its data, socket and images are in a temporary folder and go with it.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { waitUntil } from '@selvedge/runtime';

const run = promisify(execFile);
const BUSYBOX_LINKS = ['sh', 'rm', 'mkdir', 'chown', 'chmod', 'cat', 'ls', 'env'];
const MAX_OUTPUT = 64 * 1024 * 1024;

export class DockerEngine {
  readonly #folder: string;
  readonly #daemon: ChildProcess;
  #ended = false;

  private constructor(folder: string, daemon: ChildProcess) {
    this.#folder = folder;
    this.#daemon = daemon;
    daemon.on('exit', () => {
      this.#ended = true;
    });
  }

  /** Containers get the network of this machine, so that the engine changes nothing about it. */
  static async start(): Promise<DockerEngine> {
    const folder = await mkdtemp(join(tmpdir(), 'selvedge-docker-'));
    const at = (name: string) => join(folder, name);
    const args = ['--data-root', at('root'), '--exec-root', at('exec'), '--pidfile', at('pid'), '-H', `unix://${at('sock')}`];
    const daemon = spawn('dockerd', [...args, '--bridge=none', '--iptables=false', '--ip-forward=false'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    daemon.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4000);
    });
    const engine = new DockerEngine(folder, daemon);
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
    const env = { ...process.env, DOCKER_HOST: `unix://${join(this.#folder, 'sock')}`, DOCKER_BUILDKIT: '0' };
    const { stdout } = await run('docker', args, { env, maxBuffer: MAX_OUTPUT });
    return stdout.trim();
  }

  /** An image with this machine's Node, npm and a shell: what node:20 has, without a registry to take it from. */
  async makeNodeImage(name: string): Promise<void> {
    const root = join(this.#folder, 'base');
    const place = async (path: string, as = path) => {
      await mkdir(dirname(join(root, as)), { recursive: true });
      await copyFile(await realpath(path), join(root, as));
    };
    await place(process.execPath, '/usr/bin/node');
    const { stdout } = await run('ldd', [process.execPath]);
    for (const [path] of stdout.matchAll(/\/\S+(?= \()/g)) await place(path);
    // looked up by name at run time, so ldd does not show them
    for (const name of ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2']) await place(`/lib/x86_64-linux-gnu/${name}`);
    await place('/bin/busybox');
    await mkdir(join(root, 'bin'), { recursive: true });
    for (const link of BUSYBOX_LINKS) await symlink('busybox', join(root, 'bin', link));
    const npm = dirname(dirname(await realpath((await run('which', ['npm'])).stdout.trim())));
    await mkdir(join(root, 'usr/lib'), { recursive: true });
    await run('cp', ['-r', npm, join(root, 'usr/lib/npm')]);
    await symlink('../lib/npm/bin/npm-cli.js', join(root, 'usr/bin/npm'));
    await symlink('../../bin/env', join(root, 'usr/bin/env'));
    for (const folder of ['tmp', 'root', 'etc', 'proc', 'sys', 'dev']) await mkdir(join(root, folder), { recursive: true });
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\n');
    await writeFile(join(root, 'etc/nsswitch.conf'), await readFile('/etc/nsswitch.conf'));
    // A network with a proxy of its own vouches for it by a file that this machine's Node is told of.
    const authority = process.env.NODE_EXTRA_CA_CERTS;
    if (authority !== undefined) await place(authority, '/etc/extra-ca.pem');
    const archive = join(this.#folder, 'base.tar');
    await run('tar', ['-cf', archive, '-C', root, '.']);
    const trust = authority === undefined ? [] : ['--change', 'ENV NODE_EXTRA_CA_CERTS=/etc/extra-ca.pem'];
    await this.docker('import', '--change', 'ENV PATH=/usr/bin:/bin', ...trust, archive, name);
  }

  async stop(): Promise<void> {
    if (!this.#ended) {
      const gone = new Promise<void>((resolve) => this.#daemon.once('exit', () => resolve()));
      this.#daemon.kill('SIGTERM');
      await gone;
    }
    // The engine leaves the namespace of its host network mounted.
    await run('umount', [join(this.#folder, 'exec/netns/default')]).catch(() => undefined);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
