import type {
  AnyResource,
  DesiredState,
  KINDS,
  Kind,
  MetricPoint,
  ResultSummary,
  SpoolRange,
  TakenNumbers,
  TelemetryBatch,
  TelemetrySample,
} from '@selvedge/contract';
import type * as z from 'zod';
import type { JoinStore } from './join-store.ts';
import type { MlflowStore } from './mlflow-store.ts';

export type ResourceOf<K extends Kind> = z.output<(typeof KINDS)[K]['resource']>;

/** What a caller decides about a resource; the store adds uid, generation, resourceVersion and the times. */
export interface ResourceDraft<K extends Kind> {
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  spec: ResourceOf<K>['spec'];
  status: ResourceOf<K>['status'];
}

export interface ListQuery {
  /** Equality per label; all must hold. */
  labels?: Record<string, string>;
  /** At most this many, 1..1000; default 1000. */
  limit?: number;
  /** Name after which the page begins (names sort by code point). */
  after?: string;
}

/** See ResourceStore.listStamps. */
export function stampOf({ metadata }: AnyResource): string {
  return `${metadata.uid}/${metadata.resourceVersion}`;
}

/** Who reads a resource must not change it: others may have been given the same one. */
export interface ResourceStore {
  get<K extends Kind>(kind: K, name: string): Promise<ResourceOf<K> | undefined>;
  /** Sorted by name; `next` is the `after` of the following page. */
  list<K extends Kind>(kind: K, query?: ListQuery): Promise<{ items: ResourceOf<K>[]; next: string | null }>;
  /** By name, a text that differs whenever the resource does: how a reader that knows them all finds what it has missed. */
  listStamps(kind: Kind): Promise<ReadonlyMap<string, string>>;
  /** @throws AppError CONFLICT (user) when the name is taken. */
  create<K extends Kind>(kind: K, draft: ResourceDraft<K>): Promise<ResourceOf<K>>;
  /**
   * Reads, changes and writes in one transaction. `change` is synchronous and may be called more than once; it returns
   * undefined (or a draft equal to the current one) to leave things as they are. `generation` grows when the spec
   * changed, `resourceVersion` with every write.
   * @returns the resource as it is now, undefined when there is none.
   */
  update<K extends Kind>(
    kind: K,
    name: string,
    change: (current: ResourceOf<K>) => ResourceDraft<K> | undefined,
  ): Promise<ResourceOf<K> | undefined>;
  /** @returns false when there was none. */
  delete(kind: Kind, name: string): Promise<boolean>;
}

/** What a device has measured, as it arrives. */
export type TelemetryWrite = Pick<TelemetryBatch, 'samples' | 'results'> & { spool?: Omit<SpoolRange, 'waiting'> | undefined };

export interface ResultRange {
  sinceIso: string;
  /** Exclusive. */
  untilIso?: string | undefined;
  workload?: string | undefined;
  model?: string | undefined;
  version?: string | undefined;
  /** Default and at most 10,000. */
  max?: number | undefined;
}

export interface SeriesStore {
  /** Idempotent: a point with the same run, metric and step replaces the earlier one. */
  appendMetricPoints(run: string, points: readonly MetricPoint[]): Promise<void>;
  /**
   * Sorted by metric, then step.
   * @param options.max - at most so many of each metric (3 to 10,000), chosen by `downsample`; without it all.
   */
  readMetricPoints(run: string, options?: { max?: number | undefined }): Promise<MetricPoint[]>;
  /** Idempotent per device and time; of a batch with `spool`, also per number: all of it is stored, and its numbers noted, or nothing is. */
  appendTelemetry(device: string, batch: TelemetryWrite): Promise<void>;
  /** Numbers of the device's records that are stored, of the spools that it sent from last, the latest first; at most so many ranges of each. */
  readTakenNumbers(device: string, max: { spools: number; ranges: number }): Promise<TakenNumbers[]>;
  /** Oldest first, at most 10,000. */
  readTelemetry(device: string, sinceIso: string): Promise<TelemetrySample[]>;
  /** Oldest first, at most 10,000. */
  readResults(device: string, range: ResultRange): Promise<ResultSummary[]>;
  /**
   * Removes samples and results older than this; returns how many.
   * @param summariesBeforeIso - for what stands for an hour or more, or for several samples.
   */
  pruneTelemetry(beforeIso: string, summariesBeforeIso: string): Promise<number>;
}

