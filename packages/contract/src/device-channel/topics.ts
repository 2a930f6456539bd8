/**
 * MQTT topics of the device channel. A device may publish and subscribe only below its own name; the broker enforces it.
 *
 * | topic | direction | retained | QoS | message |
 * |---|---|---|---|---|
 * | desired | server to device | yes | 1 | desiredStateSchema |
 * | reported | device to server | no | 1 | reportedStateSchema |
 * | presence | device to server, also its last will | no | 1 | presenceSchema |
 * | telemetry | device to server | no | 1 | telemetryBatchSchema |
 * | commands | server to device | no | 1 | commandSchema |
 * | replies | device to server | no | 1 | replySchema |
 */
export const DEVICE_TOPIC_ROOT = 'selvedge/v1/devices';

export const DEVICE_TOPICS = ['desired', 'reported', 'presence', 'telemetry', 'commands', 'replies'] as const;
export type DeviceTopic = (typeof DEVICE_TOPICS)[number];

/** What a device may publish; the rest it may only subscribe to. */
export const DEVICE_PUBLISHES: readonly DeviceTopic[] = ['reported', 'presence', 'telemetry', 'replies'];

export function deviceTopic(device: string, topic: DeviceTopic): string {
  return `${DEVICE_TOPIC_ROOT}/${device}/${topic}`;
}

/** The inverse of `deviceTopic`; undefined for any other topic. */
export function parseDeviceTopic(text: string): { device: string; topic: DeviceTopic } | undefined {
  if (!text.startsWith(`${DEVICE_TOPIC_ROOT}/`)) return undefined;
  const [device, name, ...rest] = text.slice(DEVICE_TOPIC_ROOT.length + 1).split('/');
  const topic = DEVICE_TOPICS.find((known) => known === name);
  return device !== undefined && device !== '' && topic !== undefined && rest.length === 0 ? { device, topic } : undefined;
}

/** Largest MQTT payload either side sends or accepts, in bytes. */
export const MAX_DEVICE_MESSAGE_BYTES = 6 * 1024 * 1024;
/** Largest body of one inference sent over the channel, in bytes (base64 makes it a third larger). */
export const MAX_INFER_BODY_BYTES = 4 * 1024 * 1024;
