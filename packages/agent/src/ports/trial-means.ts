import type { ModelProcess } from './model-process.ts';

/** Which file a golden set is, and whom it is to be asked of. */
export interface GoldenRequest {
  workload: string;
  golden: { sha256: string; sizeBytes: number };
  /** Loopback port of the version on trial. */
  port: number;
  /** That of the version of before, when both are to be compared. */
  previousPort: number | null;
}

export interface GoldenResult {
  samples: number;
  /** 0..1. */
  accuracy: number;
  previousAccuracy: number | null;
}

/** What stands between the serving port and two versions. */
export interface ProxyRequest {
  workload: string;
  mode: 'shadow' | 'split';
  /** Of the requests that the version on trial answers, with mode `split`. */
  share: number;
  /** Makes the choice of requests repeatable. */
  seed: string;
  port: number;
  previousPort: number;
}

/** What trials need of the device. All of it is loaded with the first trial only. */
export interface TrialMeans {
  /** Of the device, degrees Celsius; null where it has no sensor. */
  temperatureC(): Promise<number | null>;
  /** Memory that processes can still have, bytes. */
  availableBytes(): number;
  /**
   * Fetches a golden set, verifies it, and asks it.
   * @throws AppError SIGNATURE_INVALID, INPUT_INVALID (user), WORKLOAD_FAILED (operational); as fetching a version does.
   */
  askGolden(request: GoldenRequest, signal: AbortSignal): Promise<GoldenResult>;
  /**
   * Starts a trial proxy; it is handed connections as a model server is, and `read('/trial')` gives its counts.
   * @throws AppError WORKLOAD_FAILED (operational).
   */
  startProxy(request: ProxyRequest, signal: AbortSignal): Promise<ModelProcess>;
}
