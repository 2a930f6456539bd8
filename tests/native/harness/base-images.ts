// Base images made of this machine's own programs: there is no registry to take them from.
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { DockerEngine } from './docker-engine.ts';

const run = promisify(execFile);
const BUSYBOX_LINKS = ['sh', 'rm', 'mkdir', 'chown', 'chmod', 'cat', 'ls', 'env', 'touch'];

/** A root file system that grows by what programs need. */
class Root {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** With a shell, users and the resolver of names. */
  static async create(): Promise<Root> {
    const root = new Root(await mkdtemp(join(tmpdir(), 'selvedge-base-')));
    const at = (path: string) => join(root.folder, path);
    for (const folder of ['bin', 'tmp', 'root', 'etc', 'proc', 'sys', 'dev', 'usr/bin', 'usr/lib'])
      await mkdir(at(folder), { recursive: true });
    // anybody's, also where nothing is mounted there
    await chmod(at('tmp'), 0o1777);
    await root.place('/bin/busybox');
    for (const link of BUSYBOX_LINKS) await symlink('busybox', at(`bin/${link}`));
    await symlink('../../bin/env', at('usr/bin/env'));
    // looked up by name at run time, so ldd does not show them
    for (const name of ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2']) await root.place(`/lib/x86_64-linux-gnu/${name}`);
    await writeFile(at('etc/passwd'), 'root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\n');
    await writeFile(at('etc/nsswitch.conf'), await readFile('/etc/nsswitch.conf'));
    return root;
  }

  async place(path: string, as = path): Promise<void> {
    await mkdir(dirname(join(this.folder, as)), { recursive: true });
    await copyFile(await realpath(path), join(this.folder, as));
  }

  /** A program or library with the libraries that it is linked to. */
  async placeLinked(path: string, as = path): Promise<void> {
    await this.place(path, as);
    const { stdout } = await run('ldd', [await realpath(path)]);
    for (const [library] of stdout.matchAll(/\/\S+(?= \()/g)) await this.place(library);
  }

  async become(engine: DockerEngine, name: string, changes: readonly string[] = []): Promise<void> {
    await engine.importImage(this.folder, name, ['ENV PATH=/usr/bin:/bin', ...changes]);
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** This machine's Node, npm and a shell: what node:20 has. */
export async function makeNodeImage(engine: DockerEngine, name: string): Promise<void> {
  const root = await Root.create();
  await root.placeLinked(process.execPath, '/usr/bin/node');
  // libraries that native packages are linked to, and Node is not
  for (const name of ['librt.so.1', 'libdl.so.2', 'libpthread.so.0']) await root.place(`/lib/x86_64-linux-gnu/${name}`);
  const npm = dirname(dirname(await realpath((await run('which', ['npm'])).stdout.trim())));
  await run('cp', ['-r', npm, join(root.folder, 'usr/lib/npm')]);
  await symlink('../lib/npm/bin/npm-cli.js', join(root.folder, 'usr/bin/npm'));
  // A network with a proxy of its own vouches for it by a file that this machine's Node is told of.
  const authority = process.env.NODE_EXTRA_CA_CERTS;
  if (authority !== undefined) await root.place(authority, '/etc/extra-ca.pem');
  await root.become(engine, name, authority === undefined ? [] : ['ENV NODE_EXTRA_CA_CERTS=/etc/extra-ca.pem']);
}

/** This machine's Python with its standard library and a shell: what python:slim has. */
export async function makePythonImage(engine: DockerEngine, name: string): Promise<void> {
  const root = await Root.create();
  await root.placeLinked('/usr/bin/python3');
  const { stdout } = await run('/usr/bin/python3', ['-c', 'import sysconfig; print(sysconfig.get_path("stdlib"))']);
  const library = stdout.trim();
  await mkdir(join(root.folder, dirname(library)), { recursive: true });
  await run('cp', ['-rL', library, join(root.folder, dirname(library))]);
  for (const file of await readdir(join(library, 'lib-dynload'))) await root.placeLinked(join(library, 'lib-dynload', file));
  await root.become(engine, name);
}
