import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { waitUntil } from '@selvedge/runtime';

const PROGRAM = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto'].find((path) => existsSync(path));
export const hasMosquitto = PROGRAM !== undefined;

/** A real Mosquitto that runs from the files which the server has written. */
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
    const config = join(this.#dataDir, 'broker/mosquitto.conf');
    await waitUntil(() => existsSync(config), { timeoutMs: 10_000, what: config });
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
