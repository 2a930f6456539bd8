import {
  DEVICE_CHANNEL_VERSION,
  type DesiredState,
  desiredStateSchema,
  deviceTopic,
  MAX_DEVICE_MESSAGE_BYTES,
  type Presence,
  parseDeviceTopic,
} from '@selvedge/contract';
import { type LinkMeter, MqttClient, type ServerAccess } from '@selvedge/device-link';
import type { Backoff, Logger } from '@selvedge/runtime';
import type { DeviceChannel, DeviceMessages } from '../../ports/device-channel.ts';

export interface MqttDeviceChannelOptions {
  device: string;
  instanceId: string;
  endpoint: () => Promise<ServerAccess>;
  keepaliveMs: number;
  backoff: Backoff;
  log: Logger;
  link: LinkMeter;
  /** Acknowledged when it resolves, so it should be on disk by then. */
  onDesired: (desired: DesiredState) => Promise<void>;
  /** JSON, not yet checked. */
  onCommand: (payload: unknown) => void;
  onConnected: () => void;
  onDisconnected: (reason: string) => void;
  /** See MqttClientOptions. */
  onRefused: () => Promise<number>;
  /** See MqttClientOptions. */
  onFailed: (attempt: number) => void;
}

const STOP_TIMEOUT_MS = 1000;
/** Room for the packet's header and topic. */
const PACKET_OVERHEAD_BYTES = 1024;

/** The device channel over MQTT: topics, JSON and presence. */
export class MqttDeviceChannel implements DeviceChannel {
  readonly #options: MqttDeviceChannelOptions;
  readonly #client: MqttClient;

  constructor(options: MqttDeviceChannelOptions) {
    this.#options = options;
    const { device, instanceId, endpoint, keepaliveMs, backoff, log, link, onDisconnected, onRefused, onFailed } = options;
    this.#client = new MqttClient({
      endpoint,
      clientId: device,
      username: instanceId,
      will: { topic: deviceTopic(device, 'presence'), payload: JSON.stringify(this.#presence(false)) },
      subscriptions: [deviceTopic(device, 'desired'), deviceTopic(device, 'commands')],
      keepaliveMs,
      maxPacketBytes: MAX_DEVICE_MESSAGE_BYTES + PACKET_OVERHEAD_BYTES,
      backoff,
      log,
      link,
      onMessage: (topic, payload) => this.#receive(topic, payload),
      onConnected: ({ localAddress }) => this.#connected(localAddress),
      onDisconnected,
      onRefused,
      onFailed,
    });
  }

  get connected(): boolean {
    return this.#client.connected;
  }

  start(): void {
    this.#client.start();
  }

  publish<T extends keyof DeviceMessages>(topic: T, message: DeviceMessages[T]): Promise<void> {
    return this.#client.publish(deviceTopic(this.#options.device, topic), JSON.stringify(message), { keep: topic === 'presence' });
  }

  /** Says that the device goes offline, if that takes no longer than a second, and disconnects. */
  async stop(): Promise<void> {
    if (this.connected) {
      let timer: NodeJS.Timeout | undefined;
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, STOP_TIMEOUT_MS);
      });
      await Promise.race([this.publish('presence', this.#presence(false)).catch(() => undefined), timeout]);
      clearTimeout(timer);
    }
    await this.#client.stop();
  }

  #presence(online: boolean): Presence {
    return { v: DEVICE_CHANNEL_VERSION, online, instanceId: this.#options.instanceId };
  }

  #connected(address: string | undefined): void {
    this.publish('presence', { ...this.#presence(true), ...(address === undefined ? {} : { address }) }).catch((error: unknown) => {
      this.#options.log.warn('the presence was not sent', { error: error instanceof Error ? error.message : String(error) });
    });
    this.#options.onConnected();
  }

  async #receive(topic: string, payload: Uint8Array): Promise<void> {
    const { device, log, onCommand, onDesired } = this.#options;
    const parsed = parseDeviceTopic(topic);
    if (parsed?.device !== device || payload.length === 0) return;
    const value: unknown = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'));
    if (parsed.topic === 'commands') {
      onCommand(value);
      return;
    }
    if (parsed.topic !== 'desired') return;
    const desired = desiredStateSchema.safeParse(value);
    if (desired.success) await onDesired(desired.data);
    else log.error('the desired state is not of a form that this agent knows', { issue: desired.error.issues[0]?.message });
  }
}
