import { type BenchmarkReport, benchmarkReportSchema, trainingReportSchema } from '@selvedge/contract';
import { afterAll, describe, expect, it } from 'vitest';
import { benchmarkTool } from './benchmark/benchmark-tool.ts';
import { exportTool } from './export/export-tool.ts';
import { importTool } from './import/import-tool.ts';
import type { Tool } from './kit/define-tool.ts';
import { processTool } from './process/process-tool.ts';
import { splitTool } from './split/split-tool.ts';
import { startFileServer } from './testing/file-server.ts';
import { makePictures, tarOf } from './testing/sample-data.ts';
import { type ToolClient, ToolHarness } from './testing/tool-harness.ts';
import { trainTool } from './train/train-tool.ts';

const harness = new ToolHarness();
afterAll(() => harness.end());

/** One after the other, each fetching from the ones before with the token. */
async function serveAll(tools: Record<string, Tool>): Promise<Map<string, ToolClient>> {
  const clients = new Map<string, ToolClient>();
  for (const [name, tool] of Object.entries(tools)) {
    const trustedOrigins = [...clients.values()].map((client) => client.url);
    clients.set(name, (await harness.serve(tool, { trustedOrigins })).client);
  }
  return clients;
}

describe('the tools together, over HTTP', () => {
  it('go from a tar of pictures to a measured model', { timeout: 60_000 }, async () => {
    const tar = await tarOf(await makePictures({ train: 60, test: 15 }));
    const files = await startFileServer((_request, response) => response.end(tar));
    harness.onEnd(() => files.close());
    const clients = await serveAll({
      import: importTool,
      process: processTool,
      export: exportTool,
      split: splitTool,
      train: trainTool,
      benchmark: benchmarkTool,
    });
    const make = async (tool: string, parameters: Record<string, unknown>, inputs: Record<string, string>): Promise<string> => {
      const client = clients.get(tool);
      if (client === undefined) throw new Error(tool);
      const urls = Object.fromEntries(Object.entries(inputs).map(([name, url]) => [name, { url }]));
      const status = await client.make({ name: 'run-1', parameters, inputs: urls });
      if (status.status !== 'completed') throw new Error(`${tool}: ${JSON.stringify(status)}`);
      return `${client.url}/artifacts/run-1/data`;
    };
    const preproc = { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [12, 12], scale: [-1, 1] } };
    const dataset = await make('import', { url: `${files.origin}/download` }, {});
    const pixels = await make('process', { preproc, path: { train: 'train', test: 'test' } }, { dataset });
    const tensors = await make('export', { preproc }, { pixels });
    const set = await make('split', { validation: 0.1 }, { tensors });
    const hyperparams = { lr: 3e-3, batch_size: 16, epochs: 6 };
    const model = await make('train', { hyperparams, train: {} }, { 'training-set': set });
    const postproc = { pipeline: ['softmax', 'topk'], params: { topk: { k: 2 } } };
    await make('benchmark', { postproc }, { model, 'training-set': set });

    const benchmark = clients.get('benchmark');
    const report: BenchmarkReport = benchmarkReportSchema.parse(await benchmark?.json('/artifacts/run-1/data/report.json'));
    expect(report.samples).toBe(45);
    expect(report.metrics.accuracy).toBeGreaterThan(0.8);
    expect(await benchmark?.json('/artifacts/run-1/metrics')).toMatchObject({
      items: expect.arrayContaining(['test/accuracy', 'test/ece', 'test/f1', 'test/loss', 'test/micro-f1', 'test/roc-auc']),
    });
    const training = trainingReportSchema.parse(await clients.get('train')?.json('/artifacts/run-1/data/training.json'));
    expect(training.inputs[0]?.shape).toEqual([null, 3, 12, 12]);
  });

  it('fail with the reason when an input is not there', async () => {
    const { client } = await harness.serve(splitTool);
    const { client: other } = await harness.serve(exportTool);
    const status = await client.make({ name: 'orphan', inputs: { tensors: { url: `${other.url}/artifacts/none/data` } } });
    expect(status).toMatchObject({ status: 'failed', error: { code: 'FORBIDDEN' } });
    const { client: trusting } = await harness.serve(splitTool, { trustedOrigins: [other.url] });
    const missing = await trusting.make({ name: 'orphan', inputs: { tensors: { url: `${other.url}/artifacts/none/data` } } });
    expect(missing).toMatchObject({ status: 'failed', error: { code: 'REFERENCE_MISSING' } });
  });
});
