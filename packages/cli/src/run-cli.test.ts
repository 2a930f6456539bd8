import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from './program.ts';
import { cliReferenceMarkdown } from './reference.ts';
import { CliBench } from './testing/bench-cli.ts';
import { device } from './testing/sample-resources.ts';

const bench = new CliBench().install();

describe('help', () => {
  test('lists every command', async () => {
    const { code, stdout } = await bench.call(['--help']);
    expect(code).toBe(0);
    for (const { name } of COMMANDS) expect(stdout).toContain(`  ${name} `);
  });

  test('of a command has an example, also by "help"', async () => {
    expect(await bench.call(['run', 'list', '--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('$ selvedge run list') });
    expect(await bench.call(['help', 'apply'])).toMatchObject({ code: 0, stdout: expect.stringContaining('$ selvedge apply -f') });
  });

  test('is what a group without a subcommand prints, as a usage error', async () => {
    expect(await bench.call(['run'])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('logs [options] <name>') });
  });

  test('of every command ends up in the reference, each with an example', () => {
    const sections = cliReferenceMarkdown().split('\n## ').slice(2);
    expect(sections.length).toBeGreaterThan(25);
    for (const section of sections) {
      const [title = ''] = section.split('\n');
      expect(section, title).toContain(`$ ${title}`);
    }
  });
});

describe('a wrong call', () => {
  test.each([
    [['rnu', 'list'], /unknown command 'rnu'/, /Did you mean run\?/],
    [['pipeline', 'run', 'x', '--wtach'], /unknown option '--wtach'/, /Did you mean --watch\?/],
    [['dataset', 'add', 'x'], /required option '--from/, /selvedge dataset add --help/],
    [['device', 'token', '--uses', 'many'], /whole number from 1 to 100000/, /selvedge device token --help/],
    [['run', 'list', '-o', 'xml'], /Allowed choices are table, json, yaml/, /selvedge run list --help/],
    [['get', 'nonsense'], /There is no kind "nonsense"/, /InferenceModel/],
    [['status', '--server', 'localhost:7070'], /--server is not an http\(s\) URL/, /http:\/\/127/],
  ])('%j exits with 2 and says what would be right', async (args, message, hint) => {
    const { code, stdout, stderr } = await bench.call(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(new RegExp(`^error: .*${message.source}`, 'm'));
    expect(stderr).toMatch(new RegExp(`^hint: .*${hint.source}`, 'm'));
  });

  test('is one line of problem JSON with -o json', async () => {
    const { code, stderr } = await bench.call(['run', 'show', '-o', 'json']);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'USAGE', status: 400, exitCode: 2 });
  });
});

describe('the server', () => {
  test('is not there: exit 7 and how to start one', async () => {
    const { code, stderr } = await bench.call(['run', 'list', '--server', 'http://127.0.0.1:9']);
    expect(code).toBe(7);
    expect(stderr).toContain('No answer from http://127.0.0.1:9');
    expect(stderr).toContain('selvedge up');
  });

  test('is found by the data folder, with its token', async () => {
    const server = await bench.serve({ listResources: () => ({ items: [], next: null }) });
    await mkdir(join(bench.cwd, '.selvedge'));
    await writeFile(join(bench.cwd, '.selvedge/server.json'), JSON.stringify({ url: server.url, pid: 1 }));
    await writeFile(join(bench.cwd, '.selvedge/admin-token'), `${server.token}\n`);
    expect(await bench.call(['run', 'list'], { anonymous: true })).toMatchObject({ code: 0, stdout: '' });
    await rename(join(bench.cwd, '.selvedge'), join(bench.cwd, 'elsewhere'));
    expect(await bench.call(['run', 'list', '--data', 'elsewhere'], { anonymous: true })).toMatchObject({ code: 0 });
    expect(await bench.call(['run', 'list'], { anonymous: true, env: { SELVEDGE_DATA: join(bench.cwd, 'elsewhere') } })).toMatchObject({
      code: 0,
    });
  });

  test('refuses the credential: exit 5 and where tokens come from', async () => {
    const server = await bench.serve({});
    const { code, stderr } = await bench.call(['run', 'list', '--server', server.url], { anonymous: true });
    expect(code).toBe(5);
    expect(stderr).toContain('SELVEDGE_TOKEN');
  });

  test.each([
    ['NOT_FOUND', 3],
    ['CONFLICT', 4],
    ['DISK_FULL', 6],
    ['TOOL_UNAVAILABLE', 7],
    ['INTERNAL', 1],
  ] as const)('answers %s: exit %i', async (error, exitCode) => {
    await bench.serve({
      getResource: () => {
        throw new AppError(error, { message: 'It went wrong.', hint: 'Mend it.' });
      },
    });
    const { code, stderr } = await bench.call(['device', 'show', 'edge-1']);
    expect(code).toBe(exitCode);
    expect(stderr).toContain('hint: Mend it.');
  });

  test('answers in a form that is not known: a bug, with a hint at the versions', async () => {
    const server = await bench.serve({
      getResource: ({ response }) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end('{"kind":"Device"}');
      },
    });
    expect(await bench.call(['device', 'show', 'edge-1'])).toMatchObject({ code: 1, stderr: expect.stringContaining('selvedge version') });
    expect(server.calls).toEqual(['getResource']);
  });
});

describe('output', () => {
  test('is a table of plain text, JSON or YAML; hints go to stderr', async () => {
    await bench.serve({ listResources: () => ({ items: [device('edge-1', { site: 'a' })], next: null }) });
    const table = await bench.call(['device', 'list']);
    expect(table.stdout).toMatch(/^DEVICE {3}STATE {4}SERVING/);
    expect(table.stdout).toMatch(/^edge-1 {3}online {3}- .* site=a$/m);
    expect(table.stdout).not.toContain('\u001b');
    expect(JSON.parse((await bench.call(['-o', 'json', 'device', 'list'])).stdout)).toMatchObject({ items: [{ kind: 'Device' }] });
    expect((await bench.call(['device', 'list', '-o', 'yaml'])).stdout).toMatch(/^items:\n {2}- apiVersion: /);
  });

  test('of an empty list says what to do, unless quiet', async () => {
    await bench.serve({ listResources: () => ({ items: [], next: null }) });
    expect(await bench.call(['device', 'list'])).toMatchObject({ stdout: '', stderr: expect.stringContaining('selvedge device token') });
    expect(await bench.call(['device', 'list', '-q'])).toMatchObject({ stdout: '', stderr: '' });
    expect(JSON.parse((await bench.call(['device', 'list', '-o', 'json'])).stdout)).toEqual({ items: [] });
  });

  test('cannot be made to move the cursor by what a device reports', async () => {
    const evil = device('edge-1');
    evil.status.workloads.push({
      name: 'digits',
      model: 'digits',
      desiredVersion: '2',
      servingVersion: null,
      previousVersion: null,
      state: 'failed',
      port: null,
      progress: null,
      error: { code: 'WORKLOAD_FAILED', message: 'bad \u001b[2J\u0007 news', at: '2026-01-02T03:04:05.000Z' },
      restarts: 0,
      servingSince: null,
    });
    await bench.serve({ getResource: () => evil });
    const { stdout } = await bench.call(['device', 'show', 'edge-1']);
    expect(stdout).toContain('WORKLOAD_FAILED: bad  [2J  news');
  });

  test('of all pages of a list is shown', async () => {
    await bench.serve({
      listResources: ({ query }) =>
        query.after === undefined ? { items: [device('a')], next: 'a' } : { items: [device(`after-${query.after}`)], next: null },
    });
    const { stdout } = await bench.call(['get', 'devices', '-o', 'json']);
    expect(JSON.parse(stdout).items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual(['a', 'after-a']);
  });
});

test('without the bundle the program says how to build it', async () => {
  await rename(join(bench.root, 'packages/cli/dist'), join(bench.root, 'packages/cli/dist-away'));
  try {
    expect(await bench.call(['status'])).toMatchObject({ code: 6, stderr: expect.stringContaining('npm run build') });
  } finally {
    await rename(join(bench.root, 'packages/cli/dist-away'), join(bench.root, 'packages/cli/dist'));
  }
});
