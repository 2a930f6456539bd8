import {
  AppError,
  type DeviceTrust,
  deviceTrustSchema,
  joinResponseSchema,
  parseJoinToken,
  SIMULATED_LABEL,
  type SimulationJob,
  type SimulationReport,
} from '@selvedge/contract';
import { getJson, parseServerUrl, postJson, type ServerAccess } from '@selvedge/device-link';
import { type Logger, sleep } from '@selvedge/runtime';
import type { Identities, SimulatedIdentity, SimulationHead } from '../adapters/identities.ts';
import { Measurements } from './measurements.ts';
import { SimulatedDevice } from './simulated-device.ts';
import { Turns } from './turns.ts';

export interface FleetOptions {
  job: SimulationJob;
  identities: Identities;
  /** Makes the key and the request that all devices share, and finds the CA that the token names. */
  prepare: () => Promise<SimulationHead & { csrPem: string }>;
  log: Logger;
  onReport: (report: SimulationReport) => void;
}

const REPORT_MS = 1000;
/** Joins under way at one time. */
const MAX_JOINING = 64;
/** Connections being made at one time; each is several milliseconds of this process's work. */
const MAX_CONNECTING = 100;

/** All simulated devices of one process. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #measurements = new Measurements();
  readonly #devices: SimulatedDevice[] = [];
  readonly #turns = new Turns(MAX_CONNECTING);
  /** The same for all devices: once one was answered, no other asks. */
  #broker: Promise<DeviceTrust['broker']> | undefined;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /**
   * Joins what has not joined, connects all, and goes on until the time is up or the signal aborts.
   *
   * @throws AppError as joining does: JOIN_TOKEN_INVALID, SERVER_IDENTITY_MISMATCH, CONFLICT (user), SERVER_UNREACHABLE.
   */
  async run(signal: AbortSignal): Promise<SimulationReport> {
    const { job, onReport } = this.#options;
    const beganMs = performance.now();
    const report = (event: SimulationReport['event']) =>
      this.#measurements.report(event, job.devices, Math.round(performance.now() - beganMs) / 1000);
    const timer = setInterval(() => onReport(report('progress')), REPORT_MS);
    const over = new AbortController();
    const end = () => over.abort();
    signal.addEventListener('abort', end, { once: true });
    const timeIsUp = job.durationS > 0 ? setTimeout(end, job.durationS * 1000) : undefined;
    try {
      await this.#startAll(over.signal);
      await new Promise<void>((resolve) => {
        if (over.signal.aborted || signal.aborted) resolve();
        else over.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      return report('report');
    } finally {
      clearTimeout(timeIsUp);
      clearInterval(timer);
      for (const device of this.#devices) device.stop();
    }
  }

  async #startAll(signal: AbortSignal): Promise<void> {
    const { job, identities, prepare } = this.#options;
    const prepared = await prepare();
    const known = new Map(identities.all.map((identity) => [identity.device, identity]));
    const joining = new Set<Promise<void>>();
    let failure: unknown;
    const gapMs = 1000 / job.profile.startsPerS;
    const beganMs = performance.now();
    for (let number = 1; number <= job.devices && !signal.aborted && failure === undefined; number += 1) {
      const dueMs = beganMs + number * gapMs - performance.now();
      if (dueMs > 1) await sleep(dueMs, signal).catch(() => undefined);
      const name = `${job.prefix}-${number}`;
      const begun = this.#startOne(name, number, prepared, known.get(name)).catch((error: unknown) => {
        failure = error;
      });
      const tracked = begun.finally(() => joining.delete(tracked));
      joining.add(tracked);
      if (joining.size >= MAX_JOINING) await Promise.race(joining);
    }
    await Promise.all(joining);
    if (failure !== undefined && !signal.aborted) throw failure;
  }

  async #startOne(name: string, number: number, prepared: SimulationHead & { csrPem: string }, known?: SimulatedIdentity): Promise<void> {
    const { job, log } = this.#options;
    const { host, port } = parseServerUrl(job.url);
    const identity = known ?? (await this.#join(name, number, { host, port, caPem: prepared.caPem }, prepared.csrPem));
    this.#measurements.joined += 1;
    const access: ServerAccess = { host, port, caPem: prepared.caPem, key: prepared.keyPem, cert: identity.certPem };
    const device = new SimulatedDevice({
      device: identity.device,
      number,
      access,
      messageAccess: () => this.#messageAccess(access),
      profile: job.profile,
      measurements: this.#measurements,
      turns: this.#turns,
      log,
    });
    this.#devices.push(device);
    device.start();
  }

  /** How MQTT is spoken: on the device port, or with a broker of its own. Throws as asking the server does. */
  async #messageAccess(access: ServerAccess): Promise<ServerAccess> {
    this.#broker ??= this.#askBroker(access);
    try {
      const broker = await this.#broker;
      return broker === undefined ? access : { ...access, ...broker, isBroker: true };
    } catch (error) {
      this.#broker = undefined; // that device may have been removed: the next one asks for itself
      throw error;
    }
  }

  async #askBroker(access: ServerAccess): Promise<DeviceTrust['broker']> {
    const { url } = this.#options.job;
    const answer = deviceTrustSchema.safeParse(await getJson(access, '/device/v1/trust'));
    if (!answer.success) throw new AppError('SERVER_UNREACHABLE', { message: `${url} does not say whom its devices trust.` });
    return answer.data.broker;
  }

  async #join(name: string, number: number, access: ServerAccess, csrPem: string): Promise<SimulatedIdentity> {
    const { job, identities } = this.#options;
    const own = Object.entries(job.profile.labels).map(([key, value]) => [key, value.replaceAll('{n}', String(number))]);
    const labels = { ...Object.fromEntries(own), [SIMULATED_LABEL]: 'true' };
    const body = { secret: parseJoinToken(job.token).secret, csrPem, name, labels };
    const answer = joinResponseSchema.safeParse(await postJson(access, '/device/v1/join', body));
    if (!answer.success) throw new AppError('SERVER_UNREACHABLE', { message: `${job.url} answered something that is not a join answer.` });
    const identity = { device: answer.data.device, certPem: answer.data.certificatePem };
    await identities.add(identity);
    return identity;
  }
}
