import { appendFileSync, mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemErrorCode } from '@selvedge/runtime';
import { decodeEvent, type EventMessage, encodeEvent, type ReadEvent } from './event-message.ts';
import { frameRecord, readRecords } from './record-framing.ts';

/** Version 2 of the file format: readers obey session marks. */
const FILE_VERSION = 'brain.Event:2';

/** The bytes of an event file, or of what is added to one. */
export function encodeEvents(events: readonly EventMessage[]): Buffer {
  return Buffer.concat(events.map((event) => frameRecord(encodeEvent(event))));
}

/** What every event file begins with. */
export function fileVersionEvent(wallTime: number): EventMessage {
  return { wallTime, step: 0, fileVersion: FILE_VERSION };
}

/**
 * An event file that only grows: each `append` is one write, so that a reader sees whole records whenever it looks.
 *
 * What a crash or a full disk cut short is removed when the file is opened; what is before it stays.
 */
export class EventFile {
  readonly #path: string;
  #sizeBytes: number;

  private constructor(path: string, sizeBytes: number) {
    this.#path = path;
    this.#sizeBytes = sizeBytes;
  }

  /** @returns the file, and the events that are in it already; none when it is not there. */
  static open(path: string): { file: EventFile; events: ReadEvent[] } {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      return { file: new EventFile(path, 0), events: [] };
    }
    const { records, validBytes } = readRecords(bytes);
    if (validBytes < bytes.length) truncateSync(path, validBytes);
    return { file: new EventFile(path, validBytes), events: records.map(decodeEvent) };
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  append(events: readonly EventMessage[]): void {
    const [first] = events;
    if (first === undefined) return;
    const isNew = this.#sizeBytes === 0;
    const bytes = encodeEvents(isNew ? [fileVersionEvent(first.wallTime), ...events] : events);
    if (isNew) mkdirSync(dirname(this.#path), { recursive: true });
    try {
      appendFileSync(this.#path, bytes);
    } catch (error) {
      truncateSync(this.#path, this.#sizeBytes); // a full disk: half a record must not come before the next ones
      throw error;
    }
    this.#sizeBytes += bytes.length;
  }
}
