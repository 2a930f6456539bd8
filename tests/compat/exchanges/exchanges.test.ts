import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deviceTopic, type JoinResponse } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { agentCommand } from '../../../packages/agent/src/testing/agent-command.ts';
import { AgentUnderTest } from '../../../packages/device-link/src/conformance/agent-under-test.ts';
import { Examination, fieldOf } from '../../../packages/device-link/src/conformance/examination.ts';
import { ScratchServer } from '../../../packages/device-link/src/conformance/scratch-server.ts';
import { PlaneRig } from '../../../packages/server/src/testing/plane-rig.ts';
import { MODEL_BYTES } from './harness/model-bytes.ts';
import { RecordedDevice } from './harness/recorded-device.ts';

type Line = Record<string, unknown>;

const RECORDINGS = fileURLToPath(new URL('recordings', import.meta.url));
const exchanges = readdirSync(RECORDINGS).map((name): [string, Line[]] => {
  const text = readFileSync(join(RECORDINGS, name, 'exchange.jsonl'), 'utf8');
  return [
    name,
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line),
  ];
});
const topicOf = (line: Line) =>
  String(line.topic ?? '')
    .split('/')
    .at(-1);

/** Every field that an old peer has seen is still there, with a value of the same kind. */
function expectShape(now: unknown, then: unknown, where: string): void {
  expect(typeof now, where).toBe(typeof then);
  if (typeof then !== 'object' || then === null || Array.isArray(then)) return;
  for (const [key, value] of Object.entries(then)) expectShape(fieldOf(now, key), value, `${where}.${key}`);
}

describe.each(exchanges)('recorded exchange %s', (_, lines) => {
  it("meets today's server: what the device said then is understood, and answered as then", async () => {
    const rig = await PlaneRig.start();
    const device = new RecordedDevice(rig.port, (await rig.plane.desk.createToken({ labels: {} })).token);
    try {
      for (const [index, line] of lines.entries()) await replayToServer(rig, device, line, lines.slice(index + 1));
      const last = lines.findLast((line) => line.from === 'device' && topicOf(line) === 'reported')?.payload;
      const stored = await rig.untilDevice('recorded', ({ status }) => status.observedRevision === fieldOf(last, 'observedRevision'));
      expect(stored.metadata.labels).toEqual({ site: 'lab' });
      expect(stored.status.info?.hostname).toBe('recorded');
      expect(stored.status.workloads).toMatchObject([{ name: 'reader', state: 'serving', servingVersion: '1' }]);
      expect((await rig.store.readTelemetry('recorded', '2030-01-01T00:00:00.000Z')).length).toBeGreaterThan(0);
    } finally {
      device.end();
      await rig.stop();
    }
  });

  it("meets today's agent: what the server said then is understood, and answered as then", async () => {
    const server = await ScratchServer.start();
    const [program = '', ...base] = agentCommand();
    const agent = new AgentUnderTest(
      {
        join: [program, ...base, 'join', '{server}', '--token', '{token}', '--dir', '{data}', '--name', 'recorded'],
        run: [program, ...base, 'run', '--dir', '{data}', '--telemetry-interval-s', '1', '--telemetry-batch-s', '1'],
      },
      server.url,
    );
    const on = new Examination(server, agent);
    const joined = lines.find((line) => line.from === 'server' && fieldOf(line, 'body', 'certificatePem') !== undefined)
      ?.body as JoinResponse;
    server.http.shapeAnswer = (answer) => filled(joined, answer);
    try {
      await on.running();
      for (const line of lines.filter(({ from, cmd }) => from === 'server' && cmd === 'publish')) await replayToAgent(on, line, lines);
      await on.message(0, 'telemetry', 'telemetry', () => true);
    } finally {
      await agent.end();
      await server.stop();
    }
  });
});

/** The recorded form with today's certificates. */
function filled(then: JoinResponse, now: JoinResponse): unknown {
  return {
    ...then,
    device: now.device,
    certificatePem: now.certificatePem,
    caPem: now.caPem,
    ...(then.trust === undefined ? {} : { trust: now.trust }),
  };
}

async function replayToServer(rig: PlaneRig, device: RecordedDevice, line: Line, after: readonly Line[]): Promise<void> {
  if (line.from === 'server') return replayOccasion(rig, device, line);
  if (line.over === 'http') {
    const answer = await device.request(line);
    const then = after.find(({ from, over }) => from === 'server' && over === 'http');
    expect(answer.status, String(line.path)).toBe(then?.status);
    expectShape(answer.body, then?.body, String(line.path));
    return;
  }
  if (line.cmd === 'connect') return device.connect(line);
  if (line.cmd === 'publish') {
    device.send({ ...line, dup: false, payload: Buffer.from(JSON.stringify(line.payload)) } as never);
    await device.until(`an acknowledgement of ${line.topic}`, ({ cmd, messageId }) => cmd === 'puback' && messageId === line.messageId);
  } else if (line.cmd === 'subscribe') {
    device.send(line as never);
    await device.until('suback', ({ cmd }) => cmd === 'suback');
  }
}

/** Lets today's server come to say what it said then. */
async function replayOccasion(rig: PlaneRig, device: RecordedDevice, { cmd, topic, payload }: Line): Promise<void> {
  if (cmd !== 'publish') return;
  const workloads = fieldOf(payload, 'workloads');
  if (Array.isArray(workloads) && workloads.length > 0) {
    await rig.addVersion('digits', '1', MODEL_BYTES);
    await rig.deploy('reader');
  }
  if (fieldOf(payload, 'type') === 'refresh-identity') await rig.plane.rotateCa({});
  const packet = await device.until(`${topic}`, (candidate) => {
    if (candidate.cmd !== 'publish' || candidate.topic !== topic) return false;
    const said: unknown = JSON.parse(candidate.payload.toString());
    return Array.isArray(workloads)
      ? fieldOf(said, 'revision') === fieldOf(payload, 'revision')
      : fieldOf(said, 'type') === fieldOf(payload, 'type');
  });
  if (packet.cmd !== 'publish') return;
  const said: unknown = JSON.parse(packet.payload.toString());
  expectShape(said, payload, String(topic));
  // Today's server may write a manifest with other bytes.
  const manifest = (desired: unknown) => String(fieldOf(fieldOf(desired, 'workloads', '0'), 'manifest', 'sha256'));
  device.digests.set(manifest(payload), manifest(said));
  device.send({ cmd: 'puback', messageId: packet.messageId ?? 0 });
}

async function replayToAgent(on: Examination, line: Line, lines: readonly Line[]): Promise<void> {
  const { mark } = on.seen;
  const { payload } = line;
  if (topicOf(line) === 'desired') {
    on.server.send('desired', payload);
    const revision = fieldOf(payload, 'revision');
    await on.report(mark, `observedRevision ${revision}`, (report) => report.observedRevision === revision);
    return;
  }
  expect(line.topic).toBe(deviceTopic('recorded', 'commands'));
  on.server.send('commands', payload);
  const id = String(fieldOf(payload, 'id'));
  const reply = await on.reply(mark, id, 'a recorded command');
  const then = lines.find((candidate) => topicOf(candidate) === 'replies' && fieldOf(candidate.payload, 'id') === id);
  expectShape(reply, then?.payload, 'reply');
}
