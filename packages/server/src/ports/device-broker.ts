import type { DeviceTopic } from '@selvedge/contract';

/** One MQTT connection of a device that has proved its identity. */
export interface DeviceSession {
  /** Differs for every connection. */
  readonly id: string;
  readonly device: string;
  /** Of the agent process. */
  readonly instanceId: string;
  /** Host and port it came from; where a broker is in between, as the device says it, or `broker:0`. */
  readonly address: string;
}

export interface BrokerHandlers {
  connected(session: DeviceSession): void;
  disconnected(session: DeviceSession): void;
  /** The message is acknowledged to its sender when this resolves; when it rejects, it is sent again. */
  received(session: DeviceSession, topic: DeviceTopic, payload: Uint8Array): Promise<void>;
}

/** What became worthless when a device was removed. */
export interface RevokedCertificate {
  /** Hexadecimal. */
  readonly serial: string;
  /** ISO 8601 in UTC. */
  readonly notAfter: string;
  /** sha256 of the authority that issued it; absent where there was but one. */
  readonly issuerSha256?: string | undefined;
}

/** Carries the messages of the device channel in both directions: the broker in the server, or one of its own. */
export interface DeviceBroker {
  start(): Promise<void>;
  /** Resolves when the last `disconnected` was called. */
  stop(): Promise<void>;
  /**
   * QoS 1. A retained message stays for the device to find when it subscribes; an empty one removes it.
   *
   * @throws AppError DEVICE_OFFLINE (operational) when a message that is not retained cannot be handed over now.
   */
  publish(device: string, topic: DeviceTopic, payload: string, options: { retain: boolean }): Promise<void>;
  /** The device was removed: what it has retained goes, and it is kept out as far as the broker allows. */
  revoke(device: string, certificates: readonly RevokedCertificate[]): Promise<void>;
}
