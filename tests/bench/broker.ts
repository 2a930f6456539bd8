// npm run bench:broker: the broker in the server and Mosquitto, side by side: round trips of commands and fan-out of a change.
import { deviceTopic } from '@selvedge/contract';
import type { BrokerHandlers } from '../../packages/server/src/ports/device-broker.ts';
import { type BrokerHarness, startEmbedded, startMosquitto } from '../../packages/server/src/testing/broker-harness.ts';
import { TestDevice } from '../../packages/server/src/testing/device-client.ts';
import { hasMosquitto } from '../../packages/server/src/testing/mosquitto.ts';

const DEVICES = Number(process.env.BENCH_DEVICES ?? 200);
const TRIPS = Number(process.env.BENCH_TRIPS ?? 500);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);

interface Side {
  readonly harness: BrokerHarness;
  readonly devices: TestDevice[];
  /** Called with each reply. */
  onReply: () => void;
  readonly tripsMs: number[];
  readonly fanOutMs: number[];
}

const at = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

async function open(start: (handlers: BrokerHandlers) => Promise<BrokerHarness>, retainsPresence: boolean): Promise<Side> {
  let onReply: () => void = () => undefined;
  const harness = await start({
    connected: () => undefined,
    disconnected: () => undefined,
    received: async (_, topic) => {
      if (topic === 'replies') onReply();
    },
  });
  const devices: TestDevice[] = [];
  for (let index = 0; index < DEVICES; index += 1) {
    const identity = await harness.makeDevice(`bench-${index}`);
    const device = await TestDevice.connect(harness.port, identity, `instance-${index}`, { retainsPresence });
    device.client.on('message', (topic) => {
      if (topic.endsWith('/commands')) device.client.publish(deviceTopic(device.name, 'replies'), '{"v":1,"id":"x"}', { qos: 1 });
    });
    const presence = JSON.stringify({ v: 1, online: true, instanceId: device.instanceId });
    await device.client.publishAsync(deviceTopic(device.name, 'presence'), presence, { qos: 1, retain: retainsPresence });
    devices.push(device);
  }
  const side: Side = { harness, devices, onReply: () => undefined, tripsMs: [], fanOutMs: [] };
  onReply = () => side.onReply();
  return side;
}

async function measureTrips({ harness, devices, tripsMs }: Side, side: Side): Promise<void> {
  const name = devices[0]?.name ?? '';
  for (let trip = 0; trip < TRIPS / ROUNDS; trip += 1) {
    const began = performance.now();
    const replied = new Promise<void>((resolve) => {
      side.onReply = resolve;
    });
    await harness.broker.publish(name, 'commands', '{"v":1,"id":"x"}', { retain: false });
    await replied;
    tripsMs.push(performance.now() - began);
  }
}

async function measureFanOut({ harness, devices, fanOutMs }: Side, revision: number): Promise<void> {
  const began = performance.now();
  const heard = devices.map(
    (device) =>
      new Promise<void>((resolve) => {
        const listen = (topic: string) => {
          if (!topic.endsWith('/desired')) return;
          device.client.off('message', listen);
          resolve();
        };
        device.client.on('message', listen);
      }),
  );
  const payload = JSON.stringify({ v: 1, revision, workloads: [] });
  for (const { name } of devices) void harness.broker.publish(name, 'desired', payload, { retain: true });
  await Promise.all(heard);
  fanOutMs.push(performance.now() - began);
}

if (!hasMosquitto) throw new Error('Install mosquitto first.');
const sides = { embedded: await open(startEmbedded, false), mosquitto: await open(startMosquitto, true) };
// In turns, so that whatever else the machine does falls on both.
for (let round = 1; round <= ROUNDS; round += 1)
  for (const side of Object.values(sides)) {
    await measureTrips(side, side);
    await measureFanOut(side, round);
  }
const rows = Object.entries(sides).map(([name, { tripsMs, fanOutMs }]) => ({
  broker: name,
  'round trip p50 ms': at(tripsMs, 0.5),
  'round trip p95 ms': at(tripsMs, 0.95),
  [`fan-out to ${DEVICES} ms`]: at(fanOutMs, 0.5),
}));
console.table(
  rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([key, value]) => [key, typeof value === 'number' ? value.toFixed(2) : value])),
  ),
);
const [one, other] = rows;
for (const key of Object.keys(one ?? {}).filter((name) => name !== 'broker'))
  process.stdout.write(`${key}: mosquitto / embedded = ${(Number(other?.[key as never]) / Number(one?.[key as never])).toFixed(2)}\n`);
for (const { harness, devices } of Object.values(sides)) {
  for (const { client } of devices) client.end(true);
  await harness.stop();
}
process.exit();
