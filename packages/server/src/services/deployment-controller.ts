import type { DesiredState, Device, DeviceTopic, ModelVersion, Package, Rollout, ServerEvent } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { countServing, inferenceModelStatus } from '../domain/deployment-status.ts';
import { type Placement, type PlacementInput, planPlacement, resolveTargets } from '../domain/placement.ts';
import { gateReport } from '../domain/version-gates.ts';
import type { DesiredContent, Store } from '../ports/store.ts';
import type { EventHub } from './event-hub.ts';
import { FleetView } from './fleet-view.ts';
import { RolloutController } from './rollout-controller.ts';

/** Sends a message to a device; a retained one waits for it, an empty retained one removes the one that waits. */
export type PublishToDevice = (device: string, topic: DeviceTopic, payload: string, options: { retain: boolean }) => Promise<void>;

export interface DeploymentControllerOptions {
  store: Store;
  hub: EventHub;
  publish: PublishToDevice;
  log: Logger;
  clock: () => Date;
  /** Begins to make the golden set of a rollout, which then shows in its status; asked for again until it does. */
  prepareGolden?: ((rollout: Rollout) => void) | undefined;
}

/** Changes that come together are taken together. */
const DEBOUNCE_MS = 5;
/** Least time between two rounds, so that a large fleet's reports do not make one round each. */
const MIN_ROUND_GAP_MS = 100;
/**
 * What devices say is looked at more rarely where a round takes longer, which it does in proportion to the fleet: a twentieth of the time at
 * most goes into it while thousands come back. A change of what they are to run does not wait for that.
 */
const REPORT_GAP_ROUNDS = 19;
const MAX_REPORT_GAP_MS = 2000;
const RESYNC_MS = 10_000;
/** Devices per transaction. */
const BATCH = 2000;

/**
 * Makes what devices are told follow from InferenceModels, ModelVersions and Devices, and the status of InferenceModels
 * from what devices report. Level-triggered: a round looks at everything as it is, so that a lost event or a crash
 * between two writes is mended by the next round, ten seconds later at most.
 */
export class DeploymentController {
  readonly view = new FleetView();
  readonly #options: DeploymentControllerOptions;
  /** Messages that are still being handed to connected devices; a slow one must not hold up the others. */
  readonly #deliveries = new Set<Promise<void>>();
  #desired = new Map<string, DesiredState>();
  /** Revision that each device's retained message has. */
  #published = new Map<string, number>();
  #unsubscribe: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #resync: NodeJS.Timeout | undefined;
  /** For what time alone brings about. */
  #alarm: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  /** When the timer goes off, by performance.now(). */
  #dueMs = Number.POSITIVE_INFINITY;
  /** Of the round under way. */
  #roundBeganMs: number | undefined;
  #roundEndedMs = 0;
  /** What came during the round: the least gap after which it is to be looked at. */
  #againGapMs = Number.POSITIVE_INFINITY;
  #reportGapMs = MIN_ROUND_GAP_MS;
  #running = false;
  readonly #rollouts: RolloutController;

  constructor(options: DeploymentControllerOptions) {
    this.#options = options;
    const { store, clock, log, prepareGolden } = options;
    this.#rollouts = new RolloutController({ store, view: this.view, clock, log, prepareGolden });
  }

