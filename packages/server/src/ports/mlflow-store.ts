import type { Comparison, Ordering } from '../domain/mlflow/search.ts';

export const MLFLOW_RUN_STATUSES = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const;
export type MlflowRunStatus = (typeof MLFLOW_RUN_STATUSES)[number];
export type MlflowLifecycle = 'active' | 'deleted';

export interface MlflowTag {
  readonly key: string;
  readonly value: string;
}

export interface MlflowExperiment {
  readonly id: number;
  readonly name: string;
  readonly lifecycle: MlflowLifecycle;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly tags: readonly MlflowTag[];
}

export interface MlflowMetric {
  readonly key: string;
  /** May be infinite or NaN. */
  readonly value: number;
  readonly atMs: number;
  readonly step: number;
}

export interface MlflowRunInfo {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly experiment: number;
  readonly name: string;
  readonly user: string;
  readonly status: MlflowRunStatus;
  readonly startMs: number;
  readonly endMs: number | null;
  readonly lifecycle: MlflowLifecycle;
}

export interface MlflowRun extends MlflowRunInfo {
  /** The newest value of each: of the highest step, and among equal steps of the latest time. */
  readonly metrics: readonly MlflowMetric[];
  readonly params: readonly MlflowTag[];
  readonly tags: readonly MlflowTag[];
}

export interface MlflowRunSearch {
  readonly experiments: readonly number[];
  readonly filter: readonly Comparison[];
  /** Where it does not decide: newest start first, then by id. */
  readonly order: readonly Ordering[];
  readonly lifecycles: readonly MlflowLifecycle[];
  readonly offset: number;
  readonly limit: number;
}

export interface MlflowArtifact {
  /** Below the run's folder, parts joined by "/". */
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** What clients of MLflow's tracking API have logged; each call is one transaction. */
export interface MlflowStore {
  /** @returns undefined when the name is taken. */
  createExperiment(experiment: Omit<MlflowExperiment, 'id'>): Promise<MlflowExperiment | undefined>;
  getExperiment(by: { id: number } | { name: string }): Promise<MlflowExperiment | undefined>;
  /** Newest first. */
  listExperiments(query: { lifecycles: readonly MlflowLifecycle[]; offset: number; limit: number }): Promise<MlflowExperiment[]>;
  /** @returns false when there is none. @throws AppError CONFLICT (user) when the new name is taken. */
  updateExperiment(
    id: number,
    change: { name?: string; lifecycle?: MlflowLifecycle; tag?: MlflowTag; updatedMs: number },
  ): Promise<boolean>;

  createRun(run: MlflowRunInfo, tags: readonly MlflowTag[]): Promise<void>;
  getRun(id: string): Promise<MlflowRun | undefined>;
  /** @returns false when there is none. */
  updateRun(id: string, change: Partial<Pick<MlflowRunInfo, 'name' | 'status' | 'endMs' | 'lifecycle'>>): Promise<boolean>;
  searchRuns(search: MlflowRunSearch): Promise<MlflowRun[]>;
  /**
   * Adds points, parameters and tags to a run: all or nothing. The same point or parameter again changes nothing; tags replace.
   * @throws AppError INPUT_INVALID (user) when a parameter has another value already.
   */
  log(run: string, entries: { metrics: readonly MlflowMetric[]; params: readonly MlflowTag[]; tags: readonly MlflowTag[] }): Promise<void>;
  /** @returns false when there is none. */
  deleteTag(run: string, key: string): Promise<boolean>;
  /** All points of one metric: by step, then time. */
  readMetric(run: string, key: string, page: { offset: number; limit: number }): Promise<MlflowMetric[]>;

  /** Replaces what is at the path. */
  saveArtifact(run: string, artifact: MlflowArtifact): Promise<void>;
  getArtifact(run: string, path: string): Promise<MlflowArtifact | undefined>;
  /** Sorted by path; those below `folder` ("" for all). */
  listArtifacts(run: string, folder: string): Promise<MlflowArtifact[]>;
  /** Those of the digests that an artifact of some run has, deleted runs included. */
  contentsAmong(digests: readonly string[]): Promise<Set<string>>;
  /** The file at the path and all below it; returns how many. */
  deleteArtifacts(run: string, path: string): Promise<number>;
}
