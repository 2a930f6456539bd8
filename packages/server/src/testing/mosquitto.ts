import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { waitUntil } from '@selvedge/runtime';

const PROGRAM = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto'].find((path) => existsSync(path));
export const hasMosquitto = PROGRAM !== undefined;

/** A real Mosquitto that runs from the files which the server has written; on a port of its own, so that a relay may stand at the one that the server knows. */
export class Mosquitto {
  readonly #dataDir: string;
  readonly #port: number;
  #child: ChildProcess | undefined;
  log = '';

  constructor(dataDir: string, port: number) {
    this.#dataDir = dataDir;
    this.#port = port;
  }

  async start(): Promise<void> {
    if (PROGRAM === undefined) throw new Error('mosquitto is not installed');
    const written = join(this.#dataDir, 'broker/mosquitto.conf');
    await waitUntil(() => existsSync(written), { timeoutMs: 10_000, what: written });
    const config = join(this.#dataDir, 'broker/mosquitto-of-test.conf');
    await writeFile(config, (await readFile(written, 'utf8')).replace(/^listener \d+/m, `listener ${this.#port}`));
    const child = spawn(PROGRAM, ['-c', config], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        this.log += chunk.toString();
      });
    this.#child = child;
    const isOpen = () =>
      new Promise<boolean>((resolve, reject) => {
        if (child.exitCode !== null) reject(new Error(`mosquitto ended:\n${this.log}`));
        const socket = connect(this.#port, '127.0.0.1', () => resolve(true));
        socket.on('error', () => resolve(false));
        socket.on('connect', () => socket.destroy());
      });
    await waitUntil(isOpen, { timeoutMs: 10_000, what: 'mosquitto to listen' });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
}
