import type { MetricPoint } from '@selvedge/contract';
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
  readonly #taken = new Map<string, number>();
  #attempt = '';

  constructor(options: RunMetricsOptions) {
    this.#options = options;
  }

  /** @returns the newest value of each metric that has new points. */
  async copy(tool: string, artifact: string, attempt: number): Promise<Record<string, number>> {
    const { tools, store, hub, run } = this.#options;
    const key = `${artifact}#${attempt}`;
    if (this.#attempt !== key) {
      // A new attempt may have cut its curves back to a checkpoint: counts of the earlier one mean nothing.
      this.#attempt = key;
      this.#taken.clear();
    }
    const points: MetricPoint[] = [];
    for (const metric of await tools.listMetrics(tool, artifact)) {
      const taken = this.#taken.get(metric) ?? 0;
      const fresh = await tools.readMetricPoints(tool, artifact, metric, taken);
      this.#taken.set(metric, taken + fresh.length);
      points.push(...fresh);
    }
    if (points.length === 0) return {};
    await store.appendMetricPoints(run, points);
    hub.publish({ type: 'metric', run, points });
    return Object.fromEntries(points.map((point) => [point.metric, point.value]));
  }
}
