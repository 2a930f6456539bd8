import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PipelineSpec, pipelineSpecSchema, type Run } from '@selvedge/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeOrchard } from '../../examples/orchard/make-dataset.ts';
import { makeReid } from '../../examples/reid/make-dataset.ts';
import { makePumps } from '../../examples/tabular/make-dataset.ts';
import { Product, ROOT } from './harness/product.ts';

/** The examples as their readers run them, but for the size of the data and the number of epochs. */
describe('an example', () => {
  let product: Product;
  beforeAll(async () => {
    product = await Product.create();
    await product.startServer();
    await product.startAgent('edge-1', { labels: { site: 'demo' } });
  });
  afterAll(() => product.stop());

  /** Applies task, pipeline and deployment of an example, runs it, and waits until the device serves the model. */
  async function runExample(name: string, dataset: string, folder: string, epochs: number): Promise<Run> {
    const document = (file: string) => join(ROOT, 'examples', name, file);
    const spec = pipelineSpecSchema.parse(JSON.parse(await readFile(document('pipeline.json'), 'utf8')));
    const small: PipelineSpec = { ...spec, model: { ...spec.model, hyperparams: { ...spec.model.hyperparams, epochs } } };
    const file = join(product.dir, `${name}.json`);
    await writeFile(file, JSON.stringify(small));
    await product.cliJson(['dataset', 'add', dataset, '--from', folder]);
    await product.cliJson(['apply', '-f', document('task.yaml'), '-f', file, '-f', document('inference-model.yaml')]);
    const started = await product.cliJson<Run>(['pipeline', 'run', name, '--watch']);
    const model = spec.model.name;
    await product.waitForDevice(
      'edge-1',
      ({ status }) => status.workloads.some((workload) => workload.name === model && workload.state === 'serving'),
      `serving ${model}`,
    );
    const api = await product.api();
    const run = await api.getResource({ params: { plural: 'runs', name: started.metadata.name } });
    if (run.kind !== 'Run') throw new Error(`unexpected ${run.kind}`);
    return run;
  }

  it('orchard: finds fruit, and a device says where', async () => {
    const folder = join(product.dir, 'scenes');
    await makeOrchard({ outDir: folder, train: 120, test: 30, seed: 1, side: 128 });
    const run = await runExample('orchard', 'orchard', folder, 6);
    expect(run.status.metrics['test/map50']).toBeGreaterThan(0.5);
    const boxes = await product.cliJson<{ results: unknown[] }>(['infer', 'orchard', join(folder, 'test', '00001.jpg')]);
    expect(JSON.stringify(boxes)).toMatch(/apple|pear|plum/);
  });

  it('reid: finds people again that it has not seen in training', async () => {
    const folder = join(product.dir, 'people');
    await makeReid({ outDir: folder, train: 30, test: 20, pictures: 10, seed: 1 });
    const run = await runExample('reid', 'reid', folder, 8);
    // By chance it would be one in twenty.
    expect(run.status.metrics['test/rank1']).toBeGreaterThan(0.35);
    const compared = await product.cli(['task', 'compare', 'dev.selvedge.examples.reid']);
    expect(compared.stdout).toMatch(/reid\s+1\s+reid-1\s+reid:1\s+0\.\d/);
  });

  it('tabular: says what is wrong with a pump, at the device by the Open Inference Protocol', async () => {
    const folder = join(product.dir, 'pumps');
    await makePumps({ outDir: folder, train: 1000, test: 300, seed: 1 });
    const run = await runExample('tabular', 'pumps', folder, 12);
    expect(run.status.metrics['test/accuracy']).toBeGreaterThan(0.9);
    const { status } = await product.device('edge-1');
    const port = status.workloads.find((workload) => workload.name === 'pumps')?.port;
    const [, row = ''] = (await readFile(join(folder, 'test.csv'), 'utf8')).split('\n');
    const [kind, ...cells] = row.split(',');
    const state = cells.pop() ?? '';
    const data = [Number(kind === 'large'), Number(kind === 'small'), ...cells.map(Number)];
    const body = JSON.stringify({ inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 10], data }] });
    const answer = await fetch(`http://127.0.0.1:${port}/v2/models/pumps/infer`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    const { outputs } = (await answer.json()) as { outputs: { data: number[] }[] };
    const scores = outputs[0]?.data ?? [];
    const labels = ['blocked', 'cavitating', 'ok', 'unbalanced', 'worn bearing'];
    expect(labels[scores.indexOf(Math.max(...scores))]).toBe(state);
  });
});
