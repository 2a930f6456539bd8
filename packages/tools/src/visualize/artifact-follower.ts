import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactSummary, MetricPoint } from '@selvedge/contract';
import { describeError, type Logger, SerialRunner } from '@selvedge/runtime';
import { ArtifactEvents, type Attempt, isSame } from './artifact-events.ts';
import type { GatewayClient } from './gateway-client.ts';
import { listEventFiles } from './list-event-files.ts';
import { extrasOf } from './sample-content.ts';

/** Part of TensorBoard's rule for the names of event files: they hold "tfevents". The time would only tell when we first looked. */
const EVENT_FILE_NAME = 'events.out.tfevents.0.selvedge';
const OWN_NAME = 'visualize';

export interface FollowerOptions {
  readonly gateway: GatewayClient;
  /** Holds `<artifact>/<tool>/events.out.tfevents…` */
  readonly logdir: string;
  readonly logger: Logger;
}

/**
 * Keeps a TensorBoard log folder that shows the metrics of all artifacts of all tools: one event file per artifact, which
 * grows while the artifact is made and goes when it is deleted.
 */
export class ArtifactFollower {
  readonly #options: FollowerOptions;
  readonly #rounds = new SerialRunner();
  /** Artifacts in work, by `<artifact>/<tool>`. */
  readonly #open = new Map<string, ArtifactEvents>();
  /** Finished ones of which all is written. */
  readonly #complete = new Map<string, Attempt>();
  /** Those that have a folder; undefined until it was looked for. */
  #written: Set<string> | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /**
   * Looks at everything once and writes what is new. A tool that does not answer is left for the next round.
   *
   * @returns whether something is being made now.
   */
  round(): Promise<boolean> {
    return this.#rounds.run(() => this.#round());
  }

  async #round(): Promise<boolean> {
    const { gateway, logdir } = this.#options;
    this.#written ??= new Set((await listEventFiles(logdir)).map(({ key }) => key));
    let busy = false;
    for (const tool of await gateway.listTools()) {
      if (tool === OWN_NAME) continue;
      const artifacts = await this.#tried({ tool }, () => gateway.listArtifacts(tool));
      if (artifacts === undefined) continue;
      for (const artifact of artifacts) {
        const isBeingMade = await this.#tried({ tool, artifact: artifact.name }, () => this.#follow(tool, artifact));
        busy = (isBeingMade ?? true) || busy;
      }
      await this.#dropDeleted(this.#written, tool, new Set(artifacts.map(({ name }) => `${name}/${tool}`)));
    }
    return busy;
  }

  /** One that fails must not keep the others from being followed. */
  async #tried<T>(what: Record<string, string>, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#options.logger.warn('not followed; it is tried again', { ...what, ...describeError(error) });
      return undefined;
    }
  }

  /** @returns whether the artifact is being made. */
  async #follow(tool: string, { name, type, state }: ArtifactSummary): Promise<boolean> {
    const key = `${name}/${tool}`;
    const attempt: Attempt = { createdAt: state.createdAt, attempt: state.attempt };
    const isFinished = state.status !== 'queued' && state.status !== 'in-progress';
    if (isFinished && isSame(this.#complete.get(key), attempt)) return false;
    if (state.status === 'queued') return false;
    const events = await this.#eventsOf(key, attempt);
    if (!(events.isComplete && isSame(events.attempt, attempt))) {
      const isCurrent = isSame(events.attempt, attempt);
      const points = await this.#newPoints(tool, name, (metric) => (isCurrent ? events.countOf(metric) : 0));
      events.add(attempt, points);
      if (state.status === 'completed') await this.#addExtras(tool, name, type, { events, attempt, step: points.at(-1)?.step ?? 0 });
      if (isFinished) events.complete();
    }
    if (isFinished) {
      this.#open.delete(key);
      this.#complete.set(key, attempt);
    }
    return !isFinished;
  }

  async #eventsOf(key: string, attempt: Attempt): Promise<ArtifactEvents> {
    const folder = join(this.#options.logdir, key);
    let events = this.#open.get(key) ?? new ArtifactEvents(join(folder, EVENT_FILE_NAME));
    if (events.attempt !== undefined && events.attempt.createdAt !== attempt.createdAt) {
      // Deleted and made anew under the same name: another artifact.
      await rm(folder, { recursive: true, force: true });
      events = new ArtifactEvents(join(folder, EVENT_FILE_NAME));
    }
    this.#open.set(key, events);
    this.#written?.add(key);
    return events;
  }

  async #newPoints(tool: string, artifact: string, known: (metric: string) => number): Promise<MetricPoint[]> {
    const { gateway } = this.#options;
    const points: MetricPoint[] = [];
    for (const metric of await gateway.listMetrics(tool, artifact)) {
      points.push(...(await gateway.readPoints(tool, artifact, metric, known(metric))));
    }
    return points;
  }

  /** Pictures and histograms of a completed artifact. What cannot be read is left out: the tool that made it has the last word on it. */
  async #addExtras(
    tool: string,
    artifact: string,
    type: string,
    { events, attempt, step }: { events: ArtifactEvents; attempt: Attempt; step: number },
  ): Promise<void> {
    try {
      const values = await extrasOf(this.#options.gateway, { tool, artifact, type });
      const isCurrent = isSame(events.attempt, attempt);
      events.add(
        attempt,
        [],
        values.filter(({ tag }) => !isCurrent || events.countOf(tag) === 0),
        step,
      );
    } catch (error) {
      this.#options.logger.warn('an artifact is shown without pictures or histograms', { tool, artifact, ...describeError(error) });
    }
  }

  async #dropDeleted(written: Set<string>, tool: string, present: ReadonlySet<string>): Promise<void> {
    for (const key of written) {
      if (!key.endsWith(`/${tool}`) || present.has(key)) continue;
      await rm(join(this.#options.logdir, key), { recursive: true, force: true });
      written.delete(key);
      this.#open.delete(key);
      this.#complete.delete(key);
    }
  }
}
