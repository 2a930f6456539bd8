import type { DesiredState, WorkloadReport } from '@selvedge/contract';
import { type AgentState, EMPTY_STATE, isNewer } from '../domain/agent-state.ts';
import type { ModelProcess } from '../ports/model-process.ts';
import type { ServingPort } from '../ports/serving-port.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { VersionStore } from '../ports/version-store.ts';
import { WorkloadKeeper } from './workload-keeper.ts';
import type { KeeperContext } from './workload-keeper-options.ts';

export interface ReconcilerOptions extends KeeperContext {
  states: StateStore;
  versions: VersionStore;
  makePort: () => ServingPort;
  /** What the server tells about budgets has changed. */
  onBudgets: (budgets: DesiredState['budgets']) => void;
}

/** Keeps every workload of the desired state, each on its own, so that a slow download holds up nothing else. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #keepers = new Map<string, WorkloadKeeper>();
  #state: AgentState = EMPTY_STATE;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Takes up what was saved: serves again at once, without waiting for the network. */
  async start(): Promise<void> {
    this.#state = (await this.#options.states.load()) ?? EMPTY_STATE;
    const wanted = this.#state.desired?.workloads ?? [];
    for (const [name, saved] of Object.entries(this.#state.workloads)) this.#keepers.set(name, this.#makeKeeper(name, saved));
    for (const name of this.#keepers.keys())
      if (!wanted.some((workload) => workload.name === name)) this.#keepers.get(name)?.setDesired(null);
    this.#spread();
  }

  /** Revision of the desired state that is being followed; 0 before the first. */
  get observedRevision(): number {
    return this.#state.desired?.revision ?? 0;
  }

  /** Takes over a desired state, unless it is older than the known one. It is on disk when this resolves. */
  async apply(desired: DesiredState): Promise<void> {
    if (!isNewer(desired, this.#state.desired)) {
      this.#options.log.warn('an old desired state was ignored', { revision: desired.revision, known: this.observedRevision });
      return;
    }
    const isSame = JSON.stringify(desired) === JSON.stringify(this.#state.desired);
    const areOthers = JSON.stringify(desired.budgets) !== JSON.stringify(this.#state.desired?.budgets);
    // Before versions are fetched.
    if (areOthers) this.#options.onBudgets(desired.budgets);
    this.#state = { ...this.#state, desired };
    this.#spread();
    if (areOthers) {
      this.retryNetwork();
      this.#wakeAll();
    }
    this.#options.onChange();
    if (!isSame) await this.#save();
  }

  retryNetwork(): void {
    for (const keeper of this.#keepers.values()) keeper.retryNetwork();
  }

  /** It may be another time than was believed: windows are looked at again. */
  timeKnown(): void {
    this.#wakeAll();
  }

  reports(): WorkloadReport[] {
    return [...this.#keepers.values()].flatMap((keeper) => keeper.report() ?? []);
  }

  serving(workload: string): ModelProcess | undefined {
    return this.#keepers.get(workload)?.serving();
  }

  has(workload: string): boolean {
    return this.#keepers.has(workload);
  }

  /** See {@link WorkloadKeeper.restart}. */
  restart(workload: string): boolean {
    return this.#keepers.get(workload)?.restart() ?? false;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#keepers.values()].map((keeper) => keeper.stop()));
  }

  #wakeAll(): void {
    for (const keeper of this.#keepers.values()) keeper.wake();
  }

  #spread(): void {
    const wanted = this.#state.desired?.workloads ?? [];
    for (const workload of wanted) {
      const keeper = this.#keepers.get(workload.name) ?? this.#makeKeeper(workload.name);
      this.#keepers.set(workload.name, keeper);
      keeper.setDesired(workload);
    }
    for (const [name, keeper] of this.#keepers) if (!wanted.some((workload) => workload.name === name)) keeper.setDesired(null);
  }

  #makeKeeper(name: string, saved?: AgentState['workloads'][string]): WorkloadKeeper {
    const { versions, makePort, onBudgets: _, ...context } = this.#options;
    const keeper: WorkloadKeeper = new WorkloadKeeper(
      {
        ...context,
        name,
        store: versions,
        port: makePort(),
        onSave: () => this.#save(),
        onGone: () => void this.#forget(name, keeper),
      },
      saved,
    );
    return keeper;
  }

  async #forget(name: string, keeper: WorkloadKeeper): Promise<void> {
    if (this.#keepers.get(name) !== keeper) return;
    this.#keepers.delete(name);
    this.#options.onChange();
    try {
      await this.#save();
    } catch (error) {
      this.#options.log.error('the state could not be saved', { error: error instanceof Error ? error.message : String(error) });
    }
  }

  async #save(): Promise<void> {
    const workloads = Object.fromEntries([...this.#keepers].map(([name, keeper]) => [name, keeper.saved()]));
    this.#state = { ...this.#state, workloads };
    await this.#options.states.save(this.#state);
  }
}
