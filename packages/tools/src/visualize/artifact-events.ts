import type { MetricPoint } from '@selvedge/contract';
import * as z from 'zod';
import { EventFile } from '../tensorboard/event-file.ts';
import { type EventMessage, SESSION_STATUS, type SummaryValue } from '../tensorboard/event-message.ts';
import { scalarEvent } from '../tensorboard/scalar-events.ts';

/** Which attempt at which making of an artifact the events are of; kept in the file itself, in the marks of its sessions. */
const attemptSchema = z.strictObject({ createdAt: z.string(), attempt: z.int() });
export type Attempt = z.infer<typeof attemptSchema>;

/** A file is not added to beyond this. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** Steps are counted from 0 or 1: a START mark here makes readers forget all of them. */
const FIRST_STEP = 0;

/**
 * The event file of one artifact. All that is known of it is in the file, so that after a crash nothing is written twice
 * and nothing is left out.
 *
 * Each attempt begins with a START mark, which makes readers forget the attempt before it; a STOP mark says that
 * everything there is has been written.
 */
export class ArtifactEvents {
  readonly #file: EventFile;
  #attempt: Attempt | undefined;
  #isComplete = false;
  readonly #counts = new Map<string, number>();

  constructor(path: string) {
    const { file, events } = EventFile.open(path);
    this.#file = file;
    for (const { tags, sessionLog } of events) {
      for (const tag of tags) this.#count(tag);
      if (sessionLog !== undefined) this.#readMark(sessionLog);
    }
  }

  /** What the file holds; undefined while it is empty. */
  get attempt(): Attempt | undefined {
    return this.#attempt;
  }

  /** Whether `complete` was called for the attempt. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Events of this attempt with the tag. */
  countOf(tag: string): number {
    return this.#counts.get(tag) ?? 0;
  }

  /** Adds points to their curves, and values of other kinds at one step, beginning the attempt if it is a new one. */
  add(attempt: Attempt, points: readonly MetricPoint[], values: readonly SummaryValue[] = [], step = 0): void {
    if (points.length + values.length === 0 || this.#file.sizeBytes > MAX_FILE_BYTES) return;
    const wallTime = Date.now() / 1000;
    const events: EventMessage[] = points.map(scalarEvent);
    events.push(...values.map((value) => ({ wallTime, step, summary: { value: [value] } })));
    const begins = !isSame(this.#attempt, attempt);
    if (begins) events.unshift(mark(SESSION_STATUS.start, attempt, wallTime));
    this.#file.append(events);
    if (begins) this.#begin(attempt);
    for (const { metric } of points) this.#count(metric);
    for (const { tag } of values) this.#count(tag);
  }

  complete(): void {
    if (this.#attempt === undefined || this.#isComplete) return;
    this.#file.append([mark(SESSION_STATUS.stop, this.#attempt, Date.now() / 1000)]);
    this.#isComplete = true;
  }

  #begin(attempt: Attempt): void {
    this.#attempt = attempt;
    this.#isComplete = false;
    this.#counts.clear();
  }

  #count(tag: string): void {
    this.#counts.set(tag, this.countOf(tag) + 1);
  }

  #readMark({ status, msg }: { status: number; msg: string }): void {
    if (status === SESSION_STATUS.start) this.#begin(attemptSchema.parse(JSON.parse(msg)));
    else if (status === SESSION_STATUS.stop) this.#isComplete = true;
  }
}

export function isSame(one: Attempt | undefined, other: Attempt): boolean {
  return one?.createdAt === other.createdAt && one.attempt === other.attempt;
}

function mark(status: number, attempt: Attempt, wallTime: number): EventMessage {
  return { wallTime, step: FIRST_STEP, sessionLog: { status, msg: JSON.stringify(attempt) } };
}