  /** Loads everything, and returns after the first round: what devices find when they connect is up to date. */
  async start(): Promise<void> {
    const { store, hub } = this.#options;
    this.#running = true;
    this.#published = new Map();
    this.#unsubscribe = hub.subscribe((event) => {
      if (this.view.apply(event)) this.#soon(isReport(event) ? this.#reportGapMs : MIN_ROUND_GAP_MS);
    });
    this.#desired = await store.listDesiredStates();
    await this.view.load(store);
    await this.#reconcile();
    await Promise.all(this.#deliveries);
    this.#resync = setInterval(() => this.#enqueue(() => this.view.load(store).then(() => this.#reconcile())), RESYNC_MS);
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#unsubscribe?.();
    clearTimeout(this.#timer);
    clearInterval(this.#resync);
    clearTimeout(this.#alarm);
    this.#dueMs = Number.POSITIVE_INFINITY;
    await this.#round;
  }

  /** Returns after a round that has seen everything which was written before the call. */
  async settle(): Promise<void> {
    this.#enqueue(() => this.view.load(this.#options.store).then(() => this.#reconcile()));
    await this.#round;
  }

  /** @param gapMs - since the end of the round before, at least. */
  #soon(gapMs: number): void {
    if (this.#roundBeganMs !== undefined) {
      this.#againGapMs = Math.min(this.#againGapMs, gapMs);
      return;
    }
    const atMs = Math.max(performance.now() + DEBOUNCE_MS, this.#roundEndedMs + gapMs);
    if (!this.#running || atMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = atMs;
    this.#timer = setTimeout(() => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#enqueue(() => this.#reconcile());
    }, atMs - performance.now());
  }

  /** One at a time; a failure is logged and left to the next round. */
  #enqueue(work: () => Promise<void>): void {
    this.#round = this.#round.then(work).catch((error: unknown) => {
      this.#options.log.error('reconciling deployments failed', describeError(error));
    });
  }

  async #reconcile(): Promise<void> {
    if (!this.#running) return;
    this.#roundBeganMs = performance.now();
    try {
      await this.#lookAtEverything();
    } finally {
      this.#roundEnds(this.#roundBeganMs);
    }
  }

  #roundEnds(beganMs: number): void {
    this.#roundBeganMs = undefined;
    this.#roundEndedMs = performance.now();
    const gapMs = (this.#roundEndedMs - beganMs) * REPORT_GAP_ROUNDS;
    this.#reportGapMs = Math.min(Math.max(gapMs, MIN_ROUND_GAP_MS), MAX_REPORT_GAP_MS);
    const againGapMs = this.#againGapMs;
    this.#againGapMs = Number.POSITIVE_INFINITY;
    if (Number.isFinite(againGapMs)) this.#soon(againGapMs);
  }

  async #lookAtEverything(): Promise<void> {
    const { view } = this;
    const packagesOf = remembered((model, version) => view.packagesOf(model, version));
    const input: PlacementInput = {
      inferenceModels: [...view.inferenceModels.values()],
      devices: [...view.devices.values()],
      findModel: (name) => view.models.get(name),
      findVersion: (model, version) => view.findVersion(model, version),
      packagesOf,
      gatesOf: (version, devices) =>
        gateReport(version, view.taskOf(version), packagesOf(version.spec.model, version.spec.version), devices),
      current: new Map([...this.#desired].map(([device, state]) => [device, state.workloads])),
      releaseOf: (inferenceModel, device) => this.#rollouts.releaseOf(inferenceModel, device),
    };
    const targets = resolveTargets(input);
    // what a rollout lets go is on disk before a device is told
    const againAtMs = await this.#rollouts.advance(targets, input.current);
    this.#wakeAt(againAtMs);
    const placement = planPlacement(input, targets);
    await this.#tellDevices(placement);
    await this.#writeStatuses(placement);
  }

  #wakeAt(atMs: number | null): void {
    clearTimeout(this.#alarm);
    if (atMs === null) return;
    const waitMs = Math.min(Math.max(atMs - this.#options.clock().getTime(), DEBOUNCE_MS), RESYNC_MS);
    this.#alarm = setTimeout(() => this.#soon(MIN_ROUND_GAP_MS), waitMs);
  }

  async #tellDevices({ workloads }: Placement): Promise<void> {
    const changes = new Map<string, DesiredContent>();
    for (const [device, wanted] of workloads) {
      const known = this.#desired.get(device);
      const content = { workloads: [...wanted], ...budgetsOf(this.view.devices.get(device)) };
      if (known === undefined || !isSame(known, content)) changes.set(device, content);
    }
    for (const [device, state] of this.#desired) {
      if (!workloads.has(device) && !isSame(state, { workloads: [] })) changes.set(device, { workloads: [] }); // the device was removed
    }
    const entries = [...changes];
    for (let start = 0; start < entries.length; start += BATCH) {
      const written = await this.#options.store.replaceDesiredStates(new Map(entries.slice(start, start + BATCH)));
      for (const [device, state] of written) this.#desired.set(device, state);
      this.#publish(written.keys(), workloads);
    }
    this.#publish(this.#desired.keys(), workloads);
  }

  #publish(devices: Iterable<string>, workloads: ReadonlyMap<string, unknown>): void {
    for (const device of devices) {
      const state = this.#desired.get(device);
      const published = this.#published.get(device);
      if (state === undefined) continue;
      if (!workloads.has(device)) {
        if (published !== undefined) this.#deliver(device, '');
        this.#published.delete(device);
      } else if (published !== state.revision) {
        this.#published.set(device, state.revision);
        this.#deliver(device, JSON.stringify(state));
      }
    }
  }

  #deliver(device: string, payload: string): void {
    const { publish, log } = this.#options;
    const delivery = publish(device, 'desired', payload, { retain: true }).catch((error: unknown) => {
      this.#published.delete(device); // the next round sends it again
      log.error('a desired state could not be sent', { device, ...describeError(error) });
    });
    this.#deliveries.add(delivery);
    void delivery.finally(() => this.#deliveries.delete(delivery));
  }

  async #writeStatuses({ outcomes }: Placement): Promise<void> {
    const { store, clock } = this.#options;
    const nowIso = clock().toISOString();
    for (const [name, outcome] of outcomes) {
      const model = this.view.inferenceModels.get(name);
      if (model === undefined) continue;
      const status = inferenceModelStatus(model, outcome, (device) => this.view.devices.get(device), nowIso, this.#rollouts.latestOf(name));
      if (JSON.stringify(status) === JSON.stringify(model.status)) continue;
      await store.update('InferenceModel', name, (current) => {
        // an edit that came in between is left to the round that its own event starts
        if (current.metadata.generation !== model.metadata.generation) return undefined;
        const { labels, annotations } = current.metadata;
        return { name, labels, annotations, spec: current.spec, status };
      });
    }
    await this.#writeVersions();
  }

  async #writeVersions(): Promise<void> {
    const counts = countServing(this.view.devices.values());
    for (const [key, version] of this.view.versions) {
      const servedBy = counts.get(key) ?? 0;
      const gates = this.#gatesOf(version);
      if (version.status.servedBy === servedBy && JSON.stringify(version.status.gates) === JSON.stringify(gates)) continue;
      await this.#options.store.update('ModelVersion', version.metadata.name, ({ metadata, spec }) => {
        const { name, labels, annotations } = metadata;
        return { name, labels, annotations, spec, status: { servedBy, ...(gates === undefined ? {} : { gates }) } };
      });
    }
  }

  /** How a version does wherever it was measured. */
  #gatesOf(version: ModelVersion) {
    const { view } = this;
    const task = view.taskOf(version);
    if (task === undefined) return undefined;
    const packages = view.packagesOf(version.spec.model, version.spec.version);
    const measured = new Set(packages.flatMap(({ status }) => status.benchmarks.map((benchmark) => benchmark.device)));
    const devices = [...view.devices.values()].filter((device) => measured.has(device.metadata.name));
    return gateReport(version, task, packages, devices)?.results;
  }
}

/** A device has said something, or was edited. */
function isReport(event: ServerEvent): boolean {
  return event.type === 'resource' && event.resource.kind === 'Device' && event.action === 'written';
}

function budgetsOf(device: Device | undefined): Pick<DesiredContent, 'budgets'> {
  const budgets = device?.spec.budgets;
  return budgets === undefined || Object.keys(budgets).length === 0 ? {} : { budgets };
}

function isSame(a: DesiredContent, b: DesiredContent): boolean {
  if (a.workloads.length !== b.workloads.length || (a.budgets === undefined) !== (b.budgets === undefined)) return false;
  if (a.budgets !== undefined && JSON.stringify(a.budgets) !== JSON.stringify(b.budgets)) return false;
  return a.workloads.length === 0 || JSON.stringify(a.workloads) === JSON.stringify(b.workloads);
}

/** Looks once per version and round, not once per device. */
function remembered(look: (model: string, version: string) => Package[]): (model: string, version: string) => Package[] {
  const known = new Map<string, Package[]>();
  return (model, version) => {
    const key = `${model}/${version}`;
    const packages = known.get(key) ?? look(model, version);
    known.set(key, packages);
    return packages;
  };
}
