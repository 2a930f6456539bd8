import {
  DEVICE_PUBLISHES,
  DEVICE_TOPIC_ROOT,
  deviceTopic,
  MAX_DEVICE_MESSAGE_BYTES,
  parseDeviceTopic,
  presenceSchema,
  replySchema,
  reportedStateSchema,
  telemetryBatchSchema,
} from '@selvedge/contract';
import { expectThat, Mismatch } from '@selvedge/runtime/mismatch';
import type { IConnectPacket, Packet } from 'mqtt-packet';
import type * as z from 'zod';
import { type Examination, fieldOf } from '../examination.ts';
import { NotObservable } from '../not-observable.ts';
import { messageOf, type Seen, type SeenMessage } from '../seen.ts';
import type { Check } from './check.ts';

// What must hold for everything that the device has sent in the whole examination; these run last.

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  presence: presenceSchema,
  reported: reportedStateSchema,
  telemetry: telemetryBatchSchema,
  replies: replySchema,
};
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const TIME_FIELDS = new Set(['at', 'servingSince', 'until', 'startedAt']);

interface Connection {
  readonly connect: IConnectPacket;
  readonly events: readonly Seen[];
}

/** The MQTT connections, each with what was seen on it. */
function connections(on: Examination): Connection[] {
  const { events } = on.seen;
  return events.flatMap((event) => {
    if (event.kind !== 'mqtt' || event.packet.cmd !== 'connect') return [];
    return [{ connect: event.packet, events: events.filter(({ connection }) => connection === event.connection) }];
  });
}

/** Lets the device say something of every kind, once, so that there is enough to look at whatever was examined before. */
async function everything(on: Examination): Promise<SeenMessage[]> {
  await on.exercised(async () => {
    await on.running();
    await on.desireObserved([]);
    const { mark } = on.seen;
    await on.reply(mark, on.command({ type: 'conformance-unknown' }), 'a command');
    await on.message(mark, 'telemetry', 'telemetry', () => true, 5000).catch(ignoreMismatch);
    on.server.cut();
    await on.message(on.seen.mark, 'reported', 'a report after a lost connection', () => true);
    await on.desireObserved([]);
  });
  const messages = on.seen.messagesAfter(0);
  if (messages.length === 0) throw new NotObservable('the device has sent nothing');
  return messages;
}

function ignoreMismatch(error: unknown): void {
  if (!(error instanceof Mismatch)) throw error;
}

async function onePort(on: Examination): Promise<void> {
  await on.running();
  const tls = on.seen.events.flatMap((event) => (event.kind === 'tls' ? [event.protocol] : []));
  const old = tls.find((protocol) => !['TLSv1.2', 'TLSv1.3'].includes(protocol));
  expectThat(old === undefined, 'TLS 1.2 or later', old);
  const connect = connections(on)[0]?.connect;
  expectThat(connect?.protocolVersion === 4 && connect.protocolId === 'MQTT', 'MQTT 3.1.1', connect?.protocolVersion);
}

async function messagesAreSound(on: Examination): Promise<void> {
  for (const message of await everything(on)) {
    const topic = parseDeviceTopic(message.topic)?.topic ?? '';
    const schema = SCHEMAS[topic];
    if (schema === undefined) continue;
    expectThat(message.value !== undefined, `JSON on ${topic}`, message.text.slice(0, 200));
    expectThat(fieldOf(message.value, 'v') === 1, `v: 1 in each message on ${topic}`, message.text.slice(0, 200));
    const parsed = schema.safeParse(message.value);
    const issue = parsed.error?.issues[0];
    expectThat(
      parsed.success,
      `a message of the documented form on ${topic}`,
      `${issue?.path.join('.')}: ${issue?.message} in ${message.text.slice(0, 200)}`,
    );
  }
}

function timesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(timesIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (TIME_FIELDS.has(key) && typeof inner === 'string' ? [inner] : timesIn(inner)));
}

async function timesAndSizes(on: Examination): Promise<void> {
  for (const { value, text, topic } of await everything(on)) {
    const odd = timesIn(value).find((time) => !TIMESTAMP.test(time));
    expectThat(odd === undefined, `times like 2031-01-02T03:04:05.678Z on ${topic}`, odd);
    expectThat(
      Buffer.byteLength(text) <= MAX_DEVICE_MESSAGE_BYTES,
      `at most ${MAX_DEVICE_MESSAGE_BYTES} bytes`,
      `${text.length} on ${topic}`,
    );
  }
}

