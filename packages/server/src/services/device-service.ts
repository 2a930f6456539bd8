import {
  AppError,
  type Device,
  type DeviceTopic,
  type ImportedResults,
  presenceSchema,
  type Reply,
  type ResultsStatement,
  replySchema,
  reportedStateSchema,
  type TelemetryBatch,
  type TelemetrySample,
  telemetryBatchSchema,
  telemetrySampleSchema,
  type Upkeep,
} from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type * as z from 'zod';
import { expireInstances, type InstanceHistory, instanceConnected, instanceSeen, NO_INSTANCES } from '../domain/device-conflict.ts';
import type { Store } from '../ports/store.ts';
import { CoalescedWrites } from './coalesced-writes.ts';
import { deviceDraft } from './device-draft.ts';

/** One connection of a device that has proved its identity. */
export interface LiveSession {
  /** Differs for every connection. */
  readonly id: string;
  readonly device: string;
  readonly instanceId: string;
  /** Host and port it came from. */
  readonly address: string;
}

export interface DeviceServiceOptions {
  store: Store;
  onReply: (device: string, reply: Reply) => void;
  onOffline: (device: string) => void;
  /** The device has connected and subscribed: it hears what it is told. May be called again while it stays so. */
  onReady: (device: string) => void;
  log: Logger;
  clock: () => Date;
}

/**
 * How often the last sample is copied to a device's status at most; every sample is in the telemetry series anyway. A large fleet's
 * come more rarely, so that there are no more than 170 such writes a second: a minute with 10,000 devices.
 */
const SAMPLE_TO_STATUS_MS = 10_000;
const SAMPLE_TO_STATUS_MS_PER_DEVICE = 6;
/** Devices from which on a sample of one that has just connected waits its turn too: after a restart of the server all of them do. */
const LARGE_FLEET = 500;
/** A device that has connected says more at once, which goes into the same write. */
const CONNECTED_WITHIN_MS = 200;
const TICK_MS = 10_000;
const FUTURE_MS = 60_000;

interface LiveDevice {
  readonly writes: CoalescedWrites<Device['status']>;
  session: LiveSession | undefined;
  history: InstanceHistory;
  /** Highest sequence of the reports of the present agent process. */
  reported: { instanceId: string; sequence: number } | undefined;
  /** Newest sample that its status does not have yet. */
  sample: TelemetrySample | undefined;
  /** What it says of its budgets, not yet in its status. */
  upkeep: Upkeep | undefined;
  sampleWrittenAtMs: number;
}

/**
 * What devices say about themselves: presence, reported state, telemetry. A device is online while its connection is the
 * one that this service knows; messages of an older connection are ignored.
 */
