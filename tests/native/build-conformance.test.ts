import { buildNetwork, inspectModel, writeModel } from '@selvedge/graph/onnx';
import { sha256Hex } from '@selvedge/runtime';
import { verifyTool } from '@selvedge/runtime/tool-conformance';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildTool } from '../../packages/tools/src/build/build-tool.ts';
import { TEST_TOKEN, ToolHarness } from '../../packages/tools/src/testing/tool-harness.ts';
import { TEST_TARGETS_DIR, testTarget } from './harness/targets.ts';

const harness = new ToolHarness();
beforeAll(async () => {
  process.env.SELVEDGE_TARGETS_DIR = TEST_TARGETS_DIR;
  await testTarget('linux-amd64');
});
afterAll(() => harness.end());

it('build keeps the tool API, on a small classifier', async () => {
  const model = buildNetwork({ layers: 'small-cnn', inputShape: [1, 28, 28], classes: 10, seed: 1 });
  const bytes = Buffer.from(writeModel(model));
  const { inputs, outputs } = inspectModel(model);
  const parameters = {
    model: 'digits',
    version: '1',
    target: 'linux-amd64',
    modelSha256: sha256Hex(bytes),
    labels: [...'0123456789'],
    preproc: { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [-1, 1] } },
    postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } },
    inputs,
    outputs,
  };
  const { url } = await harness.serve(buildTool);
  const example = { parameters, inputs: { model: { file: 'model.onnx', base64: bytes.toString('base64') } } };
  const { checks } = await verifyTool({ url, token: TEST_TOKEN, example });
  expect(checks.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  expect(checks.filter(({ outcome }) => outcome === 'ok').length).toBeGreaterThan(25);
});