async function connectsRight(on: Examination): Promise<void> {
  await on.running();
  const { device } = on.server;
  for (const { connect } of connections(on)) {
    const { clientId, clean, username = '', password, will, keepalive } = connect;
    expectThat(clientId === device, `client id "${device}"`, clientId);
    expectThat(clean === true, 'a clean session', 'one that is kept');
    expectThat(username.length >= 1 && username.length <= 64, 'a user name of 1 to 64 characters', username);
    expectThat(password === undefined || password === null, 'no password', 'one');
    expectThat(will?.topic === deviceTopic(device, 'presence'), 'a last will on presence', will?.topic);
    expectThat(
      will.qos === 1 && will.retain !== true,
      'a last will with QoS 1 that is not retained',
      `QoS ${will.qos}, retain ${will.retain}`,
    );
    const said = presenceSchema.safeParse(JSON.parse(will.payload.toString()));
    expectThat(said.success && !said.data.online, 'a last will that says online: false', will.payload.toString());
    expectThat(said.data.instanceId === username, 'the instance id of the session in the last will', said.data.instanceId);
    expectThat((keepalive ?? 0) > 0, 'a keep-alive time', String(keepalive));
  }
}

/** A restart makes another process, and another process another instance. */
async function instancesDiffer(on: Examination): Promise<void> {
  await on.running();
  const before = connections(on).at(-1)?.connect.username;
  await on.restart('stop');
  const after = connections(on).at(-1)?.connect.username;
  expectThat(before !== after, 'another user name after a restart', `"${after}" again`);
}

async function beginsInOrder(on: Examination): Promise<void> {
  await on.running();
  const { device } = on.server;
  const wanted = [deviceTopic(device, 'desired'), deviceTopic(device, 'commands')];
  for (const { events } of connections(on)) {
    const packets: Packet[] = events.flatMap((event) => (event.kind === 'mqtt' ? [event.packet] : []));
    const first = packets.findIndex(({ cmd }) => cmd === 'publish');
    const subscribed = packets
      .slice(0, first < 0 ? undefined : first)
      .flatMap((packet) => (packet.cmd === 'subscribe' ? packet.subscriptions : []));
    if (first < 0 && subscribed.length === 0) continue; // refused or cut before it could
    for (const topic of wanted)
      expectThat(
        subscribed.some((one) => one.topic === topic && one.qos === 1),
        `a subscription to ${topic} with QoS 1 before anything is published`,
        subscribed.map(({ topic: name, qos }) => `${name} (QoS ${qos})`).join(', ') || 'none',
      );
    const messages = events.flatMap((event) => messageOf(event) ?? []);
    if (messages.length < 2) continue; // cut before it could
    const [presence, ...rest] = messages.filter(({ topic }) => /\/(presence|reported)$/.test(topic));
    const isOnline = presence?.topic.endsWith('/presence') === true && fieldOf(presence.value, 'online') === true;
    expectThat(isOnline, 'presence online: true before the first report', presence?.text.slice(0, 200));
    if (events.length > 20)
      expectThat(
        rest.some(({ topic }) => topic.endsWith('/reported')),
        'a report on each connection',
        'none',
      );
  }
}

async function allAtLeastOnce(on: Examination): Promise<void> {
  for (const { topic, qos, retain } of await everything(on)) {
    expectThat(qos === 1, `QoS 1 on ${topic}`, `QoS ${qos}`);
    expectThat(!retain, `no retain flag on ${topic}`, 'one');
  }
}

async function ownTopics(on: Examination): Promise<void> {
  const { device } = on.server;
  for (const { topic } of await everything(on)) {
    const target = parseDeviceTopic(topic);
    const isGood = target?.device === device && DEVICE_PUBLISHES.includes(target.topic);
    expectThat(isGood, `topics below ${DEVICE_TOPIC_ROOT}/${device} that a device may publish on`, topic);
  }
}

async function sequencesGrow(on: Examination): Promise<void> {
  await everything(on);
  const last = new Map<string, { sequence: number; text: string }>();
  const users = new Map(connections(on).map(({ connect, events }) => [events[0]?.connection, connect.username]));
  for (const { connection, report } of on.reportsAfter(0)) {
    const { instanceId, sequence } = report;
    const user = users.get(connection);
    expectThat(instanceId === user, 'the user name of the session as instanceId of its reports', `${instanceId} in a session of ${user}`);
    const before = last.get(instanceId);
    const text = JSON.stringify(report);
    if (text === before?.text) continue; // sent again, because it was not acknowledged
    const isNext = before === undefined || sequence === before.sequence + 1;
    expectThat(isNext, `sequence ${(before?.sequence ?? 0) + 1} after ${before?.sequence}`, sequence);
    last.set(instanceId, { sequence, text });
  }
}

export const AUDITS: readonly Check[] = [
  { rule: 'R1', run: onePort },
  { rule: 'R3', run: messagesAreSound },
  { rule: 'R4', run: timesAndSizes },
  { rule: 'R10', run: connectsRight },
  { rule: 'R10', run: instancesDiffer },
  { rule: 'R11', run: beginsInOrder },
  { rule: 'R12', run: allAtLeastOnce },
  { rule: 'R14', run: ownTopics },
  { rule: 'R22', run: sequencesGrow },
];
