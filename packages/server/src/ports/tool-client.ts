import type { Readable } from 'node:stream';
import type { ArtifactRequest, ArtifactStatus, ArtifactSummary, MetricPoint, ToolDescription, toolHealthSchema } from '@selvedge/contract';
import type * as z from 'zod';

export type ToolHealth = z.output<typeof toolHealthSchema>;

/** Base URL of a tool that is up, like `http://127.0.0.1:40001`; undefined while it is not. */
export type ToolAddress = (tool: string) => string | undefined;

/**
 * The uniform artifact API of the tools, as the server uses it.
 *
 * Every call throws AppError TOOL_UNAVAILABLE (operational) while the tool is not running or does not answer; errors that
 * the tool reports keep their code.
 */
export interface ToolClient {
  health(tool: string, signal?: AbortSignal): Promise<ToolHealth>;
  describe(tool: string): Promise<ToolDescription>;
  /** Undefined when the tool has no such artifact. */
  getStatus(tool: string, artifact: string): Promise<ArtifactStatus | undefined>;
  listArtifacts(tool: string): Promise<ArtifactSummary[]>;
  /** Idempotent for an equal request. @throws AppError CONFLICT when another request has the name. */
  createArtifact(tool: string, request: ArtifactRequest): Promise<void>;
  /** @returns false when there is none. */
  cancelArtifact(tool: string, artifact: string): Promise<boolean>;
  /** Cancels and removes. @returns false when there was none. */
  removeArtifact(tool: string, artifact: string): Promise<boolean>;
  /** Names like `train/loss`. */
  listMetrics(tool: string, artifact: string): Promise<string[]>;
  /** Points after the first `skip` ones, in order. */
  readMetricPoints(tool: string, artifact: string, metric: string, skip: number): Promise<MetricPoint[]>;
  /** One file of the artifact's data; undefined when it or the artifact is not there. */
  openFile(tool: string, artifact: string, path: string, signal?: AbortSignal): Promise<Readable | undefined>;
  /** Plain text; with `follow` the stream ends when the artifact is finished. Undefined when there is no such artifact. */
  openLog(tool: string, artifact: string, options: { follow: boolean; signal?: AbortSignal }): Promise<Readable | undefined>;
}
