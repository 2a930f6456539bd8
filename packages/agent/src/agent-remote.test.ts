import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command, LogLine, OutputPage, Reply } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentRig, exited } from './testing/agent-rig.ts';

const DEVICE = 'device-1';
let rig: AgentRig;
let asked = 0;

beforeEach(async () => {
  rig = await AgentRig.start();
  expect((await rig.join()).code).toBe(0);
});
afterEach(({ task }) => rig.stop(task.result?.state === 'fail'));

type Body<C> = C extends Command ? Omit<C, 'v' | 'id' | 'expiresAt'> : never;
async function ask(body: Body<Command>): Promise<Reply['outcome']> {
  asked += 1;
  const expiresAt = new Date(Date.now() + 60_000).toISOString();
  return (await rig.server.command(DEVICE, { id: `q${asked}`, expiresAt, ...body })).outcome;
}
async function read(stream: string, after = 0): Promise<OutputPage> {
  const outcome = await ask({ type: 'read-output', stream, after, waitMs: 5000 });
  if (!outcome.ok || !('output' in outcome)) throw new Error(JSON.stringify(outcome));
  return outcome.output;
}
/** All that a program writes, and how it ends. */
async function readAll(stream: string) {
  const text = { stdout: '', stderr: '', pty: '' };
  for (let after = 0; ; ) {
    const page = await read(stream, after);
    for (const { sequence, source, dataBase64 } of page.chunks) {
      expect(sequence).toBe(after + 1);
      text[source] += Buffer.from(dataBase64, 'base64').toString('latin1');
      after = sequence;
    }
    if (page.end !== null) return { ...text, end: page.end };
  }
}
async function lines(after: number | undefined, waitMs = 0): Promise<{ lines: LogLine[]; next: number }> {
  const outcome = await ask({ type: 'logs', waitMs, ...(after === undefined ? {} : { after }) });
  if (!outcome.ok || !('logs' in outcome)) throw new Error(JSON.stringify(outcome));
  return outcome.logs;
}

async function start(settings: object) {
  await writeFile(join(rig.dir, 'agent.json'), JSON.stringify(settings));
  const before = rig.server.reports.length;
  const child = rig.run();
  await waitUntil(() => rig.server.reports.length > before || undefined, { timeoutMs: 20_000, what: 'the first report' });
  return child;
}

const SH = { allow: [{ argv: ['sh', '-c', '*'] }] };
const exec = (stream: string, script: string, timeoutS = 30) => ask({ type: 'exec', stream, argv: ['sh', '-c', script], timeoutS });

describe('programs that the server runs', () => {
  it('are refused while their journal is damaged, so that none runs twice, and run when it was removed', async () => {
    const journal = join(rig.dir, 'programs.json');
    await writeFile(journal, '{');
    await start({ commands: SH });
    expect(await exec('a', 'echo x')).toMatchObject({
      ok: false,
      error: { code: 'INPUT_INVALID', message: expect.stringContaining('programs.json is not valid JSON') },
    });
    await rm(journal);
    expect(await exec('a', 'echo x')).toEqual({ ok: true, done: true });
    expect((await readAll('a')).stdout).toBe('x\n');
  });

  it('run in a clean environment, write on two streams and have an exit code', async () => {
    await start({ commands: SH });
    expect(await exec('a', 'env | cut -d= -f1 | sort | tr "\\n" " "; echo oops >&2; exit 3')).toEqual({ ok: true, done: true });
    const { stdout, stderr, end } = await readAll('a');
    expect(stdout.split(' ').filter((name) => !['_', 'PWD', 'SHLVL', 'OLDPWD', ''].includes(name))).toEqual(['HOME', 'LANG', 'PATH']);
    expect(stderr).toBe('oops\n');
    expect(end).toEqual({ exitCode: 3, signal: null, error: null });
  });

  it('are refused with the name of the file that forbids them, and a change of it holds at once', async () => {
    await start({});
    const refused = await ask({ type: 'exec', stream: 'a', argv: ['uptime'], timeoutS: 5 });
    expect(refused).toMatchObject({
      ok: false,
      error: { code: 'FORBIDDEN', message: expect.stringContaining(join(rig.dir, 'agent.json')) },
    });
    expect(await ask({ type: 'shell', stream: 's', size: { columns: 80, rows: 24 }, term: 'xterm' })).toMatchObject({
      ok: false,
      error: { code: 'FORBIDDEN' },
    });
    expect(await ask({ type: 'reboot', stream: 'r', delayS: 0 })).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } });
    await writeFile(join(rig.dir, 'agent.json'), JSON.stringify({ commands: { allow: [{ argv: ['echo', '*'] }] } }));
    await ask({ type: 'exec', stream: 'b', argv: ['echo', '$HOME;id'], timeoutS: 5 });
    expect(await readAll('b')).toMatchObject({ stdout: '$HOME;id\n' });
  });

  it('are held back while nobody reads, and give all of it then', async () => {
    await start({ commands: SH });
    await exec('a', 'head -c 5000000 /dev/zero | tr "\\0" x; echo; echo done');
    const { stdout, end } = await readAll('a');
    expect(stdout.length).toBe(5_000_000 + 6);
    expect(end.exitCode).toBe(0);
  });

  it('end with all that they started when their time is over, when they are cancelled, and when they write too much', async () => {
    await start({ commands: { ...SH, maxOutputMiB: 1 } });
    const marker = `7${process.pid}`;
    await exec('slow', `sleep ${marker}1 & sleep ${marker}2; echo never`, 1);
    expect((await readAll('slow')).end).toMatchObject({ exitCode: null, error: { code: 'TIMEOUT' } });
    await exec('long', `sleep ${marker}3 & echo up; wait`);
    expect((await read('long')).chunks).toHaveLength(1);
    await ask({ type: 'end-program', stream: 'long' });
    expect((await readAll('long')).end.error?.code).toBe('CANCELLED');
    await exec('loud', 'yes');
    let after = 0;
    for (let page = await read('loud'); page.end === null; page = await read('loud', after)) after = page.chunks.at(-1)?.sequence ?? after;
    expect((await read('loud', after)).end?.error?.code).toBe('PAYLOAD_TOO_LARGE');
    await exec('look', `grep -al "^sleep.${marker}" /proc/[0-9]*/cmdline 2>/dev/null | wc -l`);
    expect((await readAll('look')).stdout.trim()).toBe('0');
  });

  it('are not run twice, whatever happens to the agent', async () => {
    const child = await start({ commands: SH });
    const file = join(rig.dir, 'ran');
    await exec('a', `echo x >> ${file}; exec sleep 300`);
    await waitUntil(() => readFile(file, 'utf8').catch(() => undefined), { timeoutMs: 30_000, what: 'the program' });
    await exec('a', `echo x >> ${file}`);
    child.kill('SIGKILL');
    await exited(child);
    await start({ commands: SH });
    expect(await exec('a', `echo x >> ${file}`)).toEqual({ ok: true, done: true });
    expect((await readAll('a')).end).toMatchObject({
      exitCode: null,
      error: { code: 'INTERRUPTED', message: expect.stringContaining('agent stopped') },
    });
    expect(await readFile(file, 'utf8')).toBe('x\n');
    expect(await ask({ type: 'read-output', stream: 'other', after: 0, waitMs: 0 })).toMatchObject({
      ok: false,
      error: { code: 'NOT_FOUND' },
    });
  });
});

