import { expectThat } from '@selvedge/runtime/mismatch';
import { type Examination, fieldOf } from '../examination.ts';
import type { Check } from './check.ts';

const UNKNOWN = { type: 'conformance-unknown' };

async function answersUnknown(on: Examination): Promise<void> {
  await on.running();
  const { mark } = on.seen;
  const id = on.command(UNKNOWN);
  const reply = await on.reply(mark, id, 'a command of an unknown type');
  const code = fieldOf(reply, 'outcome', 'error', 'code');
  expectThat(code === 'INPUT_INVALID', 'the error INPUT_INVALID for a command of an unknown type', reply);
}

async function answersOnce(on: Examination): Promise<void> {
  await on.running();
  const { mark } = on.seen;
  const id = on.command(UNKNOWN);
  on.command(UNKNOWN, { id });
  await on.reply(mark, id, 'a command that came twice');
  await afterAnother(on);
  on.command(UNKNOWN, { id });
  await afterAnother(on);
  const count = on.repliesTo(mark, id).length;
  expectThat(count === 1, 'one reply to a command that was delivered three times', `${count} replies`);
}

/** When a later command was answered, and a moment has passed, nothing comes of an earlier one any more. */
async function afterAnother(on: Examination): Promise<void> {
  const { mark } = on.seen;
  await on.reply(mark, on.command(UNKNOWN), 'a later command');
  await on.quiet(500);
}

/** A type that every agent which serves knows; unknown ones may be answered at any time. */
async function dropsExpired(on: Examination): Promise<void> {
  await on.running();
  const { mark } = on.seen;
  const infer = { type: 'infer', workload: 'nothing-of-this-name', contentType: 'image/png', bodyBase64: 'AAAA' };
  const id = on.command(infer, { expiresInMs: -60_000 });
  await afterAnother(on);
  expectThat(on.repliesTo(mark, id).length === 0, 'no reply to a command that has expired a minute ago', on.repliesTo(mark, id)[0]?.text);
}

/** The clocks differ by hours: what counts is the one that the server's answers show. */
async function goesByTheServer(on: Examination, aheadMs: number): Promise<void> {
  const infer = { type: 'infer', workload: 'nothing-of-this-name', contentType: 'image/png', bodyBase64: 'AAAA' };
  try {
    const mark = await on.restart('kill', () => {
      on.server.http.clockAheadMs = aheadMs;
    });
    const what = 'a request over HTTP after the connection, whose answer shows the time of the server';
    await on.waitFor(mark, what, (events) => events.find(({ kind }) => kind === 'http'));
    await on.quiet();
    const expired = on.command(infer, { expiresInMs: -60_000 });
    const valid = on.command(infer, { expiresInMs: 60_000 });
    const hours = `${Math.abs(aheadMs) / 3_600_000} h ${aheadMs > 0 ? 'ahead' : 'behind'}`;
    await on.reply(mark, valid, `a command that has a minute left by the clock of a server that is ${hours}`);
    await on.quiet(500);
    const replies = on.repliesTo(mark, expired);
    expectThat(replies.length === 0, `no reply to a command that has expired by the clock of a server that is ${hours}`, replies[0]?.text);
  } finally {
    on.server.http.clockAheadMs = 0;
  }
}

async function forbids(on: Examination, what: string, command: Record<string, unknown>): Promise<void> {
  await on.running();
  const { mark } = on.seen;
  const reply = await on.reply(mark, on.command(command), what);
  const code = fieldOf(reply, 'outcome', 'error', 'code');
  // An agent may do without a kind of command as a whole.
  expectThat(code === 'FORBIDDEN' || code === 'INPUT_INVALID', `the error FORBIDDEN for ${what}`, reply);
}

const file = { sha256: 'c'.repeat(64), sizeBytes: 3 };

export const COMMAND_CHECKS: readonly Check[] = [
  { rule: 'R25', run: answersUnknown },
  { rule: 'R25', run: answersOnce },
  { rule: 'R25', run: dropsExpired },
  { rule: 'R29', run: (on) => forbids(on, 'exec', { type: 'exec', stream: 'verify-exec', argv: ['/bin/true'], timeoutS: 5 }) },
  {
    rule: 'R29',
    run: (on) => forbids(on, 'shell', { type: 'shell', stream: 'verify-shell', size: { columns: 80, rows: 24 }, term: 'xterm' }),
  },
  { rule: 'R30', run: (on) => forbids(on, 'push to /etc', { type: 'push', operation: 'verify-push', file, path: '/etc/selvedge-verify' }) },
  {
    rule: 'R30',
    run: (on) =>
      forbids(on, 'push of a folder to /etc', { type: 'push-folder', operation: 'verify-folder', file, path: '/etc/selvedge-verify' }),
  },
  { rule: 'R30', run: (on) => forbids(on, 'pull of /etc/hostname', { type: 'pull', operation: 'verify-pull', path: '/etc/hostname' }) },
  { rule: 'R28', run: (on) => goesByTheServer(on, 2 * 3_600_000) },
  { rule: 'R28', run: (on) => goesByTheServer(on, -2 * 3_600_000) },
];
