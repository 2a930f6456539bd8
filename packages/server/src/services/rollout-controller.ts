import type { DesiredWorkload, InferenceModel, Rollout, RolloutDevice } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { Target } from '../domain/placement.ts';
import type { DeviceFacts } from '../domain/rollout-device.ts';
import { draftRollout, isAbout } from '../domain/rollout-draft.ts';
import { asHistory, KEPT_ROLLOUTS, rolloutName, rolloutNumber } from '../domain/rollout-history.ts';
import { isFinished, planRollout, type RolloutStep } from '../domain/rollout-plan.ts';
import { trialIdOf } from '../domain/rollout-policy.ts';
import { type Release, releaseOf } from '../domain/rollout-release.ts';
import type { Store } from '../ports/store.ts';
import { draftOf } from './draft-of.ts';
import type { FleetView } from './fleet-view.ts';

export interface RolloutControllerOptions {
  store: Store;
  view: FleetView;
  clock: () => Date;
  log: Logger;
  prepareGolden: ((rollout: Rollout) => void) | undefined;
}

interface Latest {
  rollout: Rollout;
  devices: ReadonlyMap<string, RolloutDevice>;
}
type Current = ReadonlyMap<string, readonly DesiredWorkload[]>;

/** Least time between two writes that only show progress; a large fleet's records are written more rarely still. */
const PROGRESS_MS = 1000;
const PROGRESS_MS_PER_DEVICE = 2;
/** So long a device may be gone before a rollout goes on without it: a server that has just started knows nobody. */
const AWAY_AFTER_MS = 120_000;

/**
 * Makes a Rollout of every change of an InferenceModel, and moves the newest one of each on. A part of the deployment controller's round:
 * what it lets go is written before the placement that follows from it, so that a crash in between repeats and never doubles it. What
 * matters is written at once, how devices get on now and then.
 */
export class RolloutController {
  readonly #options: RolloutControllerOptions;
  /** The newest rollout of each InferenceModel, as it is stored. */
  #latest = new Map<string, Latest>();
  /** When the record of each rollout was written last, by the monotonic clock. */
  readonly #writtenAt = new Map<string, number>();
  /** Since when devices are known to be offline, in ms since the epoch. */
  #offlineSinceMs = new Map<string, number>();

  constructor(options: RolloutControllerOptions) {
    this.#options = options;
  }

  latestOf(inferenceModel: string): Rollout | undefined {
    return this.#latest.get(inferenceModel)?.rollout;
  }

  /** What a device may have now; null: nothing. Undefined where there is no rollout. */
  releaseOf(inferenceModel: string, device: string): Release | null | undefined {
    const latest = this.#latest.get(inferenceModel);
    return latest === undefined ? undefined : releaseOf(latest.rollout, latest.devices.get(device));
  }

  /**
   * Looks at every rollout once. When it returns, everything that was let go is stored.
   *
   * @param targets - what each InferenceModel asks for.
   * @param current - what devices are told now.
   * @returns when to look again though nothing happens; null: never.
   */
  async advance(targets: ReadonlyMap<string, Target>, current: Current): Promise<number | null> {
    const { view } = this.#options;
    this.#watchPresence();
    const byModel = grouped(view.rollouts.values());
    const latest = new Map<string, Latest>();
    let nextAtMs: number | null = null;
    for (const [name, model] of view.inferenceModels) {
      const target = targets.get(name);
      const own = await this.#ofThis(model, byModel.get(name) ?? []);
      if (target === undefined) continue;
      const newest = await this.#ensure(model, target, own, current);
      if (newest === undefined) continue;
      const { rollout, atMs } = await this.#move(newest, target);
      latest.set(name, { rollout, devices: new Map(rollout.status.devices.map((device) => [device.device, device])) });
      await this.#tidy(own.filter((one) => one.metadata.name !== rollout.metadata.name));
      nextAtMs = earlier(nextAtMs, atMs);
    }
    for (const [name, orphans] of byModel) if (!view.inferenceModels.has(name)) await this.#remove(orphans);
    this.#latest = latest;
    return nextAtMs;
  }

  #watchPresence(): void {
    const nowMs = this.#options.clock().getTime();
    const since = new Map<string, number>();
    for (const [name, { status }] of this.#options.view.devices)
      if (!status.online) since.set(name, this.#offlineSinceMs.get(name) ?? nowMs);
    this.#offlineSinceMs = since;
  }

  #factsOf(inferenceModel: string, { devices }: Target): DeviceFacts[] {
    const nowMs = this.#options.clock().getTime();
    return devices.map(({ metadata, status }) => {
      const sinceMs = this.#offlineSinceMs.get(metadata.name);
      const presence = sinceMs === undefined ? 'online' : nowMs - sinceMs > AWAY_AFTER_MS ? 'away' : 'unsure';
      return { name: metadata.name, presence, report: status.workloads.find((workload) => workload.name === inferenceModel) };
    });
  }

