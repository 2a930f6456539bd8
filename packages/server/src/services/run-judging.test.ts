import { afterEach, describe, expect, it } from 'vitest';
import { SMALL_PIPELINE, TestServer } from '../testing/test-server.ts';

const finished = (phase: string) => ['Succeeded', 'Failed', 'Cancelled'].includes(phase);
const PIPELINE = { ...SMALL_PIPELINE, task: 'org.things' };

// a run with three datasets takes a busy machine a while
describe('a task whose criteria name datasets', { timeout: 120_000 }, () => {
  let server: TestServer;
  afterEach(() => server.stop());

  async function applyTask(...criterias: unknown[]): Promise<void> {
    const text = { description: 'd', output: 'o', constraints: 'none', archives: 'a', cost_function: 'c', evaluation_dataset: 'prose' };
    const spec = { ...text, evaluation_criterias: criterias };
    const documents = [{ apiVersion: 'selvedge.dev/v1alpha1', kind: 'Task', metadata: { name: 'org.things' }, spec }];
    await server.client.apply({ body: { documents: documents as never } });
  }

  const start = () => server.client.startRun({ params: { name: 'pipe' }, body: {} });

  it('has its models measured on them in the run, and the versions are kept in the lineage', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.addDataset('field', 'day');
    await server.addDataset('field', 'night');
    await applyTask(
      'accuracy >= 0.5',
      { metric: 'accuracy', threshold: 0.9, dataset: 'field' },
      { metric: 'f1', threshold: 0.7, dataset: 'field@1' },
    );
    await server.applyPipeline('pipe', PIPELINE);
    const started = await start();
    expect(started.spec.evaluations).toMatchObject([
      { dataset: { name: 'field', version: 2, artifact: 'field.v2' }, path: 'test', labels: ['a', 'b'] },
      { dataset: { name: 'field', version: 1 } },
    ]);
    const run = await server.waitForRun(started.metadata.name, (found) => finished(found.status.phase), 'finished', 90_000);
    expect(run.status.message).toBe('registered thing/1');
    expect(run.status.criteria).toMatchObject([
      { metric: 'accuracy', wanted: 0.5, value: 0.75, passed: true },
      { metric: 'accuracy', dataset: 'field@2', wanted: 0.9, value: 0.75, passed: false },
      { metric: 'f1', dataset: 'field@1', wanted: 0.7, value: 0.7, passed: true },
    ]);
    expect(run.status.criteria?.[0]).not.toHaveProperty('dataset');
    expect(await server.createdBy('import')).toEqual(['things.v1', 'field.v1', 'field.v2']);
    const measured = run.status.steps.filter(({ name }) => name.startsWith('eval-'));
    expect(measured.map(({ state, artifact }) => [state, artifact])).toContainEqual(['completed', 'field.v2']);

    const lineage = await server.client.getModelLineage({ params: { name: 'thing', version: '1' } });
    expect(lineage.origin?.evaluations).toMatchObject([
      { name: 'field', version: 2, samples: 1, metrics: { accuracy: 0.75 } },
      { name: 'field', version: 1 },
    ]);
    const impact = await server.client.getDatasetImpact({ params: { name: 'field' }, query: { version: 1 } });
    expect(impact).toMatchObject({ runs: ['pipe-1'], models: [], evaluated: [{ model: 'thing', version: '1', datasetVersion: 1 }] });
    const comparison = await server.client.compareTask({ params: { name: 'org.things' } });
    expect(comparison.criteria).toEqual(['accuracy >= 0.5', 'accuracy >= 0.9 on field', 'f1 >= 0.7 on field@1']);
    expect(comparison.pipelines[0]?.best).toMatchObject({ passed: false });
    const card = await server.fetch('/api/v1/models/thing/versions/1/card');
    expect(await card.text()).toContain('| accuracy &gt;= 0.9 on field@2 | 0.75 | no |'.replace('&gt;', '\\>'));
    const report = await server.fetch('/api/v1/runs/pipe-1/report?format=json&dataset=field@1');
    expect(await report.json()).toMatchObject({ metrics: { f1: 0.7 } });
    expect((await server.fetch('/api/v1/runs/pipe-1/report?dataset=field@7')).status).toBe(404);
  });

  it('is kept by runs with hyperparameters of their own, which leave the pipeline as it is', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await applyTask('accuracy');
    await server.applyPipeline('pipe', PIPELINE);
    const body = { hyperparams: { lr: 0.5, optimizer: 'adam' as const } };
    const { spec } = await server.client.startRun({ params: { name: 'pipe' }, body });
    expect(spec.pipelineSpec.model.hyperparams).toEqual({ lr: 0.5, batch_size: 1, epochs: 1, optimizer: 'adam' });
    expect(spec.wanted).toEqual([{ metric: 'accuracy', operator: null, wanted: null }]);
    expect((await server.resource('Pipeline', 'pipe')).spec.model.hyperparams.lr).toBe(0.1);
  });

  it('keeps the datasets from being removed while a run or a version was measured on them', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.addDataset('field', 'day');
    await applyTask({ metric: 'accuracy', dataset: 'field' });
    await server.applyPipeline('pipe', PIPELINE);
    const { metadata } = await start();
    await server.waitForRun(metadata.name, (found) => finished(found.status.phase), 'finished', 90_000);
    const remove = server.client.removeDataset({ params: { name: 'field' }, query: { version: 1 } });
    await expect(remove).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('run/pipe-1') });
  });

  it('refuses a run before its first step, with the path of the criterion, where the data is missing or does not fit', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await applyTask('f1', { metric: 'accuracy', dataset: 'field' });
    await server.applyPipeline('pipe', PIPELINE);
    await expect(start()).rejects.toMatchObject({
      code: 'REFERENCE_MISSING',
      message: expect.stringContaining('spec.evaluation_criterias[1].dataset'),
      details: { issues: [{ path: 'spec.evaluation_criterias[1].dataset', message: 'names "field"' }] },
    });
    await server.toolFlag('import', 'foreign', true);
    await server.addDataset('field', 'other classes');
    await expect(start()).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      details: { issues: [{ path: 'spec.evaluation_criterias[1].dataset', message: expect.stringContaining('does not learn: "z"') }] },
    });
    expect(await server.createdBy('process')).toEqual([]);
  });
});
