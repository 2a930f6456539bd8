import { AppError } from '@selvedge/contract';
import { type Backoff, backoffDelayMs, type Logger } from '@selvedge/runtime';
import type { LinkMeter } from './link-meter.ts';
import { MqttSession } from './mqtt-session.ts';
import type { ServerAccess } from './server-access.ts';

export interface MqttClientOptions {
  /** Asked before every connection, so that a renewed certificate is taken up. */
  endpoint: () => Promise<ServerAccess>;
  clientId: string;
  username: string;
  will: { topic: string; payload: string };
  subscriptions: readonly string[];
  /** Default 60,000. */
  keepaliveMs?: number;
  /** Default 20,000. */
  answerTimeoutMs?: number;
  maxPacketBytes: number;
  /** Messages that may wait for their acknowledgement; default 64. */
  maxPending?: number;
  /** Delays between connections. */
  backoff: Backoff;
  log: Logger;
  /** Told of connections and of what answers took. */
  link?: LinkMeter;
  onMessage: (topic: string, payload: Uint8Array) => Promise<void> | void;
  /** Called after each subscription, before anything that was left from the last connection is sent again. */
  onConnected: (session: Pick<MqttSession, 'localAddress'>) => void;
  onDisconnected: (reason: string) => void;
  /** The server does not let this device connect. @returns how long to leave it alone at least, in milliseconds. */
  onRefused?: () => Promise<number>;
  /** A connection did not come about. @param attempt - how often in a row, from 1 on. */
  onFailed?: (attempt: number) => void;
}

interface Pending {
  topic: string;
  payload: string | Buffer;
  /** Kept by a broker for those who subscribe later; see ServerAccess.isBroker. */
  keep: boolean;
  /** Went out on an earlier connection already. */
  sent: boolean;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** A connection that lived this long was a good one: the next delay starts small again. */
const STABLE_MS = 20_000;

/**
 * Keeps one MQTT connection: reconnects with back-off and jitter, and sends what was not acknowledged again.
 * A message may therefore arrive twice; every message of the device channel tolerates that.
 */
export class MqttClient {
  readonly #options: MqttClientOptions;
  readonly #pending = new Map<number, Pending>();
  #session: MqttSession | undefined;
  #connected = false;
  #nextId = 1;
  #attempt = 0;
  #atBroker = false;
  /** The last connection was one, if only for a while. */
  #entered = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #wakeUp: (() => void) | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: MqttClientOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#connected;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /**
   * Sends with QoS 1; resolves when the broker has acknowledged, maybe on a later connection.
   *
   * @throws AppError RATE_LIMITED when too many messages wait already; INTERRUPTED when the client stops first.
   */
  publish(topic: string, payload: string | Buffer, options: { keep?: boolean } = {}): Promise<void> {
    if (this.#stopped) return Promise.reject(new AppError('INTERRUPTED', { message: 'The connection is being closed.' }));
    if (this.#pending.size >= (this.#options.maxPending ?? 64)) {
      return Promise.reject(new AppError('RATE_LIMITED', { message: `Too many messages wait to be sent to ${topic}.` }));
    }
    const messageId = this.#takeId();
    return new Promise((resolve, reject) => {
      const keep = options.keep === true;
      this.#pending.set(messageId, { topic, payload, keep, sent: this.#connected, resolve, reject });
      if (this.#connected) this.#session?.publish(messageId, topic, payload, false, keep && this.#atBroker);
    });
  }

  /** Disconnects properly; what is not acknowledged is given up. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#wakeUp?.();
    if (this.#connected) this.#session?.disconnect();
    else this.#session?.destroy();
    await this.#loop;
    for (const { reject } of this.#pending.values()) reject(new AppError('INTERRUPTED', { message: 'The connection was closed.' }));
    this.#pending.clear();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const startedAt = process.uptime();
      const reason = await this.#connectOnce();
      if (this.#stopped) return;
      if ((process.uptime() - startedAt) * 1000 > STABLE_MS) this.#attempt = 0;
      this.#attempt += 1;
      if (!this.#entered) this.#options.onFailed?.(this.#attempt);
      const leastMs = this.#session?.refused === true ? ((await this.#options.onRefused?.()) ?? 0) : 0;
      if (this.#stopped) return;
      // Spread, so that many refused devices do not come back at once.
      const delayMs = Math.max(backoffDelayMs(this.#attempt, this.#options.backoff), leastMs * (0.75 + Math.random() / 4));
      this.#options.log.warn('not connected to the server; trying again', { reason, inMs: Math.round(delayMs) });
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve;
        this.#timer = setTimeout(resolve, delayMs);
      });
    }
  }

  /** Returns why the connection ended or did not come about. */
  async #connectOnce(): Promise<string> {
    this.#session = undefined;
    this.#entered = false;
    try {
      const { clientId, username, will, subscriptions, keepaliveMs, answerTimeoutMs, maxPacketBytes, log, link, onMessage } = this.#options;
      const endpoint = await this.#options.endpoint();
      this.#atBroker = endpoint.isBroker === true;
      const session = new MqttSession({
        endpoint,
        clientId,
        username,
        will,
        subscriptions,
        keepaliveMs: keepaliveMs ?? 60_000,
        answerTimeoutMs: answerTimeoutMs ?? 20_000,
        maxPacketBytes,
        log,
        link,
        onMessage,
        onAcknowledged: (messageId) => this.#acknowledged(messageId),
      });
      if (this.#stopped) return 'stopped';
      this.#session = session;
      await session.open();
      this.#enter(session);
      const reason = await session.closed;
      this.#connected = false;
      this.#options.onDisconnected(reason);
      return reason;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #enter(session: MqttSession): void {
    const left = [...this.#pending];
    this.#connected = true;
    this.#entered = true;
    this.#options.link?.connected();
    this.#options.onConnected(session);
    for (const [messageId, waiting] of left) {
      session.publish(messageId, waiting.topic, waiting.payload, waiting.sent, waiting.keep && this.#atBroker);
      waiting.sent = true;
    }
  }

  #acknowledged(messageId: number): void {
    this.#pending.get(messageId)?.resolve();
    this.#pending.delete(messageId);
  }

  /** 1..65,000; the rest is for subscriptions. There are fewer pending messages than ids. */
  #takeId(): number {
    do {
      this.#nextId = (this.#nextId % 65_000) + 1;
    } while (this.#pending.has(this.#nextId));
    return this.#nextId;
  }
}
