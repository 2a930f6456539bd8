import type { ResultSummary, WorkloadReport } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { addTraffic, MAX_COUNTED_CLASSES, NO_TRAFFIC, type Traffic, trafficSince } from '../domain/histogram.ts';
import { latencyCounts, latencyQuantile } from '../domain/latency-counts.ts';
import { parseClassCounts, parseModelMetrics } from '../domain/model-metrics.ts';
import type { ModelProcess } from '../ports/model-process.ts';

export interface ResultsWatchOptions {
  workloads: () => readonly WorkloadReport[];
  serving: (workload: string) => ModelProcess | undefined;
  /** Between summaries, milliseconds. */
  intervalMs: () => number;
  clock: () => number;
  keep: (results: ResultSummary) => void;
  log: Logger;
}

interface Watched {
  process: ModelProcess;
  model: string;
  version: string;
  sinceMs: number;
  /** As last read. */
  counted: Traffic;
  classesCounted: ReadonlyMap<string, number>;
  /** Since the last summary. */
  traffic: Traffic;
  classes: Map<string, number>;
}

/** Sums up what models answer, from what their processes count. What a process counts after the last look before its end is not seen. */
export class ResultsWatch {
  readonly #options: ResultsWatchOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: ResultsWatchOptions) {
    this.#options = options;
  }

  /** Reads what the models have answered; a summary of each is kept when it is time, or when another version has taken over. */
  async look(): Promise<void> {
    const { workloads, serving, clock, intervalMs, log } = this.#options;
    const now = clock();
    const seen = new Set<string>();
    for (const { name, model, servingVersion, trial } of workloads()) {
      const process = serving(name);
      if (process === undefined || servingVersion === null) continue;
      seen.add(name);
      try {
        await this.#read({ name, model, version: servingVersion, wasTried: trial?.version === servingVersion }, process, now);
      } catch (error) {
        log.debug('what a model has answered could not be read', { workload: name, ...describeError(error) });
      }
    }
    for (const [name, watched] of this.#watched) {
      const isOver = !seen.has(name);
      // A clock that was set back must not hold a summary for ever.
      if (isOver || Math.abs(now - watched.sinceMs) >= intervalMs()) this.#summarise(name, watched, now);
      if (isOver) this.#watched.delete(name);
    }
  }

  async #read(
    { name, model, version, wasTried }: { name: string; model: string; version: string; wasTried: boolean },
    process: ModelProcess,
    now: number,
  ): Promise<void> {
    const text = await process.read('/metrics');
    const [traffic, classes] = [parseModelMetrics(text), parseClassCounts(text)];
    let known = this.#watched.get(name);
    if (known === undefined || known.version !== version || known.model !== model) {
      if (known !== undefined) this.#summarise(name, known, now);
      // A version that was on trial has counted its golden set, too, which nobody asked for.
      const before = wasTried
        ? { counted: traffic, classesCounted: classes }
        : { counted: NO_TRAFFIC, classesCounted: new Map<string, number>() };
      known = { process, model, version, sinceMs: now, traffic: NO_TRAFFIC, classes: new Map(), ...before };
      this.#watched.set(name, known);
    }
    const isSame = known.process === process;
    known.traffic = addTraffic(known.traffic, isSame ? trafficSince(known.counted, traffic) : traffic);
    for (const [label, count] of classes) {
      const more = count - (isSame ? (known.classesCounted.get(label) ?? 0) : 0);
      if (more > 0) known.classes.set(label, (known.classes.get(label) ?? 0) + more);
    }
    Object.assign(known, { process, counted: traffic, classesCounted: classes });
  }

  #summarise(workload: string, watched: Watched, now: number): void {
    const { model, version, sinceMs, traffic, classes } = watched;
    if (traffic.requests > 0) {
      const latency = latencyCounts(traffic.latencyMs);
      const top = [...classes].toSorted(([, a], [, b]) => b - a).slice(0, MAX_COUNTED_CLASSES);
      this.#options.keep({
        at: new Date(sinceMs).toISOString(),
        spanS: Math.max(0, Math.round((now - sinceMs) / 1000)),
        workload,
        model,
        version,
        requests: Math.round(traffic.requests),
        errors: Math.round(traffic.errors),
        p50Ms: latencyQuantile(latency, 0.5),
        p95Ms: latencyQuantile(latency, 0.95),
        latency,
        confidence: traffic.confidence?.map(Math.round) ?? null,
        ...(top.length === 0 ? {} : { classes: top }),
      });
    }
    watched.sinceMs = now;
    watched.traffic = NO_TRAFFIC;
    watched.classes = new Map();
  }
}
