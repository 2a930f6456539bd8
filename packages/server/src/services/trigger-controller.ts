import { randomUUID } from 'node:crypto';
import { type Pipeline, type Run, type RunCause, toAppError, triggerKindOf } from '@selvedge/contract';
import { describeError, type Logger, sleep } from '@selvedge/runtime';
import { FIRING_LABEL } from '../domain/run-markers.ts';
import { isFinishedPhase } from '../domain/run-view.ts';
import {
  debounceMsOf,
  type Look,
  lookAtDataset,
  lookAtMetric,
  lookAtSchedule,
  type NamedTrigger,
  namedTriggers,
} from '../domain/trigger-plan.ts';
import type { Store, TriggerState } from '../ports/store.ts';
import { DriftWatch } from './drift-watch.ts';
import type { EventHub } from './event-hub.ts';
import type { RunService } from './run-service.ts';
import { nextScheduled } from './trigger-schedule.ts';
import { withEvent } from './trigger-service.ts';

const TICK_MS = 1000;
/** How often the store is asked for pipelines that nobody announced, in ticks. */
const TICKS_PER_SCAN = 30;

export interface TriggerControllerOptions {
  store: Store;
  runs: RunService;
  hub: EventHub;
  clock: () => Date;
  log: Logger;
}

/**
 * Watches what triggers wait for, and starts runs of it.
 *
 * Invariants: where watching stands and what has happened is in the store before it is acted on; a firing has an id that its
 * run carries, so that one that was begun before a crash is not begun again; at most one run of a trigger is at work, what
 * happens meanwhile becomes one further run.
 */
export class TriggerController {
  readonly #options: TriggerControllerOptions;
  readonly #drift: DriftWatch;
  /** Looks that take their time, by pipeline and trigger. */
  readonly #looking = new Map<string, Promise<void>>();
  #pipelines = new Map<string, Pipeline>();

  constructor(options: TriggerControllerOptions) {
    this.#options = options;
    this.#drift = new DriftWatch(options);
  }

