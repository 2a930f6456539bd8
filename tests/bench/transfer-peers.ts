import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '@selvedge/runtime';

/** Another way to bring the same file over loopback. */
export interface TransferPeer {
  name: string;
  /** Fetches the file, and does what else it takes to know that it is whole. */
  fetch: () => void;
}

export interface TransferPeers {
  peers: TransferPeer[];
  /** A sentence about each that this machine does not have. */
  missing: string[];
  /** Where the file is after each; to be removed before the next. */
  destination: string;
  stop: () => void;
}

const SSHD = '/usr/sbin/sshd';
const isInstalled = (program: string): boolean => spawnSync('which', [program]).status === 0;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listening(port: number): Promise<true> {
  const tryOnce = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
  return waitUntil(tryOnce, { timeoutMs: 10_000, what: `port ${port} to be open` }) as Promise<true>;
}

/** A server of its own with keys of its own, for this user. @returns the options of its clients. */
async function startSshd(dir: string, children: ChildProcess[]): Promise<string[]> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const port = await freePort();
  const [hostKey, key] = [join(dir, 'host'), join(dir, 'key')];
  for (const path of [hostKey, key]) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
  await writeFile(join(dir, 'authorized'), await readFile(`${key}.pub`));
  const settings = {
    Port: port,
    ListenAddress: '127.0.0.1',
    HostKey: hostKey,
    AuthorizedKeysFile: join(dir, 'authorized'),
    PidFile: 'none',
    UsePAM: 'no',
    StrictModes: 'no',
    PermitRootLogin: 'prohibit-password',
    Subsystem: 'sftp internal-sftp',
  };
  await writeFile(
    join(dir, 'config'),
    Object.entries(settings)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(''),
  );
  // Where Debian's sshd drops its privileges; there is nothing to drop for others than root.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  children.push(spawn(SSHD, ['-D', '-e', '-f', join(dir, 'config')], { stdio: 'ignore' }));
  await listening(port);
  return ['-i', key, '-o', `Port=${port}`, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'];
}

async function startRsyncDaemon(dir: string, folder: string, children: ChildProcess[]): Promise<number> {
  await mkdir(dir, { recursive: true });
  const port = await freePort();
  const { uid, gid } = userInfo();
  const owner = uid === 0 ? `uid = ${uid}\ngid = ${gid}\n` : '';
  await writeFile(join(dir, 'rsyncd.conf'), `use chroot = no\n[bench]\npath = ${folder}\nread only = yes\n${owner}`);
  const args = ['--daemon', '--no-detach', `--config=${join(dir, 'rsyncd.conf')}`, `--port=${port}`, '--address=127.0.0.1'];
  children.push(spawn('rsync', args, { stdio: 'ignore' }));
  await listening(port);
  return port;
}

/**
 * Sets up `rsync` and `scp` where they are installed. rsync checks what it has written by a digest of its own; scp does not, so
 * that `sha256sum` follows.
 *
 * @param options.folder - of the file; `file`: its name.
 */
export async function startTransferPeers(options: { dir: string; folder: string; file: string; sha256: string }): Promise<TransferPeers> {
  const { dir, folder, file, sha256 } = options;
  const destination = join(dir, 'fetched.bin');
  await mkdir(dir, { recursive: true });
  const children: ChildProcess[] = [];
  const peers: TransferPeer[] = [];
  const missing: string[] = [];
  const hasRsync = isInstalled('rsync');
  const hasSshd = spawnSync('test', ['-x', SSHD]).status === 0 && isInstalled('scp');
  if (!hasRsync) missing.push('rsync is not installed: apt-get install rsync');
  if (!hasSshd) missing.push('sshd or scp is not installed: apt-get install openssh-server openssh-client');
  if (hasRsync) {
    const port = await startRsyncDaemon(join(dir, 'rsync'), folder, children);
    const fetch = () => execFileSync('rsync', ['--whole-file', '--fsync', `rsync://127.0.0.1:${port}/bench/${file}`, destination]);
    peers.push({ name: 'rsync, its daemon (not encrypted)', fetch });
  }
  if (hasSshd) {
    const options = await startSshd(join(dir, 'ssh'), children);
    const from = `${userInfo().username}@127.0.0.1:${join(folder, file)}`;
    if (hasRsync) {
      const fetch = () => execFileSync('rsync', ['--whole-file', '--fsync', '-e', ['ssh', ...options].join(' '), from, destination]);
      peers.push({ name: 'rsync over ssh', fetch });
    }
    const fetch = () => {
      execFileSync('scp', ['-q', ...options, from, destination]);
      if (!execFileSync('sha256sum', [destination]).toString().startsWith(sha256)) throw new Error('scp fetched something else');
    };
    peers.push({ name: 'scp and sha256sum', fetch });
  }
  const stop = () => {
    for (const child of children) child.kill('SIGTERM');
  };
  return { peers, missing, stop, destination };
}
