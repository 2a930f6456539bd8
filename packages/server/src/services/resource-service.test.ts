import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../testing/test-server.ts';

const API = 'selvedge.dev/v1alpha1';

describe('resources', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.stop());

  async function apply(documents: unknown[], dryRun = false) {
    const response = await server.fetch('/api/v1/apply', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ documents, dryRun }),
    });
    return (await response.json()) as { results: { action: string; generation: number; name: string }[]; code?: string };
  }
  const model = (name: string, metadata: object = {}, spec: object = {}) => ({
    apiVersion: API,
    kind: 'Model',
    metadata: { name, ...metadata },
    spec,
  });
  const remove = (plural: string, name: string) => server.client.deleteResource({ params: { plural, name } });

  it('are created, changed, and left alone when nothing is new', async () => {
    const first = [model('twice', { labels: { a: '1', b: '2' } }, { description: 'x' })];
    expect((await apply(first, true)).results).toMatchObject([{ action: 'created', generation: 1 }]);
    expect((await apply(first)).results).toMatchObject([{ action: 'created', generation: 1 }]);
    const before = await server.resource('Model', 'twice');
    const reordered = [model('twice', { labels: { b: '2', a: '1' } }, { description: 'x' })];
    expect((await apply(reordered)).results).toMatchObject([{ action: 'unchanged', generation: 1 }]);
    expect(await server.resource('Model', 'twice')).toEqual(before);
    expect((await apply([model('twice', {}, { description: 'y' })], true)).results).toMatchObject([
      { action: 'configured', generation: 2 },
    ]);
    expect((await apply([model('twice', {}, { description: 'y' })])).results).toMatchObject([{ action: 'configured', generation: 2 }]);
    const after = await server.resource('Model', 'twice');
    expect(after.metadata.labels).toEqual({ a: '1', b: '2' });
    expect((await apply([model('twice', { labels: { a: '1' } }, { description: 'y' })])).results).toMatchObject([
      { action: 'configured', generation: 2 },
    ]);
  });

  it('are refused together when one cannot be applied', async () => {
    const device = { apiVersion: API, kind: 'Device', metadata: { name: 'never-joined' }, spec: {} };
    expect(await apply([model('not-made'), device])).toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining('selvedge device token'),
    });
    await expect(server.resource('Model', 'not-made')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await apply([model('not-made'), model('not-made')])).toMatchObject({
      code: 'INPUT_INVALID',
      issues: [{ path: 'documents[1].metadata.name' }],
    });
  });

  it('of the Kubernetes API group are stored as our own', async () => {
    const spec = { modelName: 'x', deployToLayer: 'edge', frameworkType: 'onnx' };
    await apply([{ apiVersion: 'sedna.io/v1alpha1', kind: 'InferenceModel', metadata: { name: 'served' }, spec }]);
    expect(await server.resource('InferenceModel', 'served')).toMatchObject({ apiVersion: API, spec });
    await remove('inferencemodels', 'served');
  });

  it('are selected by any condition on labels and by saved groups, page by page', async () => {
    const document = (name: string, selector: string) => ({ apiVersion: API, kind: 'DeviceGroup', metadata: { name }, spec: { selector } });
    await apply(['a', 'b', 'c', 'd'].map((name, index) => model(`sel-${name}`, { labels: { set: 'sel', line: String(index) } })));
    await apply([document('outer', 'set=sel,line notin (0,3)')]);
    const list = async (query: object) => {
      const page = await server.client.listResources({ params: { plural: 'models' }, query });
      return { names: page.items.map((item) => item.metadata.name), next: page.next };
    };
    expect((await list({ selector: 'set,line in (0,2),!other' })).names).toEqual(['sel-a', 'sel-c']);
    expect((await list({ selector: '@outer' })).names).toEqual(['sel-b', 'sel-c']);
    expect(await list({ selector: '@outer', limit: 1 })).toEqual({ names: ['sel-b'], next: 'sel-b' });
    expect((await list({ selector: '@outer,line!=1', after: 'sel-b' })).names).toEqual(['sel-c']);
    await expect(list({ selector: '@none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await apply([document('nested', '@outer')])).toMatchObject({ code: 'INPUT_INVALID' });
    expect(await apply([document('faulty', 'a=b=c')])).toMatchObject({ code: 'INPUT_INVALID' });
    await remove('devicegroups', 'outer');
  });

  it('are listed by label, page by page', async () => {
    await apply(['c', 'a', 'b'].map((name) => model(`page-${name}`, { labels: { group: 'page' } })));
    const list = async (query: object) => {
      const page = await server.client.listResources({ params: { plural: 'models' }, query });
      return { names: page.items.map((item) => item.metadata.name), next: page.next };
    };
    expect((await list({ selector: 'group=page' })).names).toEqual(['page-a', 'page-b', 'page-c']);
    const first = await list({ selector: 'group==page', limit: 2 });
    expect(first).toEqual({ names: ['page-a', 'page-b'], next: 'page-b' });
    expect(await list({ selector: 'group=page', after: 'page-b' })).toEqual({ names: ['page-c'], next: null });
    await expect(list({ selector: 'group in page' })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(server.client.listResources({ params: { plural: 'nonsenses' } })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('show a task the pipelines that are for it', async () => {
    const text = { description: 'd', output: 'o', constraints: 'c', archives: 'a' };
    const spec = { ...text, evaluation_criterias: 'accuracy', cost_function: 'cross-entropy', evaluation_dataset: 'e' };
    await apply([{ apiVersion: API, kind: 'Task', metadata: { name: 'org.example.things' }, spec }]);
    await server.applyPipeline('for-task', {
      dataset: { name: 'things', path: { train: 'train', test: 'test' } },
      preproc: { pipeline: [] },
      model: { name: 'thing', hyperparams: { lr: 0.1, batch_size: 1, epochs: 1 } },
      postproc: { pipeline: [] },
      task: 'org.example.things',
    });
    expect((await server.resource('Task', 'org.example.things')).status).toEqual({ pipelines: ['for-task'] });
    expect((await server.client.getPipelineTask({ params: { name: 'for-task' } })).metadata.name).toBe('org.example.things');
    await expect(remove('tasks', 'org.example.things')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('for-task'),
    });
    await remove('pipelines', 'for-task');
    expect((await server.resource('Task', 'org.example.things')).status).toEqual({ pipelines: [] });
  });

  it('that are served stay', async () => {
    await apply([model('kept')]);
    const spec = { modelName: 'kept', deployToLayer: 'edge', frameworkType: 'onnx' };
    await apply([{ apiVersion: API, kind: 'InferenceModel', metadata: { name: 'serving' }, spec }]);
    await expect(remove('models', 'kept')).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { hint: expect.stringContaining('inferencemodel/serving') },
    });
    await remove('inferencemodels', 'serving');
    await remove('models', 'kept');
    await expect(remove('models', 'kept')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
