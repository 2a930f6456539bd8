import type { ImportOptions } from '@selvedge/contract';
import { datasetUsage } from '../../services/dataset-usage.ts';
import type { Handlers } from '../implement.ts';
import type { ApiServices } from '../services.ts';
import { withBody } from '../with-body.ts';

type UploadQuery = Parameters<Handlers['uploadDataset']>[0]['query'];

function optionsOf({ format, skipBroken, labelColumn, ignoreColumns, groupBefore }: UploadQuery): ImportOptions {
  return {
    ...(format === undefined ? {} : { format }),
    ...(skipBroken === '1' ? { skipBroken: true } : {}),
    ...(labelColumn === undefined ? {} : { labelColumn }),
    ...(ignoreColumns === undefined ? {} : { ignoreColumns: ignoreColumns.split(',').filter((name) => name !== '') }),
    ...(groupBefore === undefined ? {} : { groupBefore }),
  };
}

/** Datasets: in, out, looked into, removed. */
export function datasetRoutes({ datasets, datasetCatalog, datasetGarbage, store }: ApiServices) {
  return {
    uploadDataset: async ({ params, query, request, signal }) => {
      const { fileName, testShare } = query;
      return withBody(request, (body) => datasets.upload(params.name, body, { fileName, testShare, import: optionsOf(query), signal }));
    },
    importDataset: async ({ params, body }) => datasets.importFrom(params.name, body),
    splitDataset: async ({ params, body }) => datasets.split(params.name, params.version, body),
    getDatasetVersion: async ({ params }) => {
      const version = await datasetCatalog.version(params.name, params.version);
      const usage = await datasetUsage(store);
      return { version, report: await datasetCatalog.report(version), neededBy: usage.get(version.metadata.name) ?? [] };
    },
    verifyDataset: async ({ params, signal }) => datasetCatalog.verify(params.name, params.version, signal),
    diffDatasets: async ({ query }) => datasetCatalog.diff(query.from, query.to),
    exportDataset: async ({ params, reply, signal }) => {
      const archive = await datasetCatalog.openArchive(params.name, params.version, signal);
      const fileName = `${params.name}-v${params.version}.tar`;
      return reply.header('content-disposition', `attachment; filename="${fileName}"`).type('application/x-tar').send(archive);
    },
    removeDataset: async ({ params, query }) =>
      datasetGarbage.remove(params.name, { version: query.version, unused: query.unused === '1', keep: query.keep }),
  } satisfies Partial<Handlers>;
}