describe('a shell', () => {
  it('has a terminal of the asked size, takes Ctrl-C and a new size, and gives its exit code', async () => {
    await start({ shell: { enabled: true } });
    expect(await ask({ type: 'shell', stream: 's', size: { columns: 91, rows: 33 }, term: 'xterm' })).toEqual({ ok: true, done: true });
    let text = '';
    let after = 0;
    let sequence = 0;
    const type = (data: string, size?: { columns: number; rows: number }) => {
      sequence += 1;
      const input = { type: 'write-input' as const, stream: 's', sequence, dataBase64: Buffer.from(data).toString('base64') };
      return ask(size === undefined ? input : { ...input, size });
    };
    const until = async (pattern: RegExp) => {
      while (!pattern.test(text)) {
        const page = await read('s', after);
        for (const chunk of page.chunks) text += Buffer.from(chunk.dataBase64, 'base64').toString();
        after = page.chunks.at(-1)?.sequence ?? after;
        if (page.end !== null) break;
      }
      expect(text).toMatch(pattern);
      text = '';
    };
    await type('tty; stty size\n');
    await until(/\/dev\/pts\/\d+\r\n33 91\r\n/);
    await type('trap "stty size" WINCH; sleep 1000\n');
    await until(/sleep 1000/);
    await type('\x03');
    await until(/\^C/);
    await type('', { columns: 100, rows: 20 });
    await type('until stty size | grep "20 100"; do sleep 0.1; done; exit 3\n');
    expect((await readAllFrom('s', after)).exitCode).toBe(3);
  });

  async function readAllFrom(stream: string, from: number) {
    for (let after = from; ; ) {
      const page = await read(stream, after);
      after = page.chunks.at(-1)?.sequence ?? after;
      if (page.end !== null) return page.end;
    }
  }

  it('ends when nothing is typed for too long', async () => {
    await start({ shell: { enabled: true, idleTimeoutS: 1 } });
    await ask({ type: 'shell', stream: 's', size: { columns: 80, rows: 24 }, term: 'xterm' });
    expect((await readAll('s')).end).toMatchObject({ error: { code: 'TIMEOUT' } });
  });
});

describe('the log of an agent', () => {
  it('is read on where one was after the agent was started anew', async () => {
    const child = await start({});
    const first = await lines(undefined);
    expect(first.lines.map(({ text }) => text).join('\n')).toContain('"started"');
    child.kill('SIGTERM');
    await exited(child);
    await start({});
    const second = await lines(first.next);
    const numbers = [...first.lines, ...second.lines].map(({ sequence }) => sequence);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(second.lines.map(({ text }) => text).join('\n')).toMatch(/"stopping"[\s\S]*"started"/);
  });
});

describe('a reboot', () => {
  it('is done once for one request', async () => {
    const file = join(rig.dir, 'rebooted');
    await start({ reboot: true, rebootCommand: ['sh', '-c', `echo x >> ${file}`] });
    for (const _ of [1, 2]) expect(await ask({ type: 'reboot', stream: 'r', delayS: 0 })).toEqual({ ok: true, done: true });
    await waitUntil(() => readFile(file, 'utf8').catch(() => undefined), { timeoutMs: 30_000, what: 'the reboot' });
    expect(await readFile(file, 'utf8')).toBe('x\n');
  });
});

describe('agent policy', () => {
  it('prints what is allowed and checks a command', async () => {
    await writeFile(join(rig.dir, 'agent.json'), JSON.stringify({ commands: { allow: [{ argv: ['systemctl', 'status', '*'] }] } }));
    const shown = await rig.command('policy', '--dir', rig.dir);
    expect(shown.text).toContain('systemctl status *');
    expect(shown.text).toContain('shell     not allowed');
    expect((await rig.command('policy', '--dir', rig.dir, '--check', '--', 'systemctl', 'status', 'ssh')).code).toBe(0);
    expect((await rig.command('policy', '--dir', rig.dir, '--check', '--', 'systemctl', 'stop', 'ssh')).code).toBe(5);
  });
});
