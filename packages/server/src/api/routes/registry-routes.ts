import { Readable } from 'node:stream';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';

/** A report is a page of a tool: its style and its pictures are inside it, and nothing of it runs or is fetched. */
const REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";
const TEXT_POLICY = "default-src 'none'; sandbox";
const MEDIA_TYPES = {
  html: 'text/html; charset=utf-8',
  json: 'application/json; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  'metrics-csv': 'text/csv; charset=utf-8',
} as const;

/** Reports of runs, comparison of a task's pipelines, and what the registry knows of versions. */
export function registryRoutes({ reports, tasks, catalog }: ApiServices) {
  return {
    getRunReport: async ({ params, query, reply, signal }) => {
      const format = query.format ?? 'html';
      const file = await reports.open(params.name, format, signal, query.dataset);
      reply.type(MEDIA_TYPES[format]).headers({
        'content-security-policy': format === 'html' ? REPORT_POLICY : TEXT_POLICY,
        'x-content-type-options': 'nosniff',
      });
      return reply.send(file);
    },
    compareTask: async ({ params }) => tasks.compare(params.name),
    getModelLineage: async ({ params }) => catalog.lineage(params.name, params.version),
    getModelCard: async ({ params, reply, signal }) => {
      const text = await catalog.card(params.name, params.version, signal);
      reply.type('text/markdown; charset=utf-8').header('content-security-policy', TEXT_POLICY);
      return reply.send(Readable.from([text]));
    },
    setModelAlias: async ({ params, body }) => catalog.setAlias(params.name, params.alias, body.version),
    deleteModelAlias: async ({ params }) => catalog.removeAlias(params.name, params.alias),
    setModelNote: async ({ params, body }) => catalog.setNote(params.name, params.version, body.text),
    getDatasetImpact: async ({ params, query }) => catalog.impact(params.name, query.version),
  } satisfies Partial<Handlers>;
}
