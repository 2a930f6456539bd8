import { randomUUID } from 'node:crypto';
import {
  DEVICE_CHANNEL_VERSION,
  type DeviceTopic,
  deviceTopic,
  MAX_DEVICE_MESSAGE_BYTES,
  type Presence,
  parseDeviceTopic,
} from '@selvedge/contract';
import { type LinkMeter, MqttSession, type ServerAccess } from '@selvedge/device-link';
import { backoffDelayMs, type Logger } from '@selvedge/runtime';
import type { DelayedLine } from './link.ts';
import type { Measurements } from './measurements.ts';
import type { Turns } from './turns.ts';

export interface DeviceSessionOptions {
  device: string;
  /** Finds where MQTT is spoken, before the first connection; when it throws, that is a connection that did not come about. */
  access: () => Promise<ServerAccess>;
  uplink: DelayedLine;
  downlink: DelayedLine;
  measurements: Measurements;
  link: LinkMeter;
  /** Shared by all devices, for making connections. */
  turns: Turns;
  log: Logger;
  onConnected: () => void;
  onMessage: (topic: DeviceTopic, payload: Uint8Array) => void;
}

interface Unacknowledged {
  sentMs: number;
  settle: (delivered: boolean) => void;
}

const RECONNECT = { baseMs: 500, maxMs: 30_000 };
const KEEPALIVE_MS = 60_000;
const ANSWER_TIMEOUT_MS = 20_000;
/** A connection that lived this long was a good one. */
const STABLE_MS = 20_000;
const MAX_MESSAGE_ID = 65_000;

/** The connection of one simulated device: comes back by itself, as an agent's does. */
export class DeviceSession {
  readonly #options: DeviceSessionOptions;
  readonly instanceId = randomUUID();
  readonly #unacknowledged = new Map<number, Unacknowledged>();
  #session: MqttSession | undefined;
  #access: ServerAccess | undefined;
  #attempt = 0;
  #messageId = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #holdUntilMs = 0;

  constructor(options: DeviceSessionOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#session !== undefined;
  }

  start(): void {
    void this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // a broker of its own publishes no last will of who says goodbye
    if (this.#access?.isBroker === true) this.#session?.destroy();
    else this.#session?.disconnect();
  }

  /** The link breaks, and stays broken for so long. */
  cut(forMs: number): void {
    this.#holdUntilMs = performance.now() + forMs;
    this.#session?.destroy();
  }

  /** Resolves when the server has acknowledged it, with the time it took; undefined when the connection broke first or there is none. */
  async publish(topic: DeviceTopic, message: object, retain = false): Promise<number | undefined> {
    const beganMs = performance.now();
    const passed = this.#options.uplink.pass();
    if (passed !== undefined) await passed;
    const session = this.#session;
    if (session === undefined) return undefined;
    this.#messageId = (this.#messageId % MAX_MESSAGE_ID) + 1;
    const id = this.#messageId;
    const sentMs = performance.now();
    return new Promise((resolve) => {
      const settle = (delivered: boolean) => {
        resolve(delivered ? performance.now() - sentMs : undefined);
        if (delivered) void this.#answered(beganMs);
      };
      this.#unacknowledged.set(id, { sentMs, settle });
      session.publish(id, deviceTopic(this.#options.device, topic), JSON.stringify(message), false, retain);
    });
  }

  #presence(online: boolean): Presence {
    return { v: DEVICE_CHANNEL_VERSION, online, instanceId: this.instanceId };
  }

  /** The acknowledgement comes back over the same bad line. */
  async #answered(beganMs: number): Promise<void> {
    await this.#options.downlink.pass();
    this.#options.link.answered(performance.now() - beganMs);
  }

  async #connect(): Promise<void> {
    const { measurements, log, device, access, turns, onConnected } = this.#options;
    let session: MqttSession;
    let beganMs = 0;
    try {
      const found = this.#access ?? (await access());
      this.#access = found;
      session = this.#makeSession(found);
      await turns.take(async () => {
        beganMs = performance.now();
        if (!this.#stopped) await session.open();
      });
    } catch (error) {
      measurements.failedConnects += 1;
      measurements.failed(error instanceof Error ? error.message : String(error));
      this.#again();
      return;
    }
    if (this.#stopped) return session.disconnect();
    measurements.connectMs.add(performance.now() - beganMs);
    measurements.online += 1;
    this.#session = session;
    this.#options.link.connected();
    const connectedMs = performance.now();
    const { localAddress: address } = session;
    void this.publish('presence', { ...this.#presence(true), ...(address === undefined ? {} : { address }) }, this.#access.isBroker);
    onConnected();
    const reason = await session.closed;
    log.debug('connection ended', { device, reason });
    this.#session = undefined;
    measurements.online -= 1;
    for (const waiting of this.#unacknowledged.values()) waiting.settle(false);
    this.#unacknowledged.clear();
    if (this.#stopped) return;
    measurements.disconnects += 1;
    if (performance.now() - connectedMs >= STABLE_MS) this.#attempt = 0;
    this.#again();
  }

  #again(): void {
    if (this.#stopped) return;
    this.#attempt += 1;
    const heldMs = Math.max(0, this.#holdUntilMs - performance.now());
    this.#timer = setTimeout(() => void this.#connect(), heldMs + backoffDelayMs(this.#attempt, RECONNECT));
  }

  #makeSession(access: ServerAccess): MqttSession {
    const { device, log, downlink, onMessage } = this.#options;
    return new MqttSession({
      endpoint: access,
      clientId: device,
      username: this.instanceId,
      will: {
        topic: deviceTopic(device, 'presence'),
        payload: JSON.stringify(this.#presence(false)),
      },
      subscriptions: [deviceTopic(device, 'desired'), deviceTopic(device, 'commands')],
      keepaliveMs: KEEPALIVE_MS,
      answerTimeoutMs: ANSWER_TIMEOUT_MS,
      maxPacketBytes: MAX_DEVICE_MESSAGE_BYTES + 1024,
      log,
      onMessage: async (topic, payload) => {
        const known = parseDeviceTopic(topic);
        await downlink.pass();
        if (known?.device === device) onMessage(known.topic, payload);
      },
      onAcknowledged: (id) => {
        this.#unacknowledged.get(id)?.settle(true);
        this.#unacknowledged.delete(id);
      },
    });
  }
}
