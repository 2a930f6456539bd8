import { deviceTopic, telemetryBatchSchema } from '@selvedge/contract';
import { expectThat } from '@selvedge/runtime/mismatch';
import { connectIn, type Examination, fieldOf } from '../examination.ts';
import type { Check } from './check.ts';

/** Long enough for some attempts of a back-off that begins with 0.5 s. */
const OUTAGE_MS = 9000;

/** A reply that was cut off before its PUBACK comes again, on the next connection. */
async function sendsAgain(on: Examination): Promise<void> {
  await on.restart('kill');
  const { mark } = on.seen;
  let cuts = 0;
  on.server.verdict = ({ topic }) => {
    if (cuts > 0 || !topic.endsWith('/replies')) return 'acknowledge';
    cuts += 1;
    return 'cut';
  };
  try {
    const id = on.command({ type: 'conformance-unknown' });
    await on.message(mark, 'replies', 'a reply to a command', ({ value }) => fieldOf(value, 'id') === id);
    const first = on.repliesTo(mark, id)[0];
    await on.waitFor(mark, 'the reply that was not acknowledged again on the next connection', () =>
      on.repliesTo(mark, id).find(({ connection }) => connection !== first?.connection),
    );
  } finally {
    on.server.verdict = () => 'acknowledge';
  }
}

/** The power goes with the acknowledgement: the order must be there afterwards. */
async function keepsBeforeItAcknowledges(on: Examination): Promise<void> {
  await on.restart('kill');
  const mark = on.desire([]);
  const { revision } = on;
  await acknowledged(on, mark);
  const after = await on.restart('kill', () => {
    on.server.retainedDesired = undefined;
  });
  const first = on.reportsAfter(after)[0]?.report;
  on.desire([]);
  expectThat(
    first?.observedRevision === revision,
    `observedRevision ${revision} after a kill that followed the acknowledgement, with nothing sent since`,
    `observedRevision ${first?.observedRevision}`,
  );
}

/** PUBACK of the order that was sent last. */
async function acknowledged(on: Examination, mark: number): Promise<void> {
  const topic = deviceTopic(on.server.device, 'desired');
  await on.waitFor(mark, 'PUBACK of desired', (events) => {
    const sent = events.find((event) => event.kind === 'sent' && event.topic === topic);
    if (sent?.kind !== 'sent') return undefined;
    return events.find(
      ({ kind, connection, ...event }) =>
        kind === 'mqtt' &&
        connection === sent.connection &&
        'packet' in event &&
        event.packet.cmd === 'puback' &&
        event.packet.messageId === sent.messageId,
    );
  });
}

async function backsOff(on: Examination): Promise<void> {
  await on.restart('kill');
  await on.quiet(); // until it has asked for the time and whatever else a start needs
  const { mark } = on.seen;
  on.server.isOpen = false;
  on.server.cut();
  await on.quiet(OUTAGE_MS);
  on.server.isOpen = true;
  const times = on.seen.after(mark).flatMap(({ kind, atMs }) => (kind === 'tcp' ? [atMs] : []));
  const cutAt = on.seen.after(mark)[0]?.atMs ?? 0;
  const gaps = times.map((atMs, index) => atMs - (times[index - 1] ?? cutAt));
  const shown = `attempts after ${gaps.map((gap) => `${(gap / 1000).toFixed(1)} s`).join(', ') || 'never'}`;
  expectThat(times.length >= 2, `some attempts within ${OUTAGE_MS / 1000} s`, shown);
  expectThat(times.length <= 10, `not more than ten attempts within ${OUTAGE_MS / 1000} s`, shown);
  expectThat((gaps[0] ?? 0) > 150, 'half of 0.5 s before the first attempt', shown);
  expectThat(Math.max(...gaps) > 900, 'growing delays', shown);
  await on.waitFor(mark, 'a connection when the server is back', connectIn, 40_000);
  await on.message(mark, 'reported', 'a report when the server is back', () => true);
}

/** Samples of a time without a connection. */
async function keepsSamples(on: Examination): Promise<void> {
  await on.running();
  await on.needTelemetry();
  await on.restart('kill');
  const { mark } = on.seen;
  on.server.isOpen = false;
  on.server.cut();
  const from = Date.now() + 500;
  await on.quiet(4000);
  const to = Date.now() - 500;
  on.server.isOpen = true;
  const inOutage = ({ value }: { value: unknown }) => {
    const batch = telemetryBatchSchema.safeParse(value);
    return batch.success && batch.data.samples.some(({ at }) => Date.parse(at) > from && Date.parse(at) < to);
  };
  await on.message(
    mark,
    'telemetry',
    'a sample that was taken in the seconds without a connection, by an agent that samples every second or so',
    inOutage,
    30_000,
  );
}

/** Refused with return code 5, and DEVICE_REVOKED to whoever asks. */
async function leavesAlone(on: Examination): Promise<void> {
  const { server } = on;
  const watchedMs = 10_000;
  try {
    const mark = await on.start('kill', () => {
      server.returnCode = 5;
      server.http.revoked = true;
    });
    await on.waitFor(mark, 'a connection', connectIn);
    await on.quiet(watchedMs);
    const attempts = on.seen.after(mark).filter((event) => event.kind === 'mqtt' && event.packet.cmd === 'connect').length;
    expectThat(on.process?.isRunning === true, 'an agent that goes on, to serve what it has', `its end: ${on.agent.lastWords}`);
    expectThat(attempts <= 3, `at most three attempts within ${watchedMs / 1000} s of a device that was removed`, `${attempts} attempts`);
  } finally {
    server.returnCode = 0;
    server.http.revoked = false;
  }
  await on.restart('kill');
}

async function reportsEachTime(on: Examination): Promise<void> {
  await on.restart('kill');
  const { mark } = on.seen;
  on.server.cut();
  await on.message(mark, 'reported', 'a report after a lost connection, although nothing changed', () => true);
}

export const SESSION_CHECKS: readonly Check[] = [
  { rule: 'R11', run: reportsEachTime },
  { rule: 'R12', run: sendsAgain },
  { rule: 'R12', run: keepsBeforeItAcknowledges },
  { rule: 'R13', run: backsOff },
  { rule: 'R24', run: keepsSamples },
  { rule: 'R9', run: leavesAlone },
];
