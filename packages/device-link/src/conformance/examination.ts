import { randomBytes } from 'node:crypto';
import { type DesiredWorkload, joinRequestSchema, type ReportedState, reportedStateSchema, type WorkloadReport } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import { Mismatch } from '@selvedge/runtime/mismatch';
import type { AgentProcess, AgentUnderTest } from './agent-under-test.ts';
import { NotObservable } from './not-observable.ts';
import type { ScratchServer } from './scratch-server.ts';
import type { Seen, SeenMessage, SeenRequest } from './seen.ts';

/** Whatever an agent has to do once is done within this time. */
const PATIENCE_MS = 20_000;
/** A time in which something that must not happen would have happened. */
const QUIET_MS = 1500;
/** An agent that is examined takes samples every few seconds at least. */
const TELEMETRY_MS = 10_000;
const FOLDER = 'main';

export interface SeenReport {
  readonly connection: number;
  readonly report: ReportedState;
}

function reportOf(message: SeenMessage): SeenReport[] {
  const parsed = reportedStateSchema.safeParse(message.value);
  return parsed.success ? [{ connection: message.connection, report: parsed.data }] : [];
}

export const isJoin = (event: Seen): boolean => event.kind === 'http' && event.request.path === '/device/v1/join';

/** What the checks share: a server, a device that has joined it, and the means to do something to both. */
export class Examination {
  readonly server: ScratchServer;
  readonly agent: AgentUnderTest;
  /** Whether the device has served the example; undefined before it was asked to. */
  serves: boolean | undefined;
  readonly patienceMs = PATIENCE_MS;
  readonly #signal: AbortSignal | undefined;
  #process: AgentProcess | undefined;
  #join: SeenRequest | undefined;
  #revision = 0;
  #failures = 0;
  #exercise: Promise<void> | undefined;

  constructor(server: ScratchServer, agent: AgentUnderTest, signal?: AbortSignal) {
    this.server = server;
    this.agent = agent;
    this.#signal = signal;
  }

  get seen() {
    return this.server.seen;
  }

  get revision(): number {
    return this.#revision;
  }

