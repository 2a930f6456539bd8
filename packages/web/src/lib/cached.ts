import type { AnyResource, Kind, Model, ModelVersion, TelemetrySample } from '@selvedge/contract';

/** What the cache holds under its keys. */
export type KindOf<K extends Kind> = Extract<AnyResource, { kind: K }>;

/** A model with its versions, newest first. */
export interface ModelDetail {
  readonly model: Model;
  readonly versions: readonly ModelVersion[];
}

/** Samples, oldest first. */
export type Telemetry = readonly TelemetrySample[];