export interface CredentialStore {
  /** Secrets are stored as sha256 only. */
  saveLoginCode(code: { codeSha256: string; user: string; expiresAt: string }): Promise<void>;
  /** Works once. */
  takeLoginCode(codeSha256: string, nowIso: string): Promise<{ user: string } | undefined>;
  saveSession(session: { idSha256: string; user: string; expiresAt: string }): Promise<void>;
  findSession(idSha256: string, nowIso: string): Promise<{ user: string } | undefined>;
  deleteSession(idSha256: string): Promise<void>;
}

export interface LeaseStore {
  /** True when `owner` holds the lease until `untilIso` after this call: it was free, expired at `nowIso`, or its own already. */
  acquireLease(name: string, owner: string, nowIso: string, untilIso: string): Promise<boolean>;
  releaseLease(name: string, owner: string): Promise<void>;
}

/** A client certificate that was issued but not yet used; the one in the Device resource stays valid until it is. */
export interface PendingCertificate {
  /** Of the Device resource that it was issued to: a device that is made anew under the same name has another. */
  deviceUid: string;
  serial: string;
  /** sha256 of the DER, 64 hexadecimal digits. */
  fingerprint256: string;
  notAfter: string;
  /** sha256 of the authority that issued it. */
  issuerSha256?: string;
  /** sha256 of the device's public key (SPKI, DER). */
  keySha256?: string;
}

/** What a device is told, without its revision. */
export type DesiredContent = Pick<DesiredState, 'workloads' | 'budgets'>;

export interface DeviceRecordStore {
  /** Replaces an earlier one of the same device. */
  savePendingCertificate(device: string, certificate: PendingCertificate): Promise<void>;
  readPendingCertificate(device: string): Promise<PendingCertificate | undefined>;
  deletePendingCertificate(device: string): Promise<void>;
  /** What each device was last told, by device name. */
  listDesiredStates(): Promise<Map<string, DesiredState>>;
  readDesiredState(device: string): Promise<DesiredState | undefined>;
  /**
   * Stores what devices are told, all of them in one transaction. A device's revision grows by one when its workloads or budgets
   * differ from the stored ones; the first is 1. It never falls, also when a device is removed and made anew.
   * @param changes - by device name.
   * @returns the states of these devices as they hold now.
   */
  replaceDesiredStates(changes: ReadonlyMap<string, DesiredContent>): Promise<Map<string, DesiredState>>;
}

/** What a step has made, by what decides it. */
export interface StepResult {
  /** sha256 over tool, version, code, parameters and inputs. */
  key: string;
  tool: string;
  artifact: string;
  run: string;
  step: string;
}

export interface StepResultStore {
  /** Replaces an earlier one of the same key. */
  saveStepResult(result: StepResult): Promise<void>;
  findStepResult(key: string): Promise<StepResult | undefined>;
}

/** What the server remembers of a pipeline's trigger. */
export interface TriggerState {
  /** Where watching stands: the time of the last look at a schedule, the last version of a dataset, the last side of a threshold. */
  cursor: string | null;
  /** Events that have not become a run yet; `id` is the run's key, so that a crash in between does not make two. */
  pending: { id: string; dueAt: string; events: number; detail: string; by: string } | null;
  lastFiredAt: string | null;
  lastRun: string | null;
}

export interface TriggerStore {
  readTriggerState(pipeline: string, trigger: string): Promise<TriggerState | undefined>;
  /** Reads, changes and writes in one transaction; `change` may be called more than once. */
  updateTriggerState(pipeline: string, trigger: string, change: (current: TriggerState) => TriggerState): Promise<TriggerState>;
  /** Removes state and secret. */
  deleteTrigger(pipeline: string, trigger: string): Promise<void>;
  /** Names by pipeline of all that there is state of. */
  listTriggers(): Promise<{ pipeline: string; trigger: string }[]>;
  /** Replaces an earlier one. */
  saveTriggerSecret(pipeline: string, trigger: string, secret: string): Promise<void>;
  readTriggerSecret(pipeline: string, trigger: string): Promise<string | undefined>;
  /** @returns false when this signature was seen before; those of before `forgetBeforeIso` are forgotten. */
  recordDelivery(signature: string, nowIso: string, forgetBeforeIso: string): Promise<boolean>;
}

/**
 * All state of the server but blobs. Every acknowledged write survives `kill -9`. Every write of a resource is announced
 * through the callback that the adapter is given, after commit.
 *
 * Adapters run the suite in store.contract.ts.
 */
export interface Store extends ResourceStore, SeriesStore, CredentialStore, DeviceRecordStore, LeaseStore, StepResultStore, TriggerStore {
  readonly joins: JoinStore;
  readonly mlflow: MlflowStore;
  close(): Promise<void>;
}

export type ChangeAction = 'written' | 'deleted';
export type AnnounceChange = (action: ChangeAction, resource: AnyResource) => void;
