import { criterionSchema, type RunEvaluation } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { PIPELINE, runSpec } from '../testing/run-world.ts';
import { evaluatedPath, evaluationIssue, mergeEvaluations, namedDatasets, parseCriteria, wantedOfOwnData } from './criteria.ts';
import { evaluateGates, type GateFacts, gateText } from './gates.ts';
import { graphOfRun, readsOf } from './step-graph.ts';

const SHA = 'a'.repeat(64);
const on = (name: string, version: number) => ({ name, version, digest: SHA });
const evaluation = (name: string, version: number): RunEvaluation => ({
  dataset: { ...on(name, version), artifact: `${name}.v${version}` },
  path: 'test',
  labels: ['a', 'b'],
  wanted: [{ metric: 'accuracy', operator: '>=', wanted: 0.9 }],
});

describe('criteria of a task', () => {
  it('are lines of text or fields, and the sign follows from the metric', () => {
    const { gates, issues } = parseCriteria([
      'accuracy >= 0.9, f1',
      { metric: 'accuracy', threshold: 0.8, dataset: 'field@2' },
      { metric: 'loss', threshold: 0.5 },
      { metric: 'recall', dataset: 'field' },
      'looks good',
    ]);
    expect(gates.map(gateText)).toEqual(['accuracy >= 0.9', 'f1', 'accuracy >= 0.8 on field@2', 'loss <= 0.5', 'recall on field']);
    expect(issues).toEqual([]);
  });

  it('refuse a sign without a threshold, a metric of devices on a dataset, and what is no dataset', () => {
    const messages = (value: unknown) =>
      criterionSchema.safeParse(value).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    expect(messages({ metric: 'f1', operator: '<' })).toEqual(['operator: needs a threshold to compare with']);
    expect(messages({ metric: 'p95Ms', threshold: 3, dataset: 'field' })?.[0]).toContain('dataset: "p95Ms" is not measured on a dataset');
    expect(messages({ metric: 'f1', dataset: 'field@0' })?.[0]).toContain('dataset: must be a dataset');
    expect(messages({ metric: 'mood' })?.[0]).toContain('metric: ');
  });

  it('name each dataset once, by the place of the first criterion', () => {
    const criterias = [
      'accuracy',
      { metric: 'f1', dataset: 'field' } as const,
      { metric: 'accuracy', threshold: 0.5, dataset: 'field' } as const,
    ];
    expect(namedDatasets(criterias)).toEqual([
      {
        path: 'spec.evaluation_criterias[1].dataset',
        name: 'field',
        version: undefined,
        wanted: [
          { metric: 'f1', operator: null, wanted: null },
          { metric: 'accuracy', operator: '>=', wanted: 0.5 },
        ],
      },
    ]);
    expect(wantedOfOwnData(['p95Ms <= 3', ...criterias])).toEqual([{ metric: 'accuracy', operator: null, wanted: null }]);
    expect(
      mergeEvaluations([evaluation('field', 2), evaluation('other', 1), evaluation('field', 2)]).map(({ wanted }) => wanted.length),
    ).toEqual([2, 1]);
  });

  it('take the test data of a dataset, or all where there is none', () => {
    expect(evaluatedPath({ splits: { train: 5, test: 2 } })).toBe('test');
    expect(evaluatedPath({ splits: { train: 5, test: 0 } })).toBe('train');
    expect(evaluatedPath({ splits: { day: 5, night: 2 } })).toBe('.');
  });

  it('cannot be measured on data of another type or with other classes; identities may differ', () => {
    const named = { path: 'at', name: 'field', version: undefined, wanted: [] };
    const trained = { type: 'image-classification', labels: ['a', 'b'] } as const;
    const issue = (type: 'image-classification' | 'object-detection', labels: string[], isEmbedding = false) =>
      evaluationIssue(named, { type, labels, version: 3 }, trained, isEmbedding)?.message;
    expect(issue('image-classification', ['b'])).toBeUndefined();
    expect(issue('object-detection', ['a'])).toBe(
      '"field@3" is for object-detection, and the pipeline\'s dataset for image-classification',
    );
    expect(issue('image-classification', ['a', 'z'])).toBe('"field@3" has classes that the model does not learn: "z"');
    expect(issue('image-classification', ['z'], true)).toBeUndefined();
  });

  it('are judged by the measurement on their dataset: of that version, or the newest', () => {
    const facts: GateFacts = {
      reference: 'm:1',
      metrics: { accuracy: 0.99 },
      benchmarks: [],
      packages: [],
      evaluations: [
        { dataset: on('field', 2), samples: 20, metrics: { accuracy: 0.7 } },
        { dataset: on('field', 1), samples: 10, metrics: { accuracy: 0.95 } },
      ],
    };
    const { gates } = parseCriteria(
      ['field', 'field@1', 'other'].map((dataset) => ({ metric: 'accuracy', threshold: 0.9, dataset }) as const),
    );
    expect(evaluateGates(gates, facts)).toMatchObject([
      { dataset: 'field@2', value: 0.7, passed: false, message: '0.7 on 20 samples of field@2' },
      { dataset: 'field@1', value: 0.95, passed: true },
      { dataset: 'other', value: null, passed: false, message: 'not measured; start a run of its pipeline, which measures on other' },
    ]);
  });
});

describe('a run whose task names datasets', () => {
  const spec = { ...runSpec(PIPELINE), wanted: evaluation('x', 1).wanted, evaluations: [evaluation('field', 2), evaluation('other', 1)] };

  it('measures on each before it registers, through the same processing with the classes of the model', () => {
    const graph = graphOfRun(spec);
    expect(graph.map(({ id }) => id)).toEqual([
      ...['import', 'process', 'export', 'split', 'train', 'benchmark'],
      ...['eval-1', 'eval-1-process', 'eval-1-export', 'eval-1-benchmark', 'eval-2', 'eval-2-process', 'eval-2-export', 'eval-2-benchmark'],
      'register',
    ]);
    const step = (id: string) => graph.find((one) => one.id === id);
    expect(step('eval-1-process')?.parameters).toEqual({ preproc: PIPELINE.preproc, path: { test: 'test' }, labels: ['a', 'b'] });
    expect(readsOf(step('eval-2-benchmark') ?? graph[0]!)).toEqual(['train', 'eval-2-export']);
    expect(step('register')?.needs).toEqual(['train', 'benchmark', 'eval-1-benchmark', 'eval-2-benchmark']);
    expect(step('benchmark')?.parameters).toMatchObject({ wanted: spec.wanted });
    expect(step('eval-1')?.evaluates).toMatchObject({ name: 'field', artifact: 'field.v2' });
  });

  it('measures in each run of a sweep, not in the sweep itself', () => {
    const sweep = { method: 'grid', parameters: { lr: [0.1, 0.2] }, metric: 'accuracy', goal: 'maximize' } as never;
    const parent = graphOfRun({ ...spec, pipelineSpec: { ...PIPELINE, sweep } });
    expect(parent.map(({ id }) => id)).toEqual(['sweep', 'register']);
    expect(parent[1]?.needs).toEqual(['sweep']);
    const child = graphOfRun({ ...spec, sweepOf: { run: 'r', index: 1 } });
    expect(child.filter(({ id }) => id.startsWith('eval-'))).toHaveLength(8);
  });
});
