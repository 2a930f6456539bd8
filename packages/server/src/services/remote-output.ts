import type { Operation, OutputChunk, OutputEvent } from '@selvedge/contract';
import { AppError } from '@selvedge/contract';
import type { Store } from '../ports/store.ts';
import type { EventHub } from './event-hub.ts';

/** What is kept of one device's output of one operation. */
const MAX_RING_BYTES = 1024 * 1024;
/** What a reader may be behind before the device is not asked for more. */
const MAX_BEHIND_BYTES = 512 * 1024;
/** A reader that takes nothing for so long is not waited for any more. */
const PATIENCE_MS = 30_000;
/** Who asks for a command comes for its output a moment later. */
const FIRST_READER_MS = 5000;
/** What a chunk takes besides its bytes. */
const CHUNK_BYTES = 128;
/** Output of operations that have ended, of all together; the oldest goes first. */
const MAX_KEPT_RINGS = 64;

interface Item {
  chunk: OutputChunk;
  /** Of all output up to and with this. */
  endsAt: number;
}
interface Ring {
  operation: string;
  device: string;
  items: Item[];
  bytes: number;
  /** Of all that was ever in it. */
  total: number;
  isOpen: boolean;
  /** Somebody reads it, or did, or nobody came in time. */
  isAwaited: boolean;
}
interface Reader {
  operation: string;
  /** How much of each device's output it has taken. */
  taken: Map<Ring, number>;
  wake: () => void;
}

