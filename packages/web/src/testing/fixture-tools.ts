import type { ServerResponse } from 'node:http';
import {
  type AnyResource,
  type ArtifactSummary,
  artifactSummarySchema,
  type Module,
  metricSeriesSchema,
  type TaskComparison,
  toolDescriptionSchema,
} from '@selvedge/contract';
import { GATES } from './fixture-packages.ts';

const EPOCHS = 12;
const LOG_LINES = 40;
const METRICS = ['train.loss', 'validation.loss', 'validation.accuracy', 'test.accuracy'];

/** What is known of the made-up world here. */
interface World {
  readonly resources: readonly AnyResource[];
  readonly modules: readonly Module[];
}

/** What the tools of the made-up world have made: an artifact per step of each run. */
function artifactsOf(world: World, wanted: (run: string, tool: string) => boolean): ArtifactSummary[] {
  return world.resources.flatMap((resource) => {
    if (resource.kind !== 'Run') return [];
    return resource.status.steps.flatMap(({ name: tool, artifact, state, startedAt, finishedAt, progress, message }) => {
      if (artifact === null || tool === 'register' || !wanted(resource.spec.pipeline, tool)) return [];
      const status = state === 'completed' ? 'completed' : state === 'failed' ? 'failed' : 'in-progress';
      const times = { createdAt: startedAt ?? resource.metadata.createdAt, startedAt, finishedAt };
      const error = status === 'failed' ? { code: 'STEP_FAILED', message } : null;
      const url = `/containers/${tool}/artifacts/${artifact}/`;
      return [
        artifactSummarySchema.parse({
          name: artifact,
          type: tool,
          tool,
          url,
          state: { status, progress, message, attempt: 1, error, ...times },
        }),
      ];
    });
  });
}

function describe(tool: string) {
  return toolDescriptionSchema.parse({
    name: tool,
    description: `What the ${tool} tool makes, in a sentence that says it`,
    version: '0.1.0',
    codeDigest: 'c'.repeat(64),
    makes: tool,
    class: tool === 'train' || tool === 'benchmark' ? 'models' : 'data',
    parameters: { type: 'object', properties: { batchSize: { type: 'integer', minimum: 1 } } },
    inputs: { 'training-set': 'tensors with the splits train and test, made by the split tool' },
  });
}

function series(metric: string) {
  const count = metric.startsWith('test') ? 1 : EPOCHS;
  const steps = Array.from({ length: count }, (_, i) => i + 1);
  const values = steps.map((step) => (metric.endsWith('loss') ? 2 / step : 1 - 0.6 / step));
  const times = steps.map((step) => new Date(Date.UTC(2026, 10, 20, 17, step)).toISOString());
  return metricSeriesSchema.parse({ metric: metric.replace('.', '/'), steps, values, times });
}

/** Answers what the gateway and the pipeline containers would; false for what it does not know. */
export function sendToolAnswer(world: World, path: string, response: ServerResponse): boolean {
  const json = (value: unknown) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    return true;
  };
  const pipeline = /^\/pipelines\/([^/]+)\/(artifacts|containers)$/.exec(path);
  if (pipeline !== null) {
    if (pipeline[2] === 'artifacts') return json({ items: artifactsOf(world, (name) => name === pipeline[1]) });
    const container = ({ name, state }: { name: string; state: string }) => ({
      name,
      state,
      url: `/containers/${name}/`,
      class: describe(name).class,
    });
    const all = world.modules.map(container);
    return json({ data: all.filter((one) => one.class === 'data'), models: all.filter((one) => one.class === 'models') });
  }
  const [, tool = '', rest = ''] = /^\/containers\/([^/]+)\/(.*)$/.exec(path) ?? [];
  if (rest === '') return json(describe(tool));
  if (rest === 'artifacts') return json({ items: artifactsOf(world, (_, of) => of === tool) });
  const [, what = '', metric = ''] = /^artifacts\/[^/]+\/(log|metrics)(?:\/([^/]+)\/series)?$/.exec(rest) ?? [];
  if (what === 'metrics') return json(metric === '' ? { items: METRICS } : series(metric));
  if (what !== 'log') return false;
  const lines = Array.from({ length: LOG_LINES }, (_, i) => `2026-11-20T17:00:${String(i).padStart(2, '0')}Z info ${tool}: line ${i + 1}`);
  response.writeHead(200, { 'content-type': 'text/plain' }).end(`${lines.join('\n')}\n`);
  return true;
}

/** Two pipelines of a task, one of which has no version yet. */
export function taskComparison(task: string): TaskComparison {
  const own = {
    ...GATES[0],
    metric: 'accuracy',
    operator: '>=',
    wanted: 0.95,
    value: 0.9783,
    passed: true,
    message: '0.9783 on the test data',
  } as const;
  const field = {
    ...own,
    wanted: 0.9,
    dataset: 'digits-field@2',
    value: 0.8612,
    passed: false,
    message: '0.8612 on 240 samples of digits-field@2',
  };
  const best = {
    run: 'digits-2b8xq',
    modelVersion: 'digits:3',
    criteria: [own, field],
    passed: false,
    metrics: { accuracy: 0.9783 },
    cost: { runSeconds: 55, trainSeconds: 41, modelBytes: 414_436 },
  };
  return {
    task,
    criteria: ['accuracy >= 0.95', 'accuracy >= 0.9 on digits-field@2'],
    issues: ['"mood >= 3" names a metric that nothing measures'],
    costFunction: 'Cross-entropy between the predicted probabilities and the digit shown.',
    pipelines: [
      { pipeline: 'digits', runs: 5, best },
      { pipeline: 'fabric-defects', runs: 1, best: null },
    ],
  };
}
