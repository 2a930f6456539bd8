import type { MetricPoint } from '@selvedge/contract';
import type { GraphStep } from '../domain/step-graph.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import type { EventHub } from './event-hub.ts';

export interface RunMetricsOptions {
  store: Store;
  tools: ToolClient;
  hub: EventHub;
  run: string;
}

/**
 * Copies the metric curves of one run's artifacts into the store while they grow, and announces new points.
 *
 * Only what is new is read; after a restart of the server everything is read once more, which the store takes as the same.
 */
export class RunMetrics {
  readonly #options: RunMetricsOptions;
  /** Points taken by metric; per step, with the artifact and attempt that they are of. */
  readonly #taken = new Map<string, { of: string; counts: Map<string, number> }>();

  constructor(options: RunMetricsOptions) {
    this.#options = options;
  }

  /**
   * Where several steps of a run use one tool, the names of their metrics begin with the step's; so do always those of what
   * is measured on a further dataset.
   * @returns the newest value of each metric that has new points.
   */
  async copy(graph: readonly GraphStep[], step: GraphStep, artifact: string, attempt: number): Promise<Record<string, number>> {
    const { tools, store, hub, run } = this.#options;
    const counts = this.#countsOf(step.id, `${artifact}#${attempt}`);
    const prefix = isShared(graph, step) ? `${step.id}/` : '';
    const points: MetricPoint[] = [];
    for (const metric of await tools.listMetrics(step.tool, artifact)) {
      const taken = counts.get(metric) ?? 0;
      const fresh = await tools.readMetricPoints(step.tool, artifact, metric, taken);
      counts.set(metric, taken + fresh.length);
      points.push(...fresh.map((point) => ({ ...point, metric: prefix + point.metric })));
    }
    if (points.length === 0) return {};
    await store.appendMetricPoints(run, points);
    hub.publish({ type: 'metric', run, points });
    return Object.fromEntries(points.map((point) => [point.metric, point.value]));
  }

  /** A new attempt may have cut its curves back to a checkpoint: counts of the earlier one mean nothing. */
  #countsOf(step: string, of: string): Map<string, number> {
    const known = this.#taken.get(step);
    if (known?.of === of) return known.counts;
    const counts = new Map<string, number>();
    this.#taken.set(step, { of, counts });
    return counts;
  }
}

function isShared(graph: readonly GraphStep[], step: GraphStep): boolean {
  if (step.evaluates !== undefined) return true;
  return graph.filter(({ tool, kind, evaluates }) => tool === step.tool && kind === 'tool' && evaluates === undefined).length > 1;
}