export class DeviceService {
  readonly #options: DeviceServiceOptions;
  readonly #live = new Map<string, LiveDevice>();
  readonly #writing = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DeviceServiceOptions) {
    this.#options = options;
  }

  /** Everyone is offline until they connect. Conflicts known from before stay until they are disproved. */
  async start(): Promise<void> {
    const { store } = this.#options;
    let after: string | null = '';
    while (after !== null) {
      const page: { items: Device[]; next: string | null } = await store.list('Device', after === '' ? {} : { after });
      for (const { metadata, status } of page.items) {
        const { conflict } = status;
        if (conflict !== null) this.#device(metadata.name).history = { instances: conflict.instances, conflictSince: conflict.since };
      }
      // Together: one by one a fleet's would keep it waiting for as many commits.
      await Promise.all(page.items.filter(({ status }) => status.online).map(({ metadata }) => this.#setOffline(metadata.name)));
      after = page.next;
    }
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Returns when everything that is known has been written. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#writing);
    this.#live.clear();
  }

  async #setOffline(device: string): Promise<void> {
    await this.#options.store.update('Device', device, (current) => deviceDraft(current, { ...current.status, online: false }));
  }

  isOnline(device: string): boolean {
    return this.#live.get(device)?.session !== undefined;
  }

  get onlineCount(): number {
    let count = 0;
    for (const live of this.#live.values()) if (live.session !== undefined) count += 1;
    return count;
  }

  /** The device is gone: nothing of it is remembered, so that one that joins under its name begins anew. */
  forget(device: string): void {
    this.#live.delete(device);
    this.#options.onOffline(device);
  }

  connected(session: LiveSession): void {
    const live = this.#device(session.device);
    const nowIso = this.#now();
    const wasInConflict = live.history.conflictSince !== null;
    live.session = session;
    live.history = instanceConnected(expireInstances(live.history, nowIso), {
      instanceId: session.instanceId,
      address: session.address,
      lastSeenAt: nowIso,
    });
    if (!wasInConflict && live.history.conflictSince !== null)
      this.#options.log.warn('two agents use the identity of one device', { device: session.device, instances: live.history.instances });
    this.#options.log.info('device connected', { device: session.device, address: session.address });
    const address = hostOf(session.address);
    void this.#write(session.device, (status) => ({ ...status, online: true, lastSeenAt: nowIso, address }), CONNECTED_WITHIN_MS);
  }

  disconnected(session: LiveSession): void {
    const live = this.#live.get(session.device);
    if (live === undefined || live.session?.id !== session.id) return;
    const nowIso = this.#now();
    live.session = undefined;
    live.history = instanceSeen(live.history, session.instanceId, nowIso);
    this.#options.onOffline(session.device);
    this.#options.log.info('device disconnected', { device: session.device });
    this.#write(session.device, (status) => ({ ...status, online: false, lastSeenAt: nowIso }));
  }

  /** Resolves once the message is stored. One that is malformed is logged and dropped: sending it again would not mend it. */
  async received(session: LiveSession, topic: DeviceTopic, payload: Uint8Array): Promise<void> {
    if (this.#live.get(session.device)?.session?.id !== session.id) {
      // Acknowledged, it would be forgotten where it is kept.
      if (topic === 'telemetry') throw new AppError('CONFLICT', { message: 'Another connection of this device has taken over.' });
      return;
    }
    switch (topic) {
      case 'reported':
        return this.#takeReport(session, this.#parse(reportedStateSchema, session, topic, payload));
      case 'telemetry':
        return this.#takeTelemetry(session, this.#parse(telemetryBatchSchema, session, topic, payload));
      case 'presence':
        return this.#takePresence(session, this.#parse(presenceSchema, session, topic, payload)?.online);
      case 'replies': {
        const reply = this.#parse(replySchema, session, topic, payload);
        if (reply !== undefined) this.#options.onReply(session.device, reply);
        return;
      }
      default:
        return;
    }
  }

  /**
   * Takes what a device has said on a stick, as if it had come over the wire. While it is connected its own word is newer, and
   * so is what a later file of results has brought.
   *
   * @returns `known` when this file was brought before, `older` when something newer is known, `none` when it reports nothing.
   */
  async takeResults(device: string, results: ResultsStatement): Promise<ImportedResults['state']> {
    const { reported, sequence, telemetry } = results;
    for (const batch of telemetry) await this.#options.store.appendTelemetry(device, batch);
    if (reported === null) return 'none';
    const importedAt = this.#now();
    const newest = newestOf(telemetry.flatMap(({ samples }) => samples));
    const { upkeep } = reported;
    let outcome: ImportedResults['state'] = 'older';
    await this.#write(device, (status) => {
      const known = status.byBundle?.sequence ?? 0;
      outcome = sequence === known ? 'known' : 'older';
      if (sequence <= known || this.isOnline(device) || reported.observedRevision < status.observedRevision) return status;
      outcome = 'taken';
      const byBundle = { bundle: results.bundle?.id ?? null, importedAt, reportedAt: results.createdAt, sequence };
      const { info, workloads, observedRevision } = reported;
      const sample = newerSample(status.telemetry, newest, this.#options.clock().getTime());
      return { ...status, info, workloads, observedRevision, byBundle, ...(upkeep === undefined ? {} : { upkeep }), telemetry: sample };
    });
    return outcome;
  }

  /** What a broker kept while nobody knew whether the device is there: samples count whenever they come. */
  async receivedLate(device: string, topic: DeviceTopic, payload: Uint8Array): Promise<void> {
    if (topic !== 'telemetry') return;
    const batch = this.#parse(telemetryBatchSchema, { device }, topic, payload);
    if (batch !== undefined) await this.#options.store.appendTelemetry(device, batch);
  }

  async #takeReport(session: LiveSession, report: z.output<typeof reportedStateSchema> | undefined): Promise<void> {
    if (report === undefined) return;
    const live = this.#device(session.device);
    const isStale = live.reported?.instanceId === report.instanceId && report.sequence <= live.reported.sequence;
    if (report.instanceId !== session.instanceId || isStale) return;
    live.reported = { instanceId: report.instanceId, sequence: report.sequence };
    this.#options.onReady(session.device);
    const nowIso = this.#now();
    const { info, workloads, observedRevision, clockOffsetMs, location, trusts, upkeep } = report;
    live.upkeep = undefined; // older than this
    // What an agent does not say, perhaps no longer, is not known.
    const said = {
      ...(clockOffsetMs === undefined ? {} : { clockOffsetMs }),
      ...(location === undefined ? {} : { location }),
      ...(trusts === undefined ? {} : { trusts }),
      ...(upkeep === undefined ? {} : { upkeep }),
    };
    await this.#write(session.device, ({ clockOffsetMs: _clock, location: _location, trusts: _trusts, upkeep: _upkeep, ...status }) => ({
      ...status,
      ...said,
      info,
      workloads,
      observedRevision,
      lastSeenAt: nowIso,
    }));
  }

  async #takeTelemetry(session: LiveSession, batch: TelemetryBatch | undefined): Promise<void> {
    if (batch === undefined) return;
    await this.#options.store.appendTelemetry(session.device, batch);
    const live = this.#live.get(session.device);
    if (live === undefined) return;
    live.history = instanceSeen(live.history, session.instanceId, this.#now());
    live.upkeep = batch.upkeep ?? live.upkeep;
    live.sample = newestOf(live.sample === undefined ? batch.samples : [live.sample, ...batch.samples]);
    this.#writeSampleIfDue(session.device, live);
  }

  /** A goodbye shows at once; the end of the connection follows. */
  async #takePresence(session: LiveSession, online: boolean | undefined): Promise<void> {
    if (online === true) this.#options.onReady(session.device);
    if (online !== undefined) await this.#write(session.device, (status) => ({ ...status, online }));
  }

  #tick(): void {
    const nowIso = this.#now();
    for (const [device, live] of this.#live) {
      if (live.session !== undefined) live.history = instanceSeen(live.history, live.session.instanceId, nowIso);
      const before = live.history;
      live.history = expireInstances(before, nowIso);
      const conflictEnded = before.conflictSince !== null && live.history.conflictSince === null;
      if (conflictEnded) void this.#write(device, (status) => status);
      this.#writeSampleIfDue(device, live);
      const isIdle = live.session === undefined && live.history.instances.length === 0 && live.sample === undefined;
      if (isIdle && !conflictEnded) this.#live.delete(device);
    }
  }

  #writeSampleIfDue(device: string, live: LiveDevice): void {
    const nowMs = this.#options.clock().getTime();
    const gapMs = Math.max(SAMPLE_TO_STATUS_MS, this.#live.size * SAMPLE_TO_STATUS_MS_PER_DEVICE);
    const isEmpty = live.sample === undefined && live.upkeep === undefined;
    if (isEmpty || nowMs - live.sampleWrittenAtMs < gapMs) return;
    const lastSeenAt = this.#now();
    void this.#write(device, (status) => ({ ...status, lastSeenAt }));
  }

  /** Changes the status, in the order of the calls; the newest sample and the conflict as it is known go along. */
  #write(device: string, change: (status: Device['status']) => Device['status'], withinMs = 0): Promise<void> {
    const done = this.#device(device).writes.add(change, withinMs);
    const tracked = done.catch((error: unknown) => {
      this.#options.log.error('the status of a device could not be written', { device, ...describeError(error) });
    });
    this.#writing.add(tracked);
    void tracked.finally(() => this.#writing.delete(tracked));
    return done;
  }

  async #store(device: string, change: (status: Device['status']) => Device['status']): Promise<void> {
    const live = this.#device(device);
    const { sample, upkeep } = live;
    live.sample = undefined;
    live.upkeep = undefined;
    if (sample !== undefined || upkeep !== undefined) live.sampleWrittenAtMs = this.#options.clock().getTime();
    await this.#options.store.update('Device', device, (current) => {
      const status = change(current.status);
      const { instances, conflictSince } = live.history;
      const conflict = conflictSince === null ? null : { instances: [...instances], since: conflictSince };
      const telemetry = newerSample(status.telemetry, sample, this.#options.clock().getTime());
      return deviceDraft(current, { ...status, ...(upkeep === undefined ? {} : { upkeep }), conflict, telemetry });
    });
  }

  #device(name: string): LiveDevice {
    const known = this.#live.get(name);
    if (known !== undefined) return known;
    const made: LiveDevice = {
      writes: new CoalescedWrites((change) => this.#store(name, change)),
      session: undefined,
      history: NO_INSTANCES,
      reported: undefined,
      sample: undefined,
      upkeep: undefined,
      sampleWrittenAtMs: this.#live.size < LARGE_FLEET ? 0 : this.#options.clock().getTime(),
    };
    this.#live.set(name, made);
    return made;
  }

  #parse<S extends z.ZodType>(
    schema: S,
    session: Pick<LiveSession, 'device'>,
    topic: DeviceTopic,
    payload: Uint8Array,
  ): z.output<S> | undefined {
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      value = undefined; // the schema refuses it, and the log says so
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    this.#options.log.warn('a device sent a malformed message', { device: session.device, topic, issues: parsed.error.issues.slice(0, 5) });
    return undefined;
  }

  #now(): string {
    return this.#options.clock().toISOString();
  }
}

function newestOf(samples: readonly TelemetrySample[]): TelemetrySample | undefined {
  const newest = samples.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at)).at(-1);
  return newest === undefined ? undefined : telemetrySampleSchema.parse(newest); // without its number
}

/** What was kept while offline arrives later than what is new. A time that is yet to come was one of a wrong clock. */
function newerSample(known: TelemetrySample | null, sample: TelemetrySample | undefined, nowMs: number): TelemetrySample | null {
  if (sample === undefined) return known;
  const knownMs = known === null ? Number.NEGATIVE_INFINITY : Date.parse(known.at);
  return Date.parse(sample.at) >= knownMs || knownMs > nowMs + FUTURE_MS ? sample : known;
}

/** Without the port. */
function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).slice(0, 256);
}
