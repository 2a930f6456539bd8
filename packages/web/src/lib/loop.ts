import type { Dataset, DatasetVersion, Device, InferenceModel, Model, ModelVersion, Run } from '@selvedge/contract';
import { formatMetric, plural } from './format.ts';
import { mainAccuracy } from './metrics.ts';
import { datasetStatus, deploymentStatus, deviceStatus, runStatus, type Status, type Tone } from './status.ts';

/** One station of the loop. */
export interface Stage {
  /** What stands there: a name, or what is missing. */
  readonly name: string;
  readonly detail: string;
  readonly status: Status | null;
  readonly count: number;
}

export interface Loop {
  readonly dataset: Stage;
  readonly run: Stage;
  readonly model: Stage;
  readonly devices: Stage;
  /** Whether something moves on the way from one station to the next just now. */
  readonly flows: { readonly toRun: boolean; readonly toModel: boolean; readonly toDevices: boolean };
}

export interface LoopSources {
  readonly datasets: readonly Dataset[];
  readonly datasetVersions: readonly DatasetVersion[];
  readonly runs: readonly Run[];
  readonly models: readonly Model[];
  readonly modelVersions: readonly ModelVersion[];
  readonly devices: readonly Device[];
  readonly deployments: readonly InferenceModel[];
}

/** The picture of the overview: the newest thing at each station and how it is. */
export function loopOf(sources: LoopSources): Loop {
  const run = newest(sources.runs);
  const running = run?.status.phase === 'Running' ? run.status.steps.find((step) => step.state === 'running')?.name : undefined;
  return {
    dataset: datasetStage(sources),
    run: runStage(sources.runs.length, run),
    model: modelStage(sources),
    devices: deviceStage(sources.devices),
    flows: {
      toRun: running === 'import' || running === 'process' || running === 'export' || running === 'split',
      toModel: running === 'train' || running === 'benchmark' || running === 'register',
      toDevices: sources.deployments.some((deployment) => deploymentStatus(deployment).tone === 'busy'),
    },
  };
}

/** The last one made; lists come oldest first, but a change may have been appended. */
export function newest<T extends { metadata: { createdAt: string } }>(items: readonly T[]): T | undefined {
  return items.reduce<T | undefined>(
    (best, item) => (best === undefined || item.metadata.createdAt >= best.metadata.createdAt ? item : best),
    undefined,
  );
}

function datasetStage({ datasets, datasetVersions }: LoopSources): Stage {
  const version = newest(datasetVersions);
  if (version === undefined) return { name: 'No dataset', detail: 'Add one to begin', status: null, count: datasets.length };
  const { content, message, phase } = version.status;
  const detail =
    content === null
      ? message || 'Being imported'
      : `${plural(content.files, 'file')}, ${plural(content.labels.length, 'class', 'classes')}`;
  return { name: `${version.spec.dataset} v${version.spec.version}`, detail, status: datasetStatus(phase), count: datasets.length };
}

function runStage(count: number, run: Run | undefined): Stage {
  if (run === undefined) return { name: 'No run', detail: 'Run a pipeline', status: null, count };
  const { phase, steps } = run.status;
  const done = steps.filter((step) => step.state === 'completed' || step.state === 'skipped').length;
  const current = steps.find((step) => step.state === 'running');
  const detail =
    current === undefined ? `${done} of ${plural(steps.length, 'step')}` : `${current.name}, ${Math.round(current.progress * 100)} %`;
  return { name: run.spec.pipeline, detail, status: runStatus(phase), count };
}

function modelStage({ models, modelVersions }: LoopSources): Stage {
  const version = newest(modelVersions);
  if (version === undefined) return { name: 'No model', detail: 'A run makes one', status: null, count: models.length };
  const accuracy = mainAccuracy(version.spec.metrics);
  const detail = accuracy === null ? plural(models.length, 'model') : `accuracy ${formatMetric('accuracy', accuracy)}`;
  const status: Status = version.status.servedBy > 0 ? { tone: 'ok', text: 'Served' } : { tone: 'idle', text: 'Not served' };
  return { name: `${version.spec.model}/${version.spec.version}`, detail, status, count: models.length };
}

function deviceStage(devices: readonly Device[]): Stage {
  if (devices.length === 0) return { name: 'No device', detail: 'Let one join', status: null, count: 0 };
  const online = devices.filter((device) => device.status.online).length;
  const serving = devices.filter((device) => device.status.workloads.some((w) => w.servingVersion !== null && device.status.online)).length;
  const worst = worstTone(devices.map((device) => deviceStatus(device).tone));
  const trouble = devices.filter((device) => ['bad', 'warn'].includes(deviceStatus(device).tone)).length;
  const status: Status =
    worst === 'bad' || worst === 'warn'
      ? { tone: worst, text: plural(trouble, 'problem') }
      : worst === 'busy'
        ? { tone: 'busy', text: 'Updating' }
        : online > 0
          ? { tone: 'ok', text: 'Online' }
          : { tone: 'idle', text: 'Offline' };
  return { name: `${online} of ${devices.length} online`, detail: `${serving} serving`, status, count: devices.length };
}

const ORDER: readonly Tone[] = ['bad', 'warn', 'busy', 'ok', 'idle'];

/** The tone that matters most of several. */
function worstTone(tones: readonly Tone[]): Tone {
  return ORDER.find((tone) => tones.includes(tone)) ?? 'idle';
}
