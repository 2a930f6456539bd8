import { AppError, type Operation } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import type { Command } from 'commander';
import { ChildEnded } from '../child-ended.ts';
import { followOutput } from '../follow/follow-output.ts';
import { operationFailure, watchOperation } from '../follow/watch-operation.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { plainOutput } from '../output/device-output.ts';
import { openSession, type Session } from '../session.ts';

/** Ctrl-]: leaves, whatever the device does. */
const LEAVE = 0x1d;
const END_OF_INPUT = Buffer.from([4]);
const MAX_INPUT_BYTES = 32 * 1024;
const RETRY_MS = 200;

/** Sends what is typed, in order and each once, as fast as the device takes it. */
class Typist {
  readonly #session: Session;
  readonly #operation: Operation;
  readonly #signal: AbortSignal;
  #queue: Buffer = Buffer.alloc(0);
  #size: { columns: number; rows: number } | undefined;
  #sequence = 0;
  #sending: Promise<void> | undefined;

  constructor(session: Session, operation: Operation, signal: AbortSignal) {
    this.#session = session;
    this.#signal = signal;
    this.#operation = operation;
  }

  type(bytes: Uint8Array): void {
    this.#queue = Buffer.concat([this.#queue, bytes]);
    this.#send();
  }

  resize(size: { columns: number; rows: number }): void {
    this.#size = size;
    this.#send();
  }

  #send(): void {
    this.#sending ??= this.#run().finally(() => {
      this.#sending = undefined;
    });
  }

  async #run(): Promise<void> {
    const { client } = this.#session;
    const signal = this.#signal;
    const [target] = this.#operation.status.devices;
    while ((this.#queue.length > 0 || this.#size !== undefined) && target !== undefined) {
      const data = this.#queue.subarray(0, MAX_INPUT_BYTES);
      const size = this.#size;
      this.#queue = this.#queue.subarray(data.length);
      this.#size = undefined;
      this.#sequence += 1;
      const body = {
        device: target.device,
        sequence: this.#sequence,
        ...(data.length === 0 ? {} : { dataBase64: data.toString('base64') }),
        ...(size === undefined ? {} : { size }),
      };
      for (let sent = false; !sent; ) {
        try {
          await client.writeOperationInput({ params: { name: this.#operation.metadata.name }, body, signal });
          sent = true;
        } catch (error) {
          // Also one that says there is no such shell: it may not have begun yet. That it has ended shows by its output, and aborts this.
          if (signal.aborted || !(error instanceof AppError)) return;
          await sleep(RETRY_MS, signal).catch(() => undefined);
        }
      }
    }
  }
}

async function readKeys(io: Io, typist: Typist, leave: () => void): Promise<void> {
  for await (const chunk of io.stdin) {
    const bytes = Buffer.from(chunk);
    if (io.terminal?.isInteractive === true && bytes.includes(LEAVE)) return leave();
    typist.type(bytes);
  }
  typist.type(END_OF_INPUT);
}

/** The terminal is as it was before when this ends, however it ends. */
async function converse(session: Session, operation: Operation): Promise<void> {
  const { io } = session;
  const left = new AbortController();
  const signal = AbortSignal.any([io.signal, left.signal]);
  const typist = new Typist(session, operation, signal);
  io.terminal?.setRaw(true);
  const stopListening = io.terminal?.onResize((size) => typist.resize(size));
  try {
    void readKeys(io, typist, () => left.abort()).catch(() => left.abort());
    await followOutput(session, operation, plainOutput(io), signal);
  } finally {
    left.abort();
    stopListening?.();
    io.terminal?.setRaw(false);
    io.terminal?.closeInput();
  }
}

export function registerDeviceShell(command: Command, io: Io): void {
  const shell = command
    .command('shell <device>')
    .description('open a shell on a device that allows it')
    .action(async (device: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const size = io.terminal?.size();
      const task = { type: 'shell' as const, ...(size === undefined ? {} : { size }), term: io.env.TERM ?? 'xterm' };
      const operation = await session.client.createOperation({ body: { task, device }, signal: io.signal });
      if (io.terminal?.isInteractive === true) session.note(`Shell on ${device}; Ctrl-] leaves it.`);
      await converse(session, operation);
      const ended = await watchOperation(session, operation.metadata.name);
      const [one] = ended.status.devices;
      if (one?.error?.code === 'OPERATION_FAILED' && one.exitCode !== null) throw new ChildEnded(one.exitCode);
      const failure = operationFailure(ended);
      if (failure !== undefined) throw failure;
    });
  finishLeaf(shell, {
    examples: ['selvedge device shell edge-1'],
    notes: 'A device allows shells only with "shell": {"enabled": true} in its agent.json. The exit code is the shell\'s.',
  });
}
