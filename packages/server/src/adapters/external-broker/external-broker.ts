import { randomUUID } from 'node:crypto';
import {
  AppError,
  DEVICE_PUBLISHES,
  DEVICE_TOPIC_ROOT,
  type DeviceTopic,
  deviceTopic,
  parseDeviceTopic,
  presenceSchema,
  reportedStateSchema,
} from '@selvedge/contract';
import { backoffDelayMs, describeError, type Logger, SerialRunner } from '@selvedge/runtime';
import type { IPublishPacket } from 'mqtt-packet';
import type { BrokerHandlers, DeviceBroker, DeviceSession, RevokedCertificate } from '../../ports/device-broker.ts';
import { type BrokerAccess, BrokerConnection } from './broker-connection.ts';

export interface ExternalBrokerOptions {
  /** Asked before each connection: certificates are renewed. */
  access: () => Promise<BrokerAccess>;
  /** Names the server's session at the broker; the same after a restart. */
  clientId: string;
  handlers: BrokerHandlers & {
    /** Whether there is such a device: a broker takes messages of one that was removed while its certificate holds. */
    isKnown(device: string): Promise<boolean>;
    /** A message of a device of which it is not known whether it is there. */
    receivedLate(device: string, topic: DeviceTopic, payload: Uint8Array): Promise<void>;
  };
  /** Lets the broker know which certificates hold no longer. */
  revoke: (certificates: readonly RevokedCertificate[]) => Promise<void>;
  log: Logger;
}

const RECONNECT = { baseMs: 500, maxMs: 30_000 };

interface Known {
  session: DeviceSession | undefined;
  readonly work: SerialRunner;
}

function jsonOf(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    return undefined; // whoever takes the message says so
  }
}

/**
 * The device channel over a broker that is not ours, such as Mosquitto, to which the server connects as a client.
 *
 * Its session there is not clean, and a message is acknowledged when it is stored: what the broker has taken from a device
 * reaches the server also when that was down. Who is there is known by presence, which devices retain, so that a server that
 * starts learns it at once. Messages of one device are handled in their order, those of several side by side.
 */
export class ExternalBroker implements DeviceBroker {
  readonly #options: ExternalBrokerOptions;
  readonly #devices = new Map<string, Known>();
  /** What is to be retained, by topic; sent on each connection, because a broker may have lost it. */
  readonly #retained = new Map<string, string>();
  #connection: BrokerConnection | undefined;
  #isOpen = false;
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();
  #wakeUp: () => void = () => undefined;

  constructor(options: ExternalBrokerOptions) {
    this.#options = options;
  }

  /** Begins to connect; the broker may come later. */
  async start(): Promise<void> {
    this.#stopped = false;
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wakeUp();
    this.#connection?.close();
    await this.#loop;
  }

  publish(device: string, topic: DeviceTopic, payload: string, { retain }: { retain: boolean }): Promise<void> {
    const name = deviceTopic(device, topic);
    if (retain) {
      this.#retained.set(name, payload);
      this.#retain(name);
      return Promise.resolve();
    }
    if (this.#connection !== undefined && this.#isOpen) return this.#connection.publish(name, payload, false);
    return Promise.reject(new AppError('DEVICE_OFFLINE', { message: 'The broker of the devices is not connected.' }));
  }

  async revoke(device: string, certificates: readonly RevokedCertificate[]): Promise<void> {
    const known = this.#devices.get(device);
    this.#devices.delete(device);
    if (known?.session !== undefined) this.#options.handlers.disconnected(known.session);
    await this.#options.revoke(certificates);
    for (const topic of ['desired', 'presence'] as const) await this.publish(device, topic, '', { retain: true });
    await this.#takeOver(device);
  }

  /** A second connection with its client id makes a broker close the first; with a revoked certificate it does not come back. */
  async #takeOver(device: string): Promise<void> {
    const options = {
      access: await this.#options.access(),
      clientId: device,
      clean: true,
      subscriptions: [],
      onMessage: async () => undefined,
    };
    const connection = new BrokerConnection(options);
    try {
      await connection.open();
      connection.close();
    } catch (error) {
      this.#options.log.warn('the connection of a removed device could not be closed at the broker', { device, ...describeError(error) });
    }
  }

