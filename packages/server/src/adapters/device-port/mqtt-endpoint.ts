import { randomUUID } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import {
  DEVICE_PUBLISHES,
  type DeviceTopic,
  deviceTopic,
  MAX_DEVICE_MESSAGE_BYTES,
  parseDeviceTopic,
  toAppError,
} from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { Aedes, type AuthErrorCode, type AuthenticateError, type Client, type PublishPacket } from 'aedes';
import createEmitter from 'mqemitter';
import { writeToStream } from 'mqtt-packet';
import * as z from 'zod';
import type { DeviceIdentity, PresentedCertificate } from '../../domain/device-identity.ts';
import { MqttPacketLimit } from '../../domain/mqtt-packet-limit.ts';
import type { BrokerHandlers, DeviceBroker, DeviceSession } from '../../ports/device-broker.ts';
import { findRetainedByTopic } from './retained-by-topic.ts';
import { RingQueue } from './ring-queue.ts';

// Otherwise the library makes 65,536 two-byte buffers once and keeps them: 10 MB.
writeToStream.cacheNumbers = false;

export interface MqttHandlers extends BrokerHandlers {
  /** @throws AppError UNAUTHENTICATED, DEVICE_REVOKED when the certificate is not the current one of a device. */
  identify(certificate: PresentedCertificate): Promise<DeviceIdentity>;
}

/** What anyone may send before it is known who it is. */
const MAX_UNKNOWN_PACKET_BYTES = 16 * 1024;
/** Topic and packet identifier come on top of the payload. */
const PACKET_OVERHEAD_BYTES = 1024;
const CONNECT_TIMEOUT_MS = 10_000;
/** A device that does not read for so long is disconnected; until then it holds one of the broker's slots. */
const DRAIN_TIMEOUT_MS = 10_000;
/** Messages that are handed on at a time. With few, those that tell a fleet of a change wait for what its first devices answer. */
const CONCURRENCY = 2000;

const NOT_AUTHORIZED: AuthErrorCode = 5;
const IDENTIFIER_REJECTED: AuthErrorCode = 2;
const instanceIdSchema = z.string().min(1).max(64);

interface Connection {
  certificate: PresentedCertificate | undefined;
  address: string;
  limit: MqttPacketLimit;
  session: DeviceSession | undefined;
}

/**
 * The embedded broker. It keeps no state that matters: sessions are clean, and retained desired states are published
 * again from the store after a start.
 */
export class MqttEndpoint implements DeviceBroker {
  readonly #handlers: MqttHandlers;
  readonly #log: Logger;
  readonly #connections = new WeakMap<Client, Connection>();
  #broker: Aedes | undefined;

  constructor(handlers: MqttHandlers, log: Logger) {
    this.#handlers = handlers;
    this.#log = log;
  }

