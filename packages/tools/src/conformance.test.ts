import type { ToolExample } from '@selvedge/contract';
import { verifyTool } from '@selvedge/runtime/tool-conformance';
import { afterAll, describe, expect, it } from 'vitest';
import { benchmarkTool } from './benchmark/benchmark-tool.ts';
import { exportTool } from './export/export-tool.ts';
import { importTool } from './import/import-tool.ts';
import type { Tool } from './kit/index.ts';
import type { ServeToolOptions } from './kit/serve-tool.ts';
import { processTool } from './process/process-tool.ts';
import { splitTool } from './split/split-tool.ts';
import { behind, startGateway } from './testing/gateway.ts';
import { TEST_TOKEN, ToolHarness } from './testing/tool-harness.ts';
import { trainTool } from './train/train-tool.ts';
import { createVisualizeTool } from './visualize/visualize-tool.ts';

const harness = new ToolHarness();
afterAll(() => harness.end());

async function failuresOf(
  tool: Tool,
  example?: ToolExample,
  options?: Partial<ServeToolOptions>,
): Promise<{ failed: unknown[]; ok: number }> {
  const { url } = await harness.serve(tool, options);
  const { checks } = await verifyTool({ url, token: TEST_TOKEN, example });
  return { failed: checks.filter(({ outcome }) => outcome === 'failed'), ok: checks.filter(({ outcome }) => outcome === 'ok').length };
}

describe('the tool API is kept, by its own example, by', () => {
  // the build tool needs a toolchain: tests/native/build-conformance.test.ts
  it.each([importTool, processTool, exportTool, splitTool, trainTool])('$name', { timeout: 120_000 }, async (tool) => {
    const { failed, ok } = await failuresOf(tool);
    expect(failed).toEqual([]);
    expect(ok).toBeGreaterThan(25);
  });

  it('benchmark, on a model that the train tool made', { timeout: 120_000 }, async () => {
    const { model, set } = await trainedModel();
    const { failed, ok } = await failuresOf(benchmarkTool, { parameters: {}, inputs: { model, 'training-set': set } });
    expect(failed).toEqual([]);
    expect(ok).toBeGreaterThan(30);
  });

  it('visualize, behind a gateway with something to show', { timeout: 120_000 }, async () => {
    const { url } = await trainedModel();
    const gateway = await startGateway(() => ({ train: url }));
    harness.onEnd(() => gateway.close());
    const { failed, ok } = await failuresOf(createVisualizeTool(), { parameters: {}, inputs: {} }, behind(gateway));
    expect(failed).toEqual([]);
    expect(ok).toBeGreaterThan(25);
  });
});

/** A train tool that has made the artifact `model`: its address, and the inputs that the benchmark tool takes. */
async function trainedModel() {
  const { client, url } = await harness.serve(trainTool);
  const { parameters, inputs } = (await trainTool.example?.()) ?? { parameters: {}, inputs: {} };
  const set = inputs['training-set'];
  if (set === undefined || !('base64' in set)) throw new Error('the train tool has no example');
  const form = new FormData();
  form.set('request', JSON.stringify({ name: 'model', parameters }));
  form.set('training-set', new File([Buffer.from(set.base64, 'base64')], set.file));
  expect((await client.fetch('/artifacts', { method: 'POST', body: form })).status).toBe(202);
  expect((await client.waitFor('model', ['completed', 'failed'])).error).toBeNull();
  const base64 = Buffer.from(await (await client.fetch('/artifacts/model/data')).arrayBuffer()).toString('base64');
  return { url, set, model: { file: 'model.zip', base64 } };
}