  async #run(): Promise<void> {
    for (let attempt = 1; !this.#stopped; attempt += 1) {
      const reason = await this.#connectOnce(() => {
        attempt = 0;
      });
      this.#isOpen = false;
      for (const known of this.#devices.values()) this.#end(known);
      if (this.#stopped) return;
      const delayMs = backoffDelayMs(Math.max(attempt, 1), RECONNECT);
      this.#options.log.warn('the broker of the devices is not connected; trying again', { reason, inMs: Math.round(delayMs) });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, delayMs);
        this.#wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async #connectOnce(onOpen: () => void): Promise<string> {
    try {
      const subscriptions = DEVICE_PUBLISHES.map((topic) => `${DEVICE_TOPIC_ROOT}/+/${topic}`);
      const { clientId } = this.#options;
      const onMessage = (packet: IPublishPacket) => this.#take(packet);
      const connection = new BrokerConnection({ access: await this.#options.access(), clientId, clean: false, subscriptions, onMessage });
      if (this.#stopped) return 'stopped';
      this.#connection = connection;
      await connection.open();
      onOpen();
      this.#isOpen = true;
      this.#options.log.info('connected to the broker of the devices');
      for (const name of this.#retained.keys()) this.#retain(name);
      return await connection.closed;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #retain(name: string): void {
    const payload = this.#retained.get(name);
    if (payload === undefined || this.#connection === undefined || !this.#isOpen) return;
    this.#connection.publish(name, payload, true).then(
      () => {
        if (payload === '' && this.#retained.get(name) === '') this.#retained.delete(name);
      },
      () => undefined, // the next connection sends it again
    );
  }

  async #take(packet: IPublishPacket): Promise<void> {
    const target = parseDeviceTopic(packet.topic);
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    if (target === undefined || payload.length === 0) return;
    if (!(await this.#options.handlers.isKnown(target.device))) return;
    const known = this.#device(target.device);
    await known.work.run(() => this.#handle(target.device, target.topic, payload, known));
  }

  async #handle(device: string, topic: DeviceTopic, payload: Uint8Array, known: Known): Promise<void> {
    const { handlers } = this.#options;
    if (topic === 'presence') return this.#presence(device, payload, known);
    if (topic === 'reported' && known.session === undefined) {
      const report = reportedStateSchema.safeParse(jsonOf(payload));
      if (report.success) this.#begin(device, report.data.instanceId, known);
    }
    if (known.session === undefined) await handlers.receivedLate(device, topic, payload);
    else await handlers.received(known.session, topic, payload);
  }

  async #presence(device: string, payload: Uint8Array, known: Known): Promise<void> {
    const presence = presenceSchema.safeParse(jsonOf(payload));
    if (!presence.success) return;
    const { online, instanceId, address } = presence.data;
    if (online) {
      if (known.session?.instanceId !== instanceId) this.#begin(device, instanceId, known, address);
    } else if (known.session?.instanceId !== instanceId) return; // the will of a process that was followed by another
    if (known.session !== undefined) await this.#options.handlers.received(known.session, 'presence', payload);
    if (!online) this.#end(known);
  }

  #begin(device: string, instanceId: string, known: Known, address = 'broker:0'): void {
    this.#end(known);
    known.session = { id: randomUUID(), device, instanceId, address };
    this.#options.handlers.connected(known.session);
  }

  #end(known: Known): void {
    const { session } = known;
    known.session = undefined;
    if (session !== undefined) this.#options.handlers.disconnected(session);
  }

  #device(name: string): Known {
    const known = this.#devices.get(name) ?? { session: undefined, work: new SerialRunner() };
    this.#devices.set(name, known);
    return known;
  }
}
