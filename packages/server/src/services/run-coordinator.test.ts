import { waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { SMALL_PIPELINE, TestServer } from '../testing/test-server.ts';

const finished = (phase: string) => ['Succeeded', 'Failed', 'Cancelled'].includes(phase);

describe('runs', () => {
  let server: TestServer;
  afterEach(() => server.stop());

  async function startRun(name = 'pipe', spec?: Record<string, unknown>): Promise<string> {
    await server.applyPipeline(name, spec);
    const run = await server.client.startRun({ params: { name }, body: {} });
    expect(run.status.phase).toBe('Pending');
    return run.metadata.name;
  }

  it('go through every tool over HTTP and end in a model version', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    const name = await startRun();
    const run = await server.waitForRun(name, (found) => finished(found.status.phase), 'finished');
    expect(run.status.message).toBe('registered thing/1');
    expect(run.status.steps.map((step) => [step.name, step.state, step.artifact])).toEqual([
      ['import', 'completed', 'things.v1'],
      ['process', 'completed', 'pipe-1.process'],
      ['export', 'completed', 'pipe-1.export'],
      ['split', 'completed', 'pipe-1.split'],
      ['train', 'completed', 'pipe-1.train'],
      ['benchmark', 'completed', 'pipe-1.benchmark'],
      ['register', 'completed', null],
    ]);
    expect(run.status.metrics).toEqual({ 'train/loss': 1, 'validation/accuracy': 0.5 });
    const { points } = await server.client.getRunMetrics({ params: { name } });
    expect(points.map((point) => [point.metric, point.step, point.value])).toEqual([
      ['train/loss', 1, 3],
      ['train/loss', 2, 2],
      ['train/loss', 3, 1],
      ['validation/accuracy', 1, 0.25],
      ['validation/accuracy', 2, 0.5],
    ]);
    expect(await server.createdBy('import')).toEqual(['things.v1']);
    const { model, versions } = await server.client.getModel({ params: { name: 'thing' } });
    expect(model.status).toEqual({ versions: ['1'], aliases: { latest: '1' } });
    expect(versions[0]?.spec).toMatchObject({
      labels: ['a', 'b'],
      metrics: { accuracy: 0.75, f1: 0.7, 'validation/accuracy': 0.5 },
      lineage: { run: name, pipeline: 'pipe', dataset: { name: 'things', version: 1 }, tools: { train: 'digest-of-train' } },
    });
    const bundle = await server.fetch(`/api/v1/blobs/${versions[0]?.spec.bundle.sha256}`);
    expect(await bundle.json()).toMatchObject({ model: 'thing', version: '1', modelFile: 'model.onnx', goldenFile: 'golden.json' });
    const file = await server.fetch('/api/v1/models/thing/versions/latest/file');
    expect(await file.text()).toBe('onnx bytes');
    await waitUntil(async () => (await server.resource('Pipeline', 'pipe')).status.lastRunState === 'Succeeded', {
      timeoutMs: 30_000,
      what: 'summary',
    });
  });

  it('are judged by the criteria of the task, with a bound or without', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    const text = { description: 'd', output: 'o', constraints: 'none', archives: 'a', cost_function: 'c', evaluation_dataset: 'e' };
    const spec = { ...text, evaluation_criterias: ['accuracy >= 0.7', 'f1 >= 0.9', 'recall', 'a person likes it'] };
    const task = { apiVersion: 'selvedge.dev/v1alpha1' as const, kind: 'Task' as const, metadata: { name: 'org.things' }, spec };
    await server.client.apply({ body: { documents: [task] } });
    const name = await startRun('judged', { ...SMALL_PIPELINE, task: 'org.things' });
    const run = await server.waitForRun(name, (found) => finished(found.status.phase), 'finished');
    expect(run.status.criteria).toMatchObject([
      { metric: 'accuracy', operator: '>=', wanted: 0.7, value: 0.75, passed: true },
      { metric: 'f1', value: 0.7, passed: false },
      { metric: 'recall', operator: null, value: null, passed: null },
    ]);
  });

  it('go on after a restart of the server on another port; nothing that is done is done again', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.toolFlag('train', 'hold', true);
    const name = await startRun();
    await server.waitForRun(name, (run) => run.status.steps[4]?.state === 'running', 'training');
    await server.stopServer();
    await server.toolFlag('train', 'hold', false);
    await server.startAgain();
    const run = await server.waitForRun(name, (found) => finished(found.status.phase), 'finished');
    expect(run.status.phase).toBe('Succeeded');
    expect(await server.createdBy('import')).toEqual(['things.v1']);
    for (const step of ['process', 'export', 'split']) expect(await server.createdBy(step)).toEqual([`${name}.${step}`]);
    expect((await server.client.getModel({ params: { name: 'thing' } })).versions).toHaveLength(1);
  });

  it('wait for a tool that was killed, say so, and count the attempt', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.toolFlag('train', 'hold', true);
    const name = await startRun();
    await server.waitForRun(name, (run) => run.status.steps[4]?.state === 'running', 'training');
    const { items } = await server.client.listModules();
    const pid = items.find((module) => module.name === 'train')?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    const broken = await server.waitForRun(name, (run) => run.status.steps[4]?.message.includes('SIGKILL') === true, 'told');
    expect(broken.status.phase).toBe('Running');
    await server.toolFlag('train', 'hold', false);
    const run = await server.waitForRun(name, (found) => finished(found.status.phase), 'finished');
    expect(run.status.phase).toBe('Succeeded');
    expect(run.status.steps.map((step) => step.attempt)).toEqual([1, 1, 1, 1, 2, 1, 1]);
    const after = (await server.client.listModules()).items.find((module) => module.name === 'train');
    expect(after).toMatchObject({ restarts: 1, lastExit: { signal: 'SIGKILL' } });
  });

  it("fail with the tool's error", async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.toolFlag('split', 'fail', true);
    const name = await startRun();
    const run = await server.waitForRun(name, (found) => finished(found.status.phase), 'finished');
    expect(run.status.phase).toBe('Failed');
    expect(run.status.message).toBe('Step "split" failed: the data is bad (DATASET_FORMAT)');
    expect(run.status.error).toMatchObject({ code: 'DATASET_FORMAT', message: 'the data is bad' });
    expect(run.status.steps.map((step) => step.state)).toEqual([
      'completed',
      'completed',
      'completed',
      'failed',
      'skipped',
      'skipped',
      'skipped',
    ]);
  });

  it('are cancelled while a tool works; cancelling again changes nothing', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.toolFlag('process', 'hold', true);
    const name = await startRun();
    await server.waitForRun(name, (run) => run.status.steps[1]?.state === 'running', 'processing');
    await expect(server.client.deleteResource({ params: { plural: 'runs', name } })).rejects.toMatchObject({ code: 'CONFLICT' });
    await server.client.cancelRun({ params: { name } });
    const run = await server.waitForRun(name, (found) => finished(found.status.phase), 'finished');
    expect(run.status.phase).toBe('Cancelled');
    expect((await server.client.cancelRun({ params: { name } })).status.phase).toBe('Cancelled');
    await server.client.deleteResource({ params: { plural: 'runs', name } });
    await expect(server.resource('Run', name)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('run several at a time, each with its own number', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.applyPipeline('pipe');
    const start = () => server.client.startRun({ params: { name: 'pipe' }, body: {} });
    const names = (await Promise.all([start(), start(), start()])).map((run) => run.metadata.name);
    expect(names.sort()).toEqual(['pipe-1', 'pipe-2', 'pipe-3']);
    for (const name of names) await server.waitForRun(name, (run) => run.status.phase === 'Succeeded', 'succeeded');
    const { model } = await server.client.getModel({ params: { name: 'thing' } });
    expect(model.status).toEqual({ versions: ['1', '2', '3'], aliases: { latest: '3' } });
  });

  it('have a log that can be followed to the end, by step or whole', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    await server.toolFlag('train', 'hold', true);
    const name = await startRun();
    const following = server.fetch(`/api/v1/runs/${name}/log?follow=1`).then((response) => response.text());
    await server.waitForRun(name, (run) => run.status.steps[4]?.state === 'running', 'training');
    await server.toolFlag('train', 'hold', false);
    const text = await following;
    expect(text.match(/^== (\w+)/gm)).toHaveLength(15);
    expect(text).toContain('== train (artifact pipe-1.train)\ntraining-set: 13 bytes\ndone\n== train completed: Completed\n');
    expect(text).toMatch(/== run succeeded: registered thing\/1\n$/);
    const one = await (await server.fetch(`/api/v1/runs/${name}/log?step=split`)).text();
    expect(one).toMatch(/^== split[^=]*== split completed/);
    expect((await server.fetch(`/api/v1/runs/${name}/log?step=nonsense`)).status).toBe(404);
  });

  it('are refused at the start when something is missing', async () => {
    server = await TestServer.start();
    const start = (name: string) => server.client.startRun({ params: { name }, body: {} });
    await expect(start('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await server.applyPipeline('pipe');
    await expect(start('pipe')).rejects.toMatchObject({
      code: 'REFERENCE_MISSING',
      details: { hint: expect.stringContaining('selvedge dataset add things') },
    });
    await server.addDataset('things');
    await server.applyPipeline('pipe', { ...SMALL_PIPELINE, task: 'org.example.nothing' });
    await expect(start('pipe')).rejects.toMatchObject({
      code: 'REFERENCE_MISSING',
      message: expect.stringContaining('org.example.nothing'),
    });
    await server.applyPipeline('pipe', { ...SMALL_PIPELINE, model: { ...SMALL_PIPELINE.model, name: 'Not A Name' } });
    await expect(start('pipe')).rejects.toMatchObject({ code: 'INPUT_INVALID', details: { issues: [{ path: 'spec.model.name' }] } });
  });

  it('are refused at the start when their chains cannot work on what will be trained', async () => {
    server = await TestServer.start();
    await server.addDataset('things');
    const postproc = { pipeline: ['softmax', 'nms'], params: { nms: { IoU_thr: 0.8, conf_thr: 0.6 } } };
    await server.applyPipeline('pipe', { ...SMALL_PIPELINE, preproc: { pipeline: [] }, postproc });
    await expect(server.client.startRun({ params: { name: 'pipe' }, body: {} })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      details: { issues: [{ path: 'spec.postproc.pipeline[1]' }, { path: 'spec.preproc.pipeline' }] },
    });
  });
});
