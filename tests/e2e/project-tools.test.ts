// A tool that another project has, in a pipeline of this one: one line of selvedge.yaml, and the server that runs it.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Module, Run, RunStep } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { Product, ROOT } from './harness/product.ts';
import { SMALL_PIPELINE } from './harness/small-pipeline.ts';

/** Counts the files of a dataset; waits before that until the file of `gate` is there. */
const TOOL = `import { access, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { defineTool, z } from '@selvedge/tools';

export default defineTool({
  name: 'count',
  description: 'Counts files',
  class: 'data',
  makes: 'count',
  parameters: z.strictObject({ gate: z.string() }),
  inputs: { dataset: 'a dataset' },
  async create({ parameters, inputs, dataDir, attempt, signal, log, metric }) {
    log(\`attempt \${attempt} waits\`);
    while (!(await access(parameters.gate).then(() => true, () => false))) await wait(20, undefined, { signal });
    const names = await readdir(inputs.dataset, { recursive: true });
    metric('files', 1, names.length);
    await writeFile(join(dataDir, 'count.json'), JSON.stringify({ files: names.length, attempt }));
  },
});
`;

let folder: string;
let product: Product;
const gate = (name: string) => join(folder, `gate-${name}`);

const pipeline = (name: string) => ({
  apiVersion: 'selvedge.dev/v1alpha1',
  kind: 'Pipeline',
  metadata: { name },
  spec: {
    ...SMALL_PIPELINE,
    model: { ...SMALL_PIPELINE.model, name },
    steps: [{ id: 'count', tool: 'count', inputs: { dataset: 'dataset' }, parameters: { gate: gate(name) } }],
  },
});

/** `selvedge ARGS` in the folder of the project. */
const newcomer = async (...args: string[]) =>
  (
    await promisify(execFile)(process.execPath, [join(ROOT, 'packages/cli/bin/selvedge.mjs'), ...args], {
      cwd: join(folder, 'this-project'),
    })
  ).stdout;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-project-'));
  const component = join(folder, 'another-project/tools/count');
  await mkdir(component, { recursive: true });
  await writeFile(join(component, 'tool.ts'), TOOL);
  await writeFile(join(component, 'package.json'), '{"type":"module"}');
  const project = join(folder, 'this-project/selvedge.yaml');
  await mkdir(dirname(project));
  await writeFile(project, 'tools:\n  - path: ../another-project/tools/count\n');
  await newcomer('tool', 'new', 'words', '--lang', 'ts');
  product = await Product.create({ serverArgs: ['--project', project] });
  await product.startServer();
  await product.cliJson(['dataset', 'add', 'digits', '--from', inject('pictures')]);
});
afterAll(async () => {
  await product?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function moduleOf(tool: string): Promise<Module> {
  const { items } = await (await product.api()).listModules({});
  const found = items.find(({ name }) => name === tool);
  if (found === undefined) throw new Error('the server does not list the tool');
  return found;
}

async function startRun(name: string): Promise<string> {
  const file = join(folder, `${name}.json`);
  await writeFile(file, JSON.stringify(pipeline(name)));
  await product.cliJson(['apply', '-f', file]);
  return (await product.cliJson<Run>(['pipeline', 'run', name])).metadata.name;
}

async function getRun(name: string): Promise<Run> {
  const run = await (await product.api()).getResource({ params: { plural: 'runs', name } });
  if (run.kind !== 'Run') throw new Error(`unexpected ${run.kind}`);
  return run;
}

const stepOf = (run: Run): RunStep | undefined => run.status.steps.find((step) => step.name === 'count');

async function waitFor(name: string, test: (run: Run) => boolean, what: string): Promise<Run> {
  const check = async () => {
    const run = await getRun(name);
    return test(run) ? run : undefined;
  };
  return waitUntil(check, { timeoutMs: 120_000, intervalMs: 100, what: `${name} to be ${what}` });
}

it('keeps the tool API behind the gateway', async () => {
  const isUp = async () => (await moduleOf('count')).state === 'healthy';
  await waitUntil(isUp, { timeoutMs: 60_000, intervalMs: 200, what: 'the tool' });
  const example = { parameters: { gate: folder }, inputs: { dataset: { file: 'a.txt', text: 'a' } } };
  await writeFile(join(folder, 'example.json'), JSON.stringify(example));
  const args = ['tool', 'verify', `${product.url}/containers/count`, '--example', join(folder, 'example.json')];
  const { code, stdout } = await product.cli(args);
  expect(stdout).toMatch(/count: \d+ ok, 0 failed/);
  expect(code).toBe(0);
});

it('is new in TypeScript: it passes its test and keeps the tool API, alone and behind the gateway', async () => {
  expect(await newcomer('tool', 'test', 'tools/words')).toMatch(/words: \d+ ok, 0 failed, 0 skipped\. Own tests: passed\./);
  const isUp = async () => (await moduleOf('words')).state === 'healthy';
  await waitUntil(isUp, { timeoutMs: 60_000, intervalMs: 200, what: 'the tool' });
  const { code, stdout } = await product.cli(['tool', 'verify', `${product.url}/containers/words`]);
  expect(stdout).toMatch(/words: \d+ ok, 0 failed/);
  expect(code).toBe(0);
});

it('is killed in the middle of its step: it is started again, and the run goes on', async () => {
  const name = await startRun('killed');
  await waitFor(name, (run) => stepOf(run)?.state === 'running', 'at the step');
  const before = await moduleOf('count');
  process.kill(before.pid ?? 0, 'SIGKILL');
  const isRestarted = async () => {
    const { restarts, state } = await moduleOf('count');
    return restarts > before.restarts && state === 'healthy';
  };
  await waitUntil(isRestarted, { timeoutMs: 60_000, intervalMs: 100, what: 'the restart' });
  expect((await moduleOf('count')).lastExit).toMatchObject({ signal: 'SIGKILL' });
  await writeFile(gate('killed'), '');
  const run = await waitFor(name, ({ status }) => ['Succeeded', 'Failed'].includes(status.phase), 'finished');
  expect(run.status).toMatchObject({ phase: 'Succeeded' });
  expect(stepOf(run)).toMatchObject({ state: 'completed', attempt: 2 });
  const log = await product.cli(['run', 'logs', name]);
  expect(log.stdout).toContain('attempt 2 waits');
});
