import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, type Command, commandSchema, type Operation, type OutputChunk, type OutputEvent, type Reply } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore } from '../adapters/sql/open-store.ts';
import { newOperationStatus } from '../domain/operation-plan.ts';
import type { Store } from '../ports/store.ts';
import { DeviceCommands } from './device-commands.ts';
import { DeviceLink } from './device-link.ts';
import { EventHub } from './event-hub.ts';
import type { DeviceOutcome, DeviceWork } from './operation-handler.ts';
import { ProgramOperation } from './program-operation.ts';
import { RemoteOutput } from './remote-output.ts';

const DEVICE = 'edge-1';
const log = createLogger({ name: 'test', level: 'error' });
const task = { type: 'exec' as const, argv: ['true'], timeoutS: 30 };
const clock = () => new Date();

/** A device whose connection is lost at every answer that `lost` names. */
class FakeDevice {
  readonly started: string[] = [];
  readonly ended: string[] = [];
  readonly commands: DeviceCommands;
  readonly link: DeviceLink;
  chunks: OutputChunk[] = [];
  exitCode: number | null = 0;
  refuses = false;
  endless = false;
  #answers = 0;
  readonly #lost: ReadonlySet<number>;

  constructor(lost: readonly number[] = []) {
    this.#lost = new Set(lost);
    this.commands = new DeviceCommands({
      publish: async (_, __, payload) => this.#receive(commandSchema.parse(JSON.parse(payload))),
      clock,
    });
    this.link = new DeviceLink(this.commands);
    this.link.deviceIsReady(DEVICE);
  }

  #receive(command: Command): void {
    const outcome = this.#outcome(command);
    if (outcome === undefined) return;
    this.#answers += 1;
    const isLost = this.#lost.has(this.#answers);
    setImmediate(() => {
      if (!isLost) return this.commands.takeReply(DEVICE, { v: 1, id: command.id, outcome });
      this.link.deviceWentOffline(DEVICE);
      this.commands.deviceWentOffline(DEVICE);
      setImmediate(() => this.link.deviceIsReady(DEVICE));
    });
  }

  #outcome(command: Command): Reply['outcome'] | undefined {
    if (command.type === 'exec') {
      if (this.refuses) return { ok: false, error: { code: 'FORBIDDEN', message: 'no rule in /etc/agent.json does' } };
      this.started.push(command.stream);
    }
    if (command.type === 'end-program') {
      this.ended.push(command.stream);
      this.endless = false;
    }
    if (command.type !== 'read-output') return { ok: true, done: true };
    const chunks = this.chunks.filter(({ sequence }) => sequence > command.after).slice(0, 3);
    const isLast = (chunks.at(-1)?.sequence ?? command.after) >= this.chunks.length;
    if (this.endless && chunks.length === 0) return undefined;
    const end = { exitCode: this.exitCode, signal: null, error: null };
    return { ok: true, output: { chunks, end: isLast && !this.endless ? end : null } };
  }
}

describe('ProgramOperation', () => {
  let folder: string;
  let store: Store;
  let hub: EventHub;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'programs-'));
    hub = new EventHub();
    store = await openStore({ file: join(folder, 'server.db'), announce: () => undefined, log });
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });

  let made = 0;
  function createOperation(): Promise<Operation> {
    made += 1;
    const expiresAt = new Date(Date.now() + 60_000).toISOString();
    return store.create('Operation', {
      name: `op-${made}`,
      labels: {},
      annotations: {},
      spec: { task, target: DEVICE, parallel: 1, wait: false, expiresAt, by: 'test' },
      status: newOperationStatus([DEVICE]),
    });
  }

  /** Runs one command, with somebody who reads along. */
  async function run(device: FakeDevice, control = new AbortController()) {
    const operation = await createOperation();
    const output = new RemoteOutput(store, hub);
    const events: OutputEvent[] = [];
    const reading = new AbortController();
    const reader = (async () => {
      for await (const event of await output.read(operation.metadata.name, { follow: true, signal: reading.signal })) events.push(event);
    })();
    const work: DeviceWork<'exec'> = {
      device: DEVICE,
      operation,
      task,
      resumed: false,
      progress: () => undefined,
      output: () => undefined,
      signal: control.signal,
    };
    let outcome: DeviceOutcome | undefined;
    try {
      outcome = await new ProgramOperation(device.link, output).exec().run(work);
      return { outcome, events, operation };
    } finally {
      await new Promise((resolve) => setImmediate(resolve)); // the reader takes what is there
      reading.abort();
      await reader;
    }
  }

  it('brings all output once and in order, whichever answers are lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 12 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 8 })),
        async (texts, lost) => {
          const device = new FakeDevice(lost);
          device.chunks = texts.map((text, at) => ({
            sequence: at + 1,
            source: 'stdout',
            dataBase64: Buffer.from(text).toString('base64'),
          }));
          const { outcome, events } = await run(device);
          expect(outcome).toEqual({ exitCode: 0, output: texts.join('') });
          const seen = events.flatMap((event) => (event.type === 'output' ? [Buffer.from(event.dataBase64, 'base64').toString()] : []));
          expect(seen).toEqual(texts);
          expect(new Set(device.started).size).toBe(1);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('fails with the exit code of the command, and as the device says when it refuses', async () => {
    const device = new FakeDevice();
    device.exitCode = 3;
    expect((await run(device)).outcome).toMatchObject({ exitCode: 3, error: { code: 'OPERATION_FAILED' } });
    device.refuses = true;
    await expect(run(device)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('ends the command on the device when it is cancelled', async () => {
    const device = new FakeDevice();
    device.endless = true;
    device.chunks = [{ sequence: 1, source: 'stdout', dataBase64: 'YQ==' }];
    const control = new AbortController();
    const running = run(device, control);
    const expected = expect(running).rejects.toBeInstanceOf(AppError);
    setTimeout(() => control.abort(new AppError('CANCELLED', { message: 'no' })), 20);
    await expected;
    expect(device.ended).toEqual([...new Set(device.started)]);
  });

  it('tells those who come too late what is gone, and how it ended', async () => {
    const output = new RemoteOutput(store, hub);
    const operation = await createOperation();
    const { name } = operation.metadata;
    const never = new AbortController().signal;
    const writer = output.open(name, DEVICE);
    const given = AbortSignal.abort(); // nobody is waited for
    const dataBase64 = Buffer.alloc(60_000).toString('base64');
    for (let sequence = 1; sequence <= 40; sequence += 1) void writer.append({ sequence, source: 'stdout', dataBase64 }, given);
    writer.close();
    const events: OutputEvent[] = [];
    for await (const event of await output.read(name, { follow: false, signal: never })) events.push(event);
    const [first, ...rest] = events;
    expect(first).toMatchObject({ type: 'lost', device: DEVICE });
    const bytes = first?.type === 'lost' ? first.bytes : 0;
    expect(bytes + rest.length * 60_000).toBe(40 * 60_000);
    await expect(output.read('nothing', { follow: false, signal: never })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