  quiet(ms = QUIET_MS): Promise<void> {
    return sleep(ms, this.#signal);
  }

  waitFor<T>(mark: number, expected: string, find: (events: Seen[]) => T | undefined, timeoutMs = PATIENCE_MS): Promise<T> {
    return this.seen.waitFor(mark, expected, timeoutMs, find);
  }

  /** A message on this topic that satisfies the condition. */
  message(mark: number, topic: string, expected: string, isIt: (message: SeenMessage) => boolean, timeoutMs = PATIENCE_MS) {
    const find = () => this.seen.messagesAfter(mark, topic).find(isIt);
    return this.waitFor(mark, expected, find, timeoutMs);
  }

  reportsAfter(mark: number): SeenReport[] {
    return this.seen.messagesAfter(mark, 'reported').flatMap(reportOf);
  }

  report(mark: number, expected: string, isIt: (report: ReportedState) => boolean, timeoutMs = PATIENCE_MS): Promise<SeenReport> {
    return this.waitFor(mark, expected, () => this.reportsAfter(mark).find(({ report }) => isIt(report)), timeoutMs);
  }

  /** A report of the workload that satisfies the condition. */
  async workload(mark: number, expected: string, isIt: (workload: WorkloadReport) => boolean, name = 'channels'): Promise<WorkloadReport> {
    const of = (report: ReportedState) => report.workloads.find((workload) => workload.name === name);
    const { report } = await this.report(mark, expected, (candidate) => {
      const found = of(candidate);
      return found !== undefined && isIt(found);
    });
    const found = of(report);
    if (found === undefined) throw new Mismatch(expected, 'no such workload');
    return found;
  }

  /** Does this the first time that it is called. */
  async exercised(work: () => Promise<void>): Promise<void> {
    this.#exercise ??= work();
    await this.#exercise;
  }

  /** The device joins with the good token; done once. */
  async joined(): Promise<SeenRequest> {
    if (this.#join !== undefined) return this.#join;
    this.#mayTry('the device could not join');
    try {
      this.#join = await this.joinIn(FOLDER);
      this.#failures = 0;
      return this.#join;
    } catch (error) {
      this.#failures += 1;
      throw error;
    }
  }

  /** Joins in this folder and lets the process end, or, of an agent that joins as it runs, connect. @returns the request. */
  async joinIn(folder: string): Promise<SeenRequest> {
    const { seen } = this;
    const mark = seen.mark;
    const process = await this.agent.join(folder, this.server.token());
    try {
      const request = await this.waitFor(mark, 'POST /device/v1/join', (events) =>
        requestsIn(events).find(({ path }) => path === '/device/v1/join'),
      );
      const parsed = joinRequestSchema.safeParse(jsonOf(request.body));
      if (parsed.success && parsed.data.name !== undefined) this.server.device = parsed.data.name;
      if (this.agent.joinsByItself) await this.waitFor(mark, 'an MQTT connection after joining', connectIn);
      else await this.#ended(process);
      return request;
    } finally {
      await process.stop();
    }
  }

  async #ended(process: AgentProcess): Promise<void> {
    const late = this.quiet(PATIENCE_MS).then(() => 'late' as const);
    const code = await Promise.race([process.ended, late]);
    if (code !== 0)
      throw new Mismatch('the join command to end with 0', `${code === 'late' ? 'it goes on' : code}: ${this.agent.lastWords}`);
  }

  /** The device runs, is connected and has reported. @returns the mark from which this connection was seen. */
  async running(): Promise<void> {
    if (this.#process?.isRunning === true && this.isConnected) return;
    await this.restart('kill');
  }

  /** Whether the newest MQTT connection is still open. */
  get isConnected(): boolean {
    const { events } = this.seen;
    const last = events.findLast((event) => event.kind === 'mqtt' && event.packet.cmd === 'connect');
    return last !== undefined && !events.some((event) => event.kind === 'closed' && event.connection === last.connection);
  }

  /**
   * Ends the agent and starts it again, so that its back-off begins anew.
   *
   * @returns the mark from which its new process was seen, once that has reported.
   */
  async restart(how: 'stop' | 'kill', between: () => void | Promise<void> = () => undefined): Promise<number> {
    const mark = await this.start(how, between);
    try {
      await this.message(mark, 'reported', 'a report after the connection', () => true);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      throw error;
    }
    return mark;
  }

  /** As `restart`, without waiting for anything. */
  async start(how: 'stop' | 'kill', between: () => void | Promise<void> = () => undefined): Promise<number> {
    await this.joined();
    this.#mayTry('the device does not connect and report any more');
    await (how === 'kill' ? this.#process?.kill() : this.#process?.stop());
    await between();
    const { mark } = this.seen;
    this.#process = await this.agent.run(FOLDER, this.server.token());
    return mark;
  }

  get process(): AgentProcess | undefined {
    return this.#process;
  }

  /** Without this an agent that does nothing would be waited for again in each check. */
  #mayTry(because: string): void {
    if (this.#failures >= 2) throw new NotObservable(because);
  }

  /** Orders this, retained, under the next revision. @returns the mark before it was sent. */
  desire(workloads: readonly DesiredWorkload[], more: Record<string, unknown> = {}): number {
    this.#revision += 1;
    const desired = { v: 1, revision: this.#revision, workloads, ...more };
    this.server.retainedDesired = JSON.stringify(desired);
    const { mark } = this.seen;
    this.server.send('desired', desired, { retain: false });
    return mark;
  }

  /** Orders and waits until the device says that it has taken the order. */
  async desireObserved(workloads: readonly DesiredWorkload[], more: Record<string, unknown> = {}): Promise<number> {
    const mark = this.desire(workloads, more);
    const revision = this.#revision;
    await this.report(mark, `a report with observedRevision ${revision}`, (report) => report.observedRevision === revision);
    return mark;
  }

  /** Sends a command. @returns its id. */
  command(fields: Record<string, unknown>, options: { expiresInMs?: number; id?: string } = {}): string {
    const id = options.id ?? `verify-${randomBytes(6).toString('hex')}`;
    const serverNow = Date.now() + this.server.http.clockAheadMs;
    const expiresAt = new Date(serverNow + (options.expiresInMs ?? 60_000)).toISOString();
    this.server.send('commands', { v: 1, id, expiresAt, ...fields });
    return id;
  }

  /** The reply to a command. */
  async reply(mark: number, id: string, what: string): Promise<unknown> {
    const { value } = await this.message(mark, 'replies', `a reply to ${what}`, ({ value: reply }) => fieldOf(reply, 'id') === id);
    return value;
  }

  /** @throws NotObservable when the device sends none. */
  async needTelemetry(): Promise<void> {
    await this.message(0, 'telemetry', 'telemetry', () => true, TELEMETRY_MS).catch(() => {
      throw new NotObservable('no telemetry came; run the agent with a shorter interval of samples to have it looked at');
    });
  }

  repliesTo(mark: number, id: string): SeenMessage[] {
    return this.seen.messagesAfter(mark, 'replies').filter(({ value }) => fieldOf(value, 'id') === id);
  }
}

export function requestsIn(events: readonly Seen[]): SeenRequest[] {
  return events.flatMap((event) => (event.kind === 'http' ? [event.request] : []));
}

export function connectIn(events: readonly Seen[]): Seen | undefined {
  return events.find((event) => event.kind === 'mqtt' && event.packet.cmd === 'connect');
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A field on a path of a value that may have any form. */
export function fieldOf(value: unknown, ...path: readonly string[]): unknown {
  let at: unknown = value;
  for (const name of path) at = typeof at === 'object' && at !== null ? Object.entries(at).find(([key]) => key === name)?.[1] : undefined;
  return at;
}
