import type { Run, RunStatus, SweepChild } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import { isEvaluationStep } from '../domain/evaluation-steps.ts';
import { ACTIVE_LABEL } from '../domain/run-markers.ts';
import { initialRunStatus } from '../domain/run-status.ts';
import { isFinishedPhase } from '../domain/run-view.ts';
import { stepGraphOf } from '../domain/step-graph.ts';
import { planSweep, type SweepPlan, type WantedChild } from '../domain/sweep-plan.ts';
import type { Store } from '../ports/store.ts';
import { requestCancel } from './cancel-run.ts';

export interface RunSweepOptions {
  store: Store;
  clock: () => Date;
  log: Logger;
}

type SweepStatus = NonNullable<RunStatus['sweep']>;

/** Name of the nth run of a sweep: the key under which it is begun once. */
function childName(parent: string, index: number): string {
  return `${parent}.s${index}`;
}

/** The runs of a sweep. They are found by their names, so that nothing is lost or begun twice when the server ends in between. */
export class RunSweep {
  readonly #options: RunSweepOptions;

  constructor(options: RunSweepOptions) {
    this.#options = options;
  }

  /** How the runs stand, and what the sweep does next; undefined when the run is no sweep. */
  async look(run: Run): Promise<{ status: SweepStatus; plan: SweepPlan } | undefined> {
    const { sweep, model } = run.spec.pipelineSpec;
    if (sweep === undefined) return undefined;
    const known = run.status.sweep?.children ?? [];
    const children: SweepChild[] = [];
    for (;;) {
      const before = known[children.length];
      if (before !== undefined && isFinishedPhase(before.phase)) {
        children.push(before);
        continue;
      }
      const child = await this.#options.store.get('Run', childName(run.metadata.name, children.length + 1));
      if (child === undefined) break;
      children.push(childOf(run, child, sweep.metric));
    }
    const plan = planSweep(sweep, model.hyperparams, children);
    return { status: { children, best: plan.best }, plan };
  }

  /** Begins runs that are not there yet. */
  async start(parent: Run, children: readonly WantedChild[]): Promise<void> {
    const { store, log } = this.#options;
    for (const { index, parameters } of children) {
      const name = childName(parent.metadata.name, index);
      if ((await store.get('Run', name)) !== undefined) continue;
      const { sweep, triggers, build, ...spec } = parent.spec.pipelineSpec;
      const pipelineSpec = { ...spec, model: { ...spec.model, hyperparams: { ...spec.model.hyperparams, ...parameters } } };
      const { wanted, evaluations } = parent.spec;
      const judging = { ...(wanted && { wanted }), ...(evaluations && { evaluations }) };
      const graph = stepGraphOf(pipelineSpec, { inSweep: true, judging });
      await store.create('Run', {
        name,
        labels: { ...parent.metadata.labels, [ACTIVE_LABEL]: 'true' },
        annotations: {},
        spec: {
          pipeline: parent.spec.pipeline,
          pipelineGeneration: parent.spec.pipelineGeneration,
          pipelineSpec,
          dataset: parent.spec.dataset,
          ...(parent.spec.models && { models: parent.spec.models }),
          cause: {
            type: 'sweep',
            by: parent.metadata.name,
            detail: Object.entries(parameters)
              .map((entry) => entry.join('='))
              .join(', '),
          },
          ...judging,
          ...(parent.spec.fresh === undefined ? {} : { fresh: graph.map((step) => step.id) }),
          sweepOf: { run: parent.metadata.name, index },
        },
        status: initialRunStatus(graph, parent.spec.dataset.artifact),
      });
      log.info('run of a sweep begun', { run: name, parameters });
    }
  }

  async cancel(parent: Run): Promise<void> {
    for (const { run, phase } of parent.status.sweep?.children ?? [])
      if (!isFinishedPhase(phase)) await requestCancel(this.#options.store, run, this.#options.clock().toISOString());
  }
}

function childOf(parent: Run, child: Run, metric: string): SweepChild {
  const { hyperparams } = child.spec.pipelineSpec.model;
  const chosen = new Set([...Object.keys(parent.spec.pipelineSpec.sweep?.parameters ?? {}), 'epochs']);
  const isHalving = parent.spec.pipelineSpec.sweep?.method === 'halving';
  const parameters: SweepChild['parameters'] = {};
  for (const [name, value] of Object.entries(hyperparams)) {
    if (!chosen.has(name) || (typeof value !== 'number' && typeof value !== 'string')) continue;
    if (name === 'epochs' && !isHalving && parent.spec.pipelineSpec.sweep?.parameters.epochs === undefined) continue;
    parameters[name] = value;
  }
  const value = child.status.phase === 'Succeeded' ? metricOf(child, metric) : null;
  return { run: child.metadata.name, parameters, phase: child.status.phase, value };
}

/** A metric of the run as a whole, or of the last of its steps that has one of this name. */
function metricOf({ status }: Run, metric: string): number | null {
  const own = status.steps.filter((step) => !isEvaluationStep(step.name));
  return status.metrics[metric] ?? own.findLast((step) => step.metrics?.[metric] !== undefined)?.metrics?.[metric] ?? null;
}