  async start(): Promise<void> {
    const broker = await Aedes.createBroker({
      mq: createBacklogSafeEmitter(),
      concurrency: CONCURRENCY,
      connectTimeout: CONNECT_TIMEOUT_MS,
      drainTimeout: DRAIN_TIMEOUT_MS,
      preConnect: (_client, packet, done) => {
        packet.clean = true; // sessions would pile up messages for devices that are away; the store knows better
        done(null, true);
      },
      authenticate: (client, username, _password, done) => {
        this.#authenticate(client, username).then(
          () => done(null, true),
          (error: unknown) => done(refusal(error), false),
        );
      },
      authorizePublish: (client, packet, done) => {
        this.#take(client, packet).then(
          () => done(null),
          (error: unknown) => done(toAppError(error)),
        );
      },
      authorizeSubscribe: (client, subscription, done) => {
        const target = parseDeviceTopic(subscription.topic);
        done(null, target?.device === this.#session(client)?.device && target !== undefined ? subscription : null);
      },
    });
    findRetainedByTopic(broker);
    broker.on('clientReady', (client) => this.#announce(client, (session) => this.#handlers.connected(session)));
    broker.on('clientDisconnect', (client) => this.#announce(client, (session) => this.#handlers.disconnected(session)));
    for (const event of ['clientError', 'connectionError'] as const)
      broker.on(event, (client, error) => {
        this.#log.debug('device connection ended', { device: client.id, error: error.message });
      });
    this.#broker = broker;
  }

  /** Ends every connection. */
  async stop(): Promise<void> {
    const broker = this.#broker;
    this.#broker = undefined;
    if (broker !== undefined) await new Promise<void>((resolve) => broker.close(resolve));
  }

  /** Takes over a socket whose first byte is an MQTT CONNECT. */
  accept(socket: TLSSocket, certificate: PresentedCertificate | undefined): void {
    const broker = this.#broker;
    if (broker === undefined) {
      socket.destroy();
      return;
    }
    const limit = new MqttPacketLimit(MAX_UNKNOWN_PACKET_BYTES);
    const client = broker.handle(socket);
    const address = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#connections.set(client, { certificate, address, limit, session: undefined });
    // 'data' repeats each chunk that the broker reads, just before the broker parses it
    socket.on('data', (chunk: Uint8Array) => {
      if (limit.accept(chunk)) return;
      this.#log.warn('a device sent a packet that is too large', { device: client.id, address });
      socket.destroy();
    });
  }

  /** Whose certificate is no device's any more is not let in; the listener closes what is open. */
  async revoke(): Promise<void> {}

  publish(device: string, topic: DeviceTopic, payload: string, options: { retain: boolean }): Promise<void> {
    const broker = this.#broker;
    if (broker === undefined) return Promise.resolve();
    const packet: PublishPacket = {
      cmd: 'publish',
      qos: 1,
      dup: false,
      topic: deviceTopic(device, topic),
      payload: Buffer.from(payload),
      retain: options.retain,
    };
    return new Promise((resolve, reject) => broker.publish(packet, (error) => (error ? reject(error) : resolve())));
  }

  async #authenticate(client: Client, username: string | undefined): Promise<void> {
    const connection = this.#connections.get(client);
    if (connection?.certificate === undefined) throw new Error('no client certificate was presented');
    const instanceId = instanceIdSchema.safeParse(username);
    if (!instanceId.success) throw new IdentifierError('the user name must be the instance id of the agent');
    const identity = await this.#handlers.identify(connection.certificate);
    if (client.id !== identity.name) throw new IdentifierError('the client id must be the name of the device');
    connection.limit.maxBytes = MAX_DEVICE_MESSAGE_BYTES + PACKET_OVERHEAD_BYTES;
    connection.session = {
      id: randomUUID(),
      device: identity.name,
      instanceId: instanceId.data,
      address: connection.address,
    };
  }

  /**
   * Hands a message on before the broker deals with it: that acknowledges a message as soon as it is authorised, and calls what is meant
   * for published ones after it has told the sender.
   */
  async #take(client: Client | null, packet: PublishPacket): Promise<void> {
    const target = parseDeviceTopic(packet.topic);
    const session = client === null ? undefined : this.#session(client);
    if (session === undefined || target?.device !== session.device || !DEVICE_PUBLISHES.includes(target.topic)) {
      this.#log.warn('a device published where it may not', { device: session?.device, topic: packet.topic.slice(0, 256) });
      throw new Error('not a topic of this device');
    }
    packet.retain = false;
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    try {
      await this.#handlers.received(session, target.topic, payload);
    } catch (error) {
      this.#log.error('a device message could not be taken', { device: session.device, topic: target.topic, ...describeError(error) });
      throw error;
    }
  }

  #session(client: Client): DeviceSession | undefined {
    return this.#connections.get(client)?.session;
  }

  #announce(client: Client, tell: (session: DeviceSession) => void): void {
    const session = this.#session(client);
    if (session !== undefined) tell(session);
  }
}

class IdentifierError extends Error {}

function refusal(error: unknown): AuthenticateError {
  const returnCode = error instanceof IdentifierError ? IDENTIFIER_REJECTED : NOT_AUTHORIZED;
  return Object.assign(error instanceof Error ? error : new Error(String(error)), { returnCode });
}

/** The emitter's backlog fields are private; the version is pinned for that reason. */
function createBacklogSafeEmitter(): unknown {
  const emitter = createEmitter({ concurrency: CONCURRENCY, matchEmptyLevels: true });
  return Object.assign(emitter, { _messageQueue: new RingQueue(), _messageCallbacks: new RingQueue() });
}
