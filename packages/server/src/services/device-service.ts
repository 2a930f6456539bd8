import {
  type Device,
  type DeviceTopic,
  presenceSchema,
  type Reply,
  replySchema,
  reportedStateSchema,
  type TelemetrySample,
  telemetryBatchSchema,
} from '@selvedge/contract';
import { describeError, type Logger, SerialRunner } from '@selvedge/runtime';
import type * as z from 'zod';
import { expireInstances, type InstanceHistory, instanceConnected, instanceSeen, NO_INSTANCES } from '../domain/device-conflict.ts';
import type { Store } from '../ports/store.ts';
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

/** How often the last sample is copied to a device's status; every sample is in the telemetry series anyway. */
const SAMPLE_TO_STATUS_MS = 10_000;
const TICK_MS = 10_000;

interface LiveDevice {
  readonly writes: SerialRunner;
  session: LiveSession | undefined;
  history: InstanceHistory;
  /** Highest sequence of the reports of the present agent process. */
  reported: { instanceId: string; sequence: number } | undefined;
  /** Newest sample that its status does not have yet. */
  sample: TelemetrySample | undefined;
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
      for (const device of page.items) {
        const { conflict, online } = device.status;
        const { name } = device.metadata;
        if (conflict !== null) this.#device(name).history = { instances: conflict.instances, conflictSince: conflict.since };
        if (online) await store.update('Device', name, (current) => deviceDraft(current, { ...current.status, online: false }));
      }
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
    this.#write(session.device, (status) => ({ ...status, online: true, lastSeenAt: nowIso, address }));
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
    if (this.#live.get(session.device)?.session?.id !== session.id) return;
    switch (topic) {
      case 'reported':
        return this.#takeReport(session, this.#parse(reportedStateSchema, session, topic, payload));
      case 'telemetry':
        return this.#takeTelemetry(session, this.#parse(telemetryBatchSchema, session, topic, payload)?.samples ?? []);
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

  async #takeReport(session: LiveSession, report: z.output<typeof reportedStateSchema> | undefined): Promise<void> {
    if (report === undefined) return;
    const live = this.#device(session.device);
    const isStale = live.reported?.instanceId === report.instanceId && report.sequence <= live.reported.sequence;
    if (report.instanceId !== session.instanceId || isStale) return;
    live.reported = { instanceId: report.instanceId, sequence: report.sequence };
    this.#options.onReady(session.device);
    const nowIso = this.#now();
    const { info, workloads, observedRevision, clockOffsetMs, location, trusts } = report;
    // What an agent does not say, perhaps no longer, is not known.
    const said = {
      ...(clockOffsetMs === undefined ? {} : { clockOffsetMs }),
      ...(location === undefined ? {} : { location }),
      ...(trusts === undefined ? {} : { trusts }),
    };
    await this.#write(session.device, ({ clockOffsetMs: _clock, location: _location, trusts: _trusts, ...status }) => ({
      ...status,
      ...said,
      info,
      workloads,
      observedRevision,
      lastSeenAt: nowIso,
    }));
  }

  async #takeTelemetry(session: LiveSession, samples: readonly TelemetrySample[]): Promise<void> {
    const newest = samples.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at)).at(-1);
    if (newest === undefined) return;
    await this.#options.store.appendTelemetry(session.device, samples);
    const live = this.#live.get(session.device);
    if (live === undefined) return;
    live.history = instanceSeen(live.history, session.instanceId, this.#now());
    live.sample = newest;
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
    if (live.sample === undefined || nowMs - live.sampleWrittenAtMs < SAMPLE_TO_STATUS_MS) return;
    const lastSeenAt = this.#now();
    void this.#write(device, (status) => ({ ...status, lastSeenAt }));
  }

  /** Changes the status, in the order of the calls; the newest sample and the conflict as it is known go along. */
  #write(device: string, change: (status: Device['status']) => Device['status']): Promise<void> {
    const live = this.#device(device);
    const done = live.writes.run(async () => {
      const { sample } = live;
      const { instances, conflictSince } = live.history;
      live.sample = undefined;
      if (sample !== undefined) live.sampleWrittenAtMs = this.#options.clock().getTime();
      const conflict = conflictSince === null ? null : { instances: [...instances], since: conflictSince };
      await this.#options.store.update('Device', device, (current) => {
        const status = change(current.status);
        return deviceDraft(current, { ...status, conflict, telemetry: sample ?? status.telemetry });
      });
    });
    const tracked = done.catch((error: unknown) => {
      this.#options.log.error('the status of a device could not be written', { device, ...describeError(error) });
    });
    this.#writing.add(tracked);
    void tracked.finally(() => this.#writing.delete(tracked));
    return done;
  }

  #device(name: string): LiveDevice {
    const known = this.#live.get(name);
    if (known !== undefined) return known;
    const made: LiveDevice = {
      writes: new SerialRunner(),
      session: undefined,
      history: NO_INSTANCES,
      reported: undefined,
      sample: undefined,
      sampleWrittenAtMs: 0,
    };
    this.#live.set(name, made);
    return made;
  }

  #parse<S extends z.ZodType>(schema: S, session: LiveSession, topic: DeviceTopic, payload: Uint8Array): z.output<S> | undefined {
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

/** Without the port. */
function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).slice(0, 256);
}
