import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCondition, parseReference, parseTemplate } from './pipeline-expressions.ts';
import { stepsSchema } from './pipeline-steps.ts';
import { sweepSchema } from './pipeline-sweep.ts';
import { triggerNamesOf, triggersSchema } from './pipeline-triggers.ts';
import { issuesOf } from './problem.ts';
import { runSchema } from './resources/run.ts';

const wrap = (text: string) => `\${{ ${text} }}`;

describe('references', () => {
  it.each([
    ['steps.train.outputs.best.epoch', { from: 'output', step: 'train', path: ['best', 'epoch'] }],
    ['steps.b-1.metrics.validation/accuracy', { from: 'metric', step: 'b-1', metric: 'validation/accuracy' }],
    ['steps.test.metrics.mAP@50:95', { from: 'metric', step: 'test', metric: 'mAP@50:95' }],
    ['hyperparams.batch_size', { from: 'hyperparams', name: 'batch_size' }],
    [' dataset.version ', { from: 'dataset', field: 'version' }],
  ])('reads %s', (text, value) => {
    expect(parseReference(text)).toEqual({ ok: true, value });
  });

  it.each(['', 'steps.train', 'steps.Train.metrics.x', 'dataset.path', 'secrets.token', 'steps.a.outputs.b + 1', 'process.env'])(
    'refuses %j',
    (text) => {
      expect(parseReference(text)).toMatchObject({ ok: false, message: expect.stringContaining('is not a reference; possible are') });
    },
  );

  it('leaves text without a reference as it is, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseTemplate(text);
        if (!text.includes('${' + '{')) expect(parsed).toEqual({ ok: true, value: text === '' ? [] : [text] });
        parseCondition(text);
      }),
    );
    expect(parseTemplate(`a ${wrap('dataset.name')}:${wrap('dataset.version')}!`)).toMatchObject({
      ok: true,
      value: ['a ', { field: 'name' }, ':', { field: 'version' }, '!'],
    });
    expect(parseTemplate('x ${' + '{ dataset.name')).toMatchObject({ ok: false });
  });

  it('reads one comparison', () => {
    expect(parseCondition("steps.a.outputs.kind != 'big'")).toMatchObject({
      ok: true,
      value: { comparison: '!=', right: { literal: 'big' } },
    });
    expect(parseCondition(`${wrap('steps.a.metrics.loss')} <= -1.5e-3`)).toMatchObject({
      ok: true,
      value: { right: { literal: -0.0015 } },
    });
    expect(parseCondition('steps.a.metrics.loss')).toMatchObject({ ok: false });
  });
});

function faults(schema: typeof stepsSchema | typeof sweepSchema | typeof triggersSchema, value: unknown): string[] {
  const parsed = schema.safeParse(value);
  return parsed.success ? [] : issuesOf(parsed.error).map(({ path, message }) => `${path}: ${message}`);
}

describe('steps', () => {
  it.each([
    ['a step that does not exist', [{ id: 'a', tool: 't', needs: ['b'] }], '[0]: needs the step "b", which does not exist'],
    [
      'a circle',
      [
        { id: 'a', tool: 't', needs: ['c'] },
        { id: 'b', tool: 't', inputs: { x: 'a' } },
        { id: 'c', tool: 't', parameters: { p: [wrap('steps.b.metrics.m')] } },
      ],
      '[0]: the steps need each other in a circle: a → c → b → a',
    ],
    [
      'two of a name',
      [
        { id: 'a', tool: 't' },
        { id: 'a', tool: 't' },
      ],
      '[1].id: there are two steps "a"',
    ],
    ['an own name', [{ id: 'build', tool: 't' }], '[0].id: "build" is a name of the server\'s own'],
    [
      'a faulty reference',
      [{ id: 'a', tool: 't', parameters: { deep: { x: ['ok', wrap('nothing')] } } }],
      '[0].parameters.deep.x[1]: "nothing" is not',
    ],
    ['a faulty condition', [{ id: 'a', tool: 't', when: 'always' }], '[0].when: "always" is not a comparison'],
    ['a registration of nothing', [{ id: 'a', tool: 'register' }], '[0].inputs: "register" needs the input "model"'],
  ])('refuse %s, by its path', (_, steps, fault) => {
    expect(faults(stepsSchema, steps)).toEqual(expect.arrayContaining([expect.stringContaining(fault)]));
  });
});

describe('sweeps and triggers', () => {
  it.each([
    ['a range in a grid', { method: 'grid', parameters: { lr: { min: 0, max: 1 } }, metric: 'm' }, 'parameters.lr: a grid needs a list'],
    ['no number of draws', { method: 'random', parameters: { lr: [1] }, metric: 'm' }, 'runs: is needed'],
    ['epochs of a halving', { method: 'halving', runs: 3, parameters: { epochs: [1] }, metric: 'm' }, 'parameters.epochs: halving chooses'],
  ])('refuse %s', (_, sweep, fault) => {
    expect(faults(sweepSchema, sweep)).toEqual(expect.arrayContaining([expect.stringContaining(fault)]));
  });

  it('name triggers by what they are', () => {
    const triggers = triggersSchema.parse(['manual', { dataset: 'a' }, { dataset: 'b' }, { schedule: '0 0 * * *', name: 'nightly' }]);
    expect(triggerNamesOf(triggers)).toEqual(['manual', 'dataset-1', 'dataset-2', 'nightly']);
    expect(faults(triggersSchema, ['manual', { webhook: {}, name: 'manual' }])).toEqual(['[1].name: there are two triggers "manual"']);
    expect(faults(triggersSchema, [{ webhook: { secret: 'in a file' } }])).not.toEqual([]);
  });
});

it('reads runs of before steps could be chosen', () => {
  const at = '2026-01-01T00:00:00.000Z';
  const step = {
    name: 'import',
    state: 'completed',
    attempt: 1,
    artifact: 'd.v1',
    startedAt: at,
    finishedAt: at,
    progress: 1,
    message: '',
  };
  const stored = {
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'Run',
    metadata: { name: 'p-1', labels: {}, annotations: {}, uid: 'u', generation: 1, resourceVersion: 9, createdAt: at, updatedAt: at },
    spec: {
      pipeline: 'p',
      pipelineGeneration: 1,
      pipelineSpec: {
        dataset: { name: 'd', path: { train: 'train', test: 'test' } },
        model: { name: 'm', hyperparams: { lr: 0.1, batch_size: 1, epochs: 1 } },
        preproc: { pipeline: ['hwctochw'] },
        postproc: { pipeline: [] },
      },
      dataset: { name: 'd', version: 1, digest: 'a'.repeat(64), artifact: 'd.v1' },
      cause: { type: 'api', by: 'admin' },
    },
    status: { phase: 'Running', message: '', steps: [step], startedAt: at, finishedAt: null, metrics: {}, modelVersion: null },
  };
  expect(runSchema.parse(stored)).toEqual(stored);
});
