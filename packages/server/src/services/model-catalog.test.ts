import type { Run } from '@selvedge/contract';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SMALL_PIPELINE, TestServer } from '../testing/test-server.ts';

const isFinished = ({ status }: Run) => ['Succeeded', 'Failed', 'Cancelled'].includes(status.phase);
const TASK = {
  description: 'Tell things apart.',
  output: 'A thing.',
  constraints: 'none',
  archives: ['none'],
  evaluation_criterias: ['accuracy >= 0.1'],
  cost_function: 'none',
  evaluation_dataset: 'things',
};

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
  await server.addDataset('things');
  const task = { apiVersion: 'selvedge.dev/v1alpha1', kind: 'Task', metadata: { name: 'dev.example.things' }, spec: TASK };
  const applied = await server.fetch('/api/v1/apply', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ documents: [task] }),
  });
  expect(applied.status, await applied.clone().text()).toBe(200);
  await server.applyPipeline('pipe', { ...SMALL_PIPELINE, task: 'dev.example.things' });
  for (const run of ['pipe-1', 'pipe-2']) {
    await server.client.startRun({ params: { name: 'pipe' }, body: { cache: false } });
    expect((await server.waitForRun(run, isFinished, 'finished')).status.phase).toBe('Succeeded');
  }
}, 60_000);
afterAll(() => server.stop());

const params = { name: 'thing', version: '1' };

it('lets an alias name a version, and takes it wherever a version is named', async () => {
  const alias = { name: 'thing', alias: 'champion' };
  const { status } = await server.client.setModelAlias({ params: alias, body: { version: '1' } });
  expect(status.aliases).toEqual({ latest: '2', champion: '1' });
  const lineage = await server.client.getModelLineage({ params: { name: 'thing', version: 'champion' } });
  expect(lineage).toMatchObject({ version: '1', aliases: ['champion'] });
  await expect(server.client.setModelAlias({ params: alias, body: { version: '9' } })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect((await server.client.deleteModelAlias({ params: alias })).status.aliases).toEqual({ latest: '2' });
  await expect(server.client.deleteModelAlias({ params: alias })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('knows what a version was made from, and what a dataset has become', async () => {
  const { origin } = await server.client.getModelLineage({ params });
  expect(origin).toMatchObject({
    run: 'pipe-1',
    pipeline: 'pipe',
    task: 'dev.example.things',
    dataset: { name: 'things', version: 1, removed: false },
  });
  const impact = await server.client.getDatasetImpact({ params: { name: 'things' }, query: { version: 1 } });
  expect(impact.runs.toSorted()).toEqual(['pipe-1', 'pipe-2']);
  expect(impact.models.map(({ version }) => version).toSorted()).toEqual(['1', '2']);
  expect(impact.devices).toEqual([]);
});

it('keeps a note, and writes it on the card', async () => {
  await server.client.setModelNote({ params, body: { text: 'the one of the trade fair' } });
  expect((await server.client.getModelLineage({ params })).note).toBe('the one of the trade fair');
  const card = await (await server.fetch('/api/v1/models/thing/versions/1/card')).text();
  expect(card).toContain('the one of the trade fair');
  expect(card).toContain('Tell things apart.');
  expect(card).toContain('pipe-1');
  await server.client.setModelNote({ params, body: { text: '' } });
  expect((await server.client.getModelLineage({ params })).note).toBeNull();
});

it('puts the pipelines of a task side by side', async () => {
  const { pipelines, criteria } = await server.client.compareTask({ params: { name: 'dev.example.things' } });
  expect(criteria).toHaveLength(1);
  expect(pipelines).toMatchObject([{ pipeline: 'pipe', runs: 2, best: { criteria: [{ metric: 'accuracy' }] } }]);
  await expect(server.client.compareTask({ params: { name: 'dev.example.nothing' } })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