  /** Until the signal aborts. Only one server may do this at a time. */
  async work(signal: AbortSignal): Promise<void> {
    let wake = new AbortController();
    const unsubscribe = this.#options.hub.subscribe((event) => {
      if (event.type !== 'resource' || event.resource.kind !== 'Pipeline') return;
      if (event.action === 'written') this.#keep(event.resource);
      else this.#pipelines.delete(event.resource.metadata.name);
      // A new trigger's first look says what is old: what comes a moment after it was applied must count as new.
      wake.abort();
    });
    try {
      for (let tick = 0; !signal.aborted; tick += 1) {
        if (tick % TICKS_PER_SCAN === 0)
          await this.#scan().catch((error: unknown) => this.#options.log.error('triggers could not be listed', describeError(error)));
        await this.#tick(signal);
        await sleep(TICK_MS, AbortSignal.any([signal, wake.signal])).catch(() => undefined); // woken early or stopped
        if (wake.signal.aborted) wake = new AbortController();
      }
    } finally {
      unsubscribe();
      await Promise.all(this.#looking.values());
    }
  }

  #keep(pipeline: Pipeline): void {
    if ((pipeline.spec.triggers ?? []).length > 0) this.#pipelines.set(pipeline.metadata.name, pipeline);
    else this.#pipelines.delete(pipeline.metadata.name);
  }

  async #scan(): Promise<void> {
    const remembered = await this.#options.store.listTriggers(); // before the pipelines, or a new one's would seem left over
    this.#pipelines = new Map();
    for (let after: string | null | undefined; after !== null; ) {
      const page = await this.#options.store.list('Pipeline', after === undefined ? {} : { after });
      for (const pipeline of page.items) this.#keep(pipeline);
      after = page.next;
    }
    for (const { pipeline, trigger } of remembered) {
      const known = namedTriggers(this.#pipelines.get(pipeline)?.spec.triggers).some(({ name }) => name === trigger);
      if (!known) await this.#options.store.deleteTrigger(pipeline, trigger);
    }
  }

  async #tick(signal: AbortSignal): Promise<void> {
    for (const pipeline of [...this.#pipelines.values()]) {
      for (const trigger of namedTriggers(pipeline.spec.triggers)) {
        try {
          if (triggerKindOf(trigger.spec) === 'drift') this.#watchBeside(pipeline, trigger, signal);
          else await this.#watch(pipeline, trigger, signal);
          await this.#fireWhenDue(pipeline.metadata.name, trigger);
        } catch (error) {
          this.#failed(pipeline, trigger, error);
        }
      }
    }
  }

  #failed(pipeline: Pipeline, trigger: NamedTrigger, error: unknown): void {
    const about = { pipeline: pipeline.metadata.name, trigger: trigger.name };
    this.#options.log.error('a trigger could not be looked at; it is tried again', { ...about, ...describeError(error) });
  }

  /** Reading what a fleet has answered takes its time: a schedule that waited for it would be late. */
  #watchBeside(pipeline: Pipeline, trigger: NamedTrigger, signal: AbortSignal): void {
    const key = `${pipeline.metadata.name}/${trigger.name}`;
    if (this.#looking.has(key)) return;
    const looking = this.#watch(pipeline, trigger, signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.#failed(pipeline, trigger, error);
      })
      .finally(() => this.#looking.delete(key));
    this.#looking.set(key, looking);
  }

  async #watch(pipeline: Pipeline, trigger: NamedTrigger, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#options;
    const { name } = pipeline.metadata;
    const before = await store.readTriggerState(name, trigger.name);
    const look = await this.#look(pipeline, trigger, before?.cursor ?? null, signal);
    if (look === undefined || (before !== undefined && look.event === null && isSameCursor(trigger, before.cursor, look.cursor))) return;
    const now = clock();
    await store.updateTriggerState(name, trigger.name, (state) => {
      const moved = { ...state, cursor: look.cursor };
      return look.event === null ? moved : withEvent(moved, trigger, look.event, now);
    });
  }

  async #look(pipeline: Pipeline, { name, spec }: NamedTrigger, cursor: string | null, signal: AbortSignal): Promise<Look | undefined> {
    const { store, clock } = this.#options;
    if (spec === 'manual' || 'manual' in spec || 'webhook' in spec) return undefined;
    if ('schedule' in spec) return lookAtSchedule(spec.missed ?? 'skip', cursor, clock().toISOString(), (iso) => nextScheduled(spec, iso));
    if ('dataset' in spec) {
      const dataset = await store.get('Dataset', spec.dataset);
      return lookAtDataset(spec.dataset, cursor, dataset?.status.latestVersion ?? null);
    }
    if ('drift' in spec) return this.#drift.look(`${pipeline.metadata.name}/${name}`, spec.drift, cursor, signal);
    const source = spec.metric.pipeline ?? pipeline.metadata.name;
    return lookAtMetric(spec.metric, cursor, await this.#newestValue(source, spec.metric.name));
  }

  /** Of the pipeline's last run, once it has succeeded. */
  async #newestValue(pipeline: string, metric: string): Promise<{ value: number; run: string } | undefined> {
    const { store } = this.#options;
    const last = (await store.get('Pipeline', pipeline))?.status.lastRun;
    const run = last == null ? undefined : await store.get('Run', last);
    if (run?.status.phase !== 'Succeeded') return undefined;
    const value =
      run.status.metrics[metric] ?? run.status.steps.findLast((step) => step.metrics?.[metric] !== undefined)?.metrics?.[metric];
    return value === undefined ? undefined : { value, run: run.metadata.name };
  }

  async #fireWhenDue(pipeline: string, trigger: NamedTrigger): Promise<void> {
    const { store, clock, log } = this.#options;
    const state = await store.readTriggerState(pipeline, trigger.name);
    const pending = state?.pending;
    const nowIso = clock().toISOString();
    if (state === undefined || pending == null || pending.dueAt > nowIso || (await this.#isAtWork(state))) return;
    const begun = (await store.list('Run', { labels: { [FIRING_LABEL]: pending.id } })).items[0];
    const run = begun ?? (await this.#start(pipeline, trigger, pending));
    if (run !== undefined) log.info('trigger fired', { pipeline, trigger: trigger.name, run: run.metadata.name, events: pending.events });
    await store.updateTriggerState(pipeline, trigger.name, (current) => ({
      ...current,
      pending: leftOf(current.pending, pending, new Date(Date.parse(nowIso) + debounceMsOf(trigger.spec))),
      lastFiredAt: nowIso,
      lastRun: run?.metadata.name ?? current.lastRun,
    }));
  }

  async #isAtWork({ lastRun }: TriggerState): Promise<boolean> {
    const run = lastRun === null ? undefined : await this.#options.store.get('Run', lastRun);
    return run !== undefined && !isFinishedPhase(run.status.phase);
  }

  /** Undefined when the pipeline cannot be run as it is: that is said once, not once a second. */
  async #start(pipeline: string, trigger: NamedTrigger, pending: NonNullable<TriggerState['pending']>): Promise<Run | undefined> {
    const { by, detail, events, id } = pending;
    const cause: RunCause = { type: 'trigger', by, trigger: trigger.name, detail, events };
    try {
      return await this.#options.runs.start(pipeline, {}, cause, { [FIRING_LABEL]: id });
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.kind !== 'user') throw error;
      this.#options.log.warn('a trigger fired, but its pipeline cannot be run', {
        pipeline,
        trigger: trigger.name,
        ...describeError(error),
      });
      return undefined;
    }
  }
}

/** What came while the run was being started is not lost: it waits for a run of its own. */
function leftOf(current: TriggerState['pending'], fired: NonNullable<TriggerState['pending']>, due: Date): TriggerState['pending'] {
  if (current?.id !== fired.id) return current;
  const events = current.events - fired.events;
  return events <= 0 ? null : { ...current, id: randomUUID(), dueAt: due.toISOString(), events };
}

/** A schedule's cursor only says from when on to look: it need not be written each second. */
function isSameCursor({ spec }: NamedTrigger, before: string | null, now: string | null): boolean {
  return before === now || (before !== null && spec !== 'manual' && 'schedule' in spec);
}