  /** When it will be known of the first device whether it is away. */
  #surenessMs(facts: readonly DeviceFacts[]): number | null {
    const unsure = facts.filter(({ presence }) => presence === 'unsure');
    return unsure.reduce<number | null>((next, { name }) => earlier(next, (this.#offlineSinceMs.get(name) ?? 0) + AWAY_AFTER_MS + 1), null);
  }

  /** Sorted, oldest first; those of an InferenceModel that had the name before are removed. */
  async #ofThis(model: InferenceModel, all: readonly Rollout[]): Promise<Rollout[]> {
    const isOlder = (rollout: Rollout) => rollout.metadata.createdAt < model.metadata.createdAt;
    await this.#remove(all.filter(isOlder));
    return all.filter((rollout) => !isOlder(rollout)).sort((a, b) => rolloutNumber(a) - rolloutNumber(b));
  }

  async #ensure(model: InferenceModel, target: Target, own: readonly Rollout[], current: Current): Promise<Rollout | undefined> {
    const latest = own.at(-1);
    const { resolved, devices } = target;
    if ('reason' in resolved) return latest;
    const { version } = resolved.spec;
    if (latest !== undefined && isAbout(latest, model, version)) return latest;
    const { store, clock, view, log } = this.#options;
    const name = rolloutName(model.metadata.name, (latest === undefined ? 0 : rolloutNumber(latest)) + 1);
    const draft = draftRollout({ model, version, devices, latest, current, nowIso: clock().toISOString() });
    // the first step is taken with the record itself; nothing was tried yet, so that no report can answer it
    const { status } = planRollout({
      ...draft,
      devices: this.#factsOf(model.metadata.name, target),
      trialId: '',
      nowIso: clock().toISOString(),
    });
    const created = await store.create('Rollout', { name, labels: {}, annotations: {}, spec: draft.spec, status });
    view.rollouts.set(name, created);
    this.#writtenAt.set(name, performance.now());
    log.info('rollout begun', {
      rollout: name,
      from: draft.spec.fromVersion,
      to: version,
      devices: devices.length,
      cause: draft.spec.cause,
    });
    return created;
  }

  async #move(rollout: Rollout, target: Target): Promise<{ rollout: Rollout; atMs: number | null }> {
    const { clock, prepareGolden } = this.#options;
    const { spec, status, metadata } = rollout;
    if (spec.policy.golden !== undefined && spec.policy.trial !== undefined && status.golden === null && !isFinished(status))
      prepareGolden?.(rollout);
    const facts = this.#factsOf(spec.inferenceModel, target);
    const step = planRollout({ spec, status, devices: facts, trialId: trialIdOf(rollout), nowIso: clock().toISOString() });
    const atMs = earlier(step.nextAtMs, isFinished(status) ? null : this.#surenessMs(facts));
    if (step.status === status) return { rollout, atMs };
    const gapMs = PROGRESS_MS + PROGRESS_MS_PER_DEVICE * status.devices.length;
    const dueInMs = (this.#writtenAt.get(metadata.name) ?? Number.NEGATIVE_INFINITY) + gapMs - performance.now();
    if (!step.urgent && dueInMs > 0) return { rollout, atMs: clock().getTime() + dueInMs };
    return { rollout: await this.#write(rollout, step), atMs };
  }

  /** An action that came in between wins; the round that its own event starts goes on from there. */
  async #write(rollout: Rollout, step: RolloutStep): Promise<Rollout> {
    const { store, view, log } = this.#options;
    const { name, resourceVersion } = rollout.metadata;
    const written = await store.update('Rollout', name, (current) =>
      current.metadata.resourceVersion === resourceVersion ? draftOf(current, { status: step.status }) : undefined,
    );
    if (written === undefined) return rollout;
    this.#writtenAt.set(name, performance.now());
    view.rollouts.set(name, written);
    const { phase, message } = written.status;
    if (phase !== rollout.status.phase) log.info('rollout changed', { rollout: name, phase, message });
    return written;
  }

  /** Ends what newer ones have overtaken, and bounds what is kept. */
  async #tidy(older: readonly Rollout[]): Promise<void> {
    const { store, clock, view } = this.#options;
    const nowIso = clock().toISOString();
    await this.#remove(older.slice(0, Math.max(older.length - (KEPT_ROLLOUTS - 1), 0)));
    for (const rollout of older.slice(-(KEPT_ROLLOUTS - 1))) {
      if (asHistory(rollout.status, nowIso) === rollout.status) continue;
      const { name } = rollout.metadata;
      const written = await store.update('Rollout', name, (current) => draftOf(current, { status: asHistory(current.status, nowIso) }));
      if (written !== undefined) view.rollouts.set(name, written);
    }
  }

  async #remove(rollouts: readonly Rollout[]): Promise<void> {
    for (const { metadata } of rollouts) {
      try {
        await this.#options.store.delete('Rollout', metadata.name);
        this.#options.view.rollouts.delete(metadata.name);
        this.#writtenAt.delete(metadata.name);
      } catch (error) {
        this.#options.log.warn('an old rollout could not be removed', { rollout: metadata.name, ...describeError(error) });
      }
    }
  }
}

function grouped(rollouts: Iterable<Rollout>): Map<string, Rollout[]> {
  const groups = new Map<string, Rollout[]>();
  for (const rollout of rollouts) {
    const { inferenceModel } = rollout.spec;
    const group = groups.get(inferenceModel);
    if (group === undefined) groups.set(inferenceModel, [rollout]);
    else group.push(rollout);
  }
  return groups;
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}
