import {
  API_VERSION,
  AppError,
  issuesOf,
  KINDS,
  type Kind,
  type ResultSummary,
  resultSummarySchema,
  sampleSummarySchema,
  type TelemetrySample,
} from '@selvedge/contract';
import type { Selectable } from 'kysely';
import type * as z from 'zod';
import type { ResourceDraft, ResourceOf } from '../../ports/store.ts';
import type { Database } from './schema.ts';

export type ResourceRow = Selectable<Database['resources']>;

function corrupt(row: string, cause: unknown, issues?: { path: string; message: string }[]): AppError {
  return new AppError(
    'INTERNAL',
    {
      message: `The stored row ${row} is corrupt.`,
      hint: 'Restore the database from a backup, or delete the row.',
      ...(issues === undefined ? {} : { issues }),
    },
    { cause },
  );
}

/** Reads a JSON column. @throws AppError INTERNAL naming the row. */
export function parseColumn<S extends z.ZodType>(schema: S, text: string, row: string): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw corrupt(row, cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw corrupt(row, parsed.error, issuesOf(parsed.error));
  return parsed.data;
}

function parseJson(text: string, row: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw corrupt(row, cause);
  }
}

/** @throws AppError INTERNAL naming the row. */
export function parseResource<K extends Kind>(kind: K, row: ResourceRow): ResourceOf<K> {
  const place = `${kind}/${row.name}`;
  const parsed = KINDS[kind].resource.safeParse({
    apiVersion: API_VERSION,
    kind,
    metadata: {
      name: row.name,
      labels: parseJson(row.labels, place),
      annotations: parseJson(row.annotations, place),
      uid: row.uid,
      generation: Number(row.generation),
      resourceVersion: Number(row.resource_version),
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    },
    spec: parseJson(row.spec, place),
    status: parseJson(row.status, place),
  });
  if (!parsed.success) throw corrupt(place, parsed.error, issuesOf(parsed.error));
  return parsed.data as ResourceOf<K>; // the schema was chosen by `kind`
}

/** The columns that a draft decides. */
export function draftColumns<K extends Kind>(draft: ResourceDraft<K>) {
  return {
    labels: JSON.stringify(draft.labels),
    annotations: JSON.stringify(draft.annotations),
    spec: JSON.stringify(draft.spec),
    status: JSON.stringify(draft.status),
  };
}

/** The columns that a draft decides; what it has taken over as it was is as it is stored. @returns undefined when nothing differs. */
export function changedColumns<K extends Kind>(before: ResourceOf<K>, row: ResourceRow, draft: ResourceDraft<K>) {
  const { labels, annotations } = before.metadata;
  const columns = {
    labels: draft.labels === labels ? row.labels : JSON.stringify(draft.labels),
    annotations: draft.annotations === annotations ? row.annotations : JSON.stringify(draft.annotations),
    spec: draft.spec === before.spec ? row.spec : JSON.stringify(draft.spec),
    status: draft.status === before.status ? row.status : JSON.stringify(draft.status),
  };
  const names = ['labels', 'annotations', 'spec', 'status'] as const;
  return names.every((name) => columns[name] === row[name]) ? undefined : columns;
}

/** Sorts as text exactly as it sorts in time. */
export function normalizeTime(iso: string): string {
  return new Date(iso).toISOString();
}

export function telemetryRow(series: number, sample: TelemetrySample): Database['telemetry'] {
  return {
    series,
    at_ms: Date.parse(sample.at),
    cpu: sample.cpu,
    memory_used: sample.memoryUsedBytes,
    memory_total: sample.memoryTotalBytes,
    disk_used: sample.diskUsedBytes,
    disk_total: sample.diskTotalBytes,
    temperature: sample.temperatureC,
    network_rx: sample.networkRxBytes,
    network_tx: sample.networkTxBytes,
    agent_rss: sample.agentRssBytes,
    summary: sample.summary === undefined ? null : JSON.stringify(sample.summary),
  };
}

/** `at_ms` arrives as text where the driver does not trust numbers beyond 32 bits. */
export function telemetrySample(row: Database['telemetry']): TelemetrySample {
  return {
    at: new Date(Number(row.at_ms)).toISOString(),
    cpu: row.cpu,
    memoryUsedBytes: row.memory_used,
    memoryTotalBytes: row.memory_total,
    diskUsedBytes: row.disk_used,
    diskTotalBytes: row.disk_total,
    temperatureC: row.temperature,
    networkRxBytes: row.network_rx,
    networkTxBytes: row.network_tx,
    agentRssBytes: row.agent_rss,
    ...(row.summary === null ? {} : { summary: parseColumn(sampleSummarySchema, row.summary, 'summary of samples') }),
  };
}

const resultDetailsSchema = resultSummarySchema.pick({ latency: true, confidence: true, classes: true });

export function resultRow(series: number, results: ResultSummary): Database['device_results'] {
  const { at, workload, model, version, spanS, requests, errors, p50Ms, p95Ms, latency, confidence, classes } = results;
  return {
    series,
    at_ms: Date.parse(at),
    workload,
    model,
    version,
    span_s: spanS,
    requests,
    errors,
    p50_ms: p50Ms,
    p95_ms: p95Ms,
    details: JSON.stringify({ latency, confidence, classes }),
  };
}

export function resultSummary(row: Database['device_results']): ResultSummary {
  const { workload, model, version } = row;
  return {
    at: new Date(Number(row.at_ms)).toISOString(),
    spanS: row.span_s,
    workload,
    model,
    version,
    requests: Number(row.requests),
    errors: Number(row.errors),
    p50Ms: row.p50_ms,
    p95Ms: row.p95_ms,
    ...parseColumn(resultDetailsSchema, row.details, 'details of results'),
  };
}