/** Where the output of a command on one device goes. */
export interface OutputWriter {
  /** Resolves when there is room for more: nobody who reads is too far behind. */
  append(chunk: OutputChunk, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Output of commands on devices on its way to those who read it. Bounded per device and operation; the whole of it is stored nowhere. */
export class RemoteOutput {
  readonly #store: Store;
  readonly #hub: EventHub;
  readonly #rings = new Map<string, Ring>();
  readonly #readers = new Set<Reader>();
  readonly #room = new Set<() => void>();

  constructor(store: Store, hub: EventHub) {
    this.#store = store;
    this.#hub = hub;
  }

  open(operation: string, device: string): OutputWriter {
    const key = `${operation}/${device}`;
    const ring = this.#rings.get(key) ?? { operation, device, items: [], bytes: 0, total: 0, isOpen: true, isAwaited: true };
    ring.isOpen = true;
    this.#rings.set(key, ring);
    this.#forgetOldest();
    return {
      append: (chunk, signal) => this.#append(ring, chunk, signal),
      close: () => {
        ring.isOpen = false;
        this.#wakeReaders(operation);
      },
    };
  }

  /**
   * What the devices of an operation wrote and write, and how it ended on each.
   *
   * @param options.device - only this one.
   * @param options.follow - goes on until it has ended on all.
   * @throws AppError NOT_FOUND before the first event.
   */
  async read(
    name: string,
    options: { device?: string | undefined; follow: boolean; signal: AbortSignal },
  ): Promise<AsyncGenerator<OutputEvent>> {
    const operation = await this.#store.get('Operation', name);
    const device = options.device;
    if (operation === undefined) throw new AppError('NOT_FOUND', { message: `There is no operation "${name}".` });
    if (device !== undefined && !operation.status.devices.some((one) => one.device === device))
      throw new AppError('NOT_FOUND', { message: `The operation "${name}" does not concern a device "${device}".` });
    return this.#events(operation, options);
  }

  async *#events(
    begun: Operation,
    { device, follow, signal }: { device?: string | undefined; follow: boolean; signal: AbortSignal },
  ): AsyncGenerator<OutputEvent> {
    const { name } = begun.metadata;
    let operation = begun;
    let changed = false;
    let wake = () => undefined as undefined;
    const notify = () => {
      changed = true;
      wake();
    };
    const reader: Reader = { operation: name, taken: new Map(), wake: notify };
    const unsubscribe = this.#hub.subscribe((event) => {
      if (event.type !== 'resource' || event.resource.kind !== 'Operation' || event.resource.metadata.name !== name) return;
      operation = event.resource;
      notify();
    });
    signal.addEventListener('abort', notify);
    this.#readers.add(reader);
    try {
      const ended = new Set<string>();
      operation = (await this.#store.get('Operation', name)) ?? operation;
      for (;;) {
        changed = false;
        const devices = operation.status.devices.filter((one) => device === undefined || one.device === device);
        for (const one of devices) {
          yield* this.#take(reader, one.device);
          if (one.finishedAt === null || ended.has(one.device)) continue;
          // Of long ago: the excerpt is all there is.
          if (!this.#rings.has(`${name}/${one.device}`) && one.output !== '')
            yield { type: 'excerpt', device: one.device, text: one.output };
          ended.add(one.device);
          yield { type: 'end', device: one.device, state: one.state, exitCode: one.exitCode, error: one.error };
        }
        if (!follow || ended.size === devices.length || signal.aborted) return;
        if (changed) continue;
        await new Promise<void>((resolve) => {
          wake = () => void resolve();
        });
      }
    } finally {
      unsubscribe();
      signal.removeEventListener('abort', notify);
      this.#readers.delete(reader);
      for (const look of [...this.#room]) look();
    }
  }

  *#take(reader: Reader, device: string): Generator<OutputEvent> {
    const ring = this.#rings.get(`${reader.operation}/${device}`);
    if (ring === undefined) return;
    ring.isAwaited = false;
    if (!reader.taken.has(ring)) reader.taken.set(ring, 0);
    for (;;) {
      const taken = reader.taken.get(ring) ?? 0;
      const item = ring.items.find(({ endsAt }) => endsAt > taken);
      if (item === undefined) return;
      const { sequence, source, dataBase64 } = item.chunk;
      const lost = item.endsAt - sizeOf(item.chunk) - taken;
      if (lost > 0) yield { type: 'lost', device, bytes: lost };
      reader.taken.set(ring, item.endsAt);
      yield { type: 'output', device, sequence, source, dataBase64 };
      for (const look of [...this.#room]) look();
    }
  }

  async #append(ring: Ring, chunk: OutputChunk, signal: AbortSignal): Promise<void> {
    ring.total += sizeOf(chunk);
    ring.bytes += sizeOf(chunk) + CHUNK_BYTES;
    ring.items.push({ chunk, endsAt: ring.total });
    while (ring.bytes > MAX_RING_BYTES && ring.items[0] !== undefined) ring.bytes -= sizeOf(ring.items.shift()?.chunk) + CHUNK_BYTES;
    this.#wakeReaders(ring.operation);
    const isFull = () =>
      ring.isAwaited
        ? ring.total > MAX_BEHIND_BYTES
        : [...this.#readers].some((reader) => ring.total - (reader.taken.get(ring) ?? ring.total) > MAX_BEHIND_BYTES);
    if (!isFull() || signal.aborted) return;
    const patienceMs = ring.isAwaited ? FIRST_READER_MS : PATIENCE_MS;
    await new Promise<void>((resolve) => {
      const settle = () => {
        clearTimeout(timer);
        this.#room.delete(look);
        signal.removeEventListener('abort', settle);
        ring.isAwaited = false;
        resolve();
      };
      const look = () => {
        if (!isFull()) settle();
        else timer.refresh();
      };
      const timer = setTimeout(settle, patienceMs);
      this.#room.add(look);
      signal.addEventListener('abort', settle, { once: true });
    });
  }

  #wakeReaders(operation: string): void {
    for (const reader of this.#readers) if (reader.operation === operation) reader.wake();
  }

  #forgetOldest(): void {
    const closed = [...this.#rings].filter(([, ring]) => !ring.isOpen);
    for (const [key] of closed.slice(0, Math.max(0, closed.length - MAX_KEPT_RINGS))) this.#rings.delete(key);
  }
}

function sizeOf(chunk: OutputChunk | undefined): number {
  return Math.floor(((chunk?.dataBase64.length ?? 0) * 3) / 4);
}
