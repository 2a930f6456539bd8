import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { GoldenSample, PackageManifest } from '@selvedge/contract';
import { attribute, float32Tensor, IR_VERSION, int64Tensor, type Model, makeNode, OPSET, writeModel } from '@selvedge/graph/onnx';
import { sha256Hex } from '@selvedge/runtime';

export interface TestPackage {
  manifest: PackageManifest;
  manifestBytes: Buffer;
  /** sha256 -> content, the manifest included. */
  blobs: Map<string, Buffer>;
}

/** Brightness of the red, green and blue channel, times `gain`, as three class scores: [N, 3, 4, 4] to [N, 3]. */
function channelModel(gain = 1): Model {
  return {
    irVersion: IR_VERSION,
    producer: 'test',
    opsets: [{ domain: '', version: OPSET }],
    metadata: {},
    graph: {
      name: 'channels',
      nodes: [
        makeNode('GlobalAveragePool', ['input'], ['pooled']),
        makeNode('Mul', ['pooled', 'gain'], ['scaled']),
        makeNode('Reshape', ['scaled', 'shape'], ['scores'], { allowzero: attribute.int(0) }),
      ],
      initializers: new Map([
        ['gain', float32Tensor([1], Float32Array.of(gain))],
        ['shape', int64Tensor([-1, 3])],
      ]),
      inputs: [{ name: 'input', type: 'float32', shape: ['N', 3, 4, 4] }],
      outputs: [{ name: 'scores', type: 'float32', shape: ['N', 3] }],
    },
  };
}

/** A small package that tells which of red, green and blue is strongest. */
export function makePackage(
  options: { model?: string; version?: string; gain?: number; badGolden?: boolean; bulkBytes?: number } = {},
): TestPackage {
  const { model = 'colours', version = '1', gain = 1, badGolden = false, bulkBytes = 0 } = options;
  const data = Array.from({ length: 48 }, (_, index) => (index % 7) / 7);
  const mean = (channel: number) => data.slice(channel * 16, channel * 16 + 16).reduce((sum, value) => sum + value, 0) / 16;
  const golden: GoldenSample = {
    input: { name: 'input', shape: [1, 3, 4, 4], data },
    output: { name: 'scores', shape: [1, 3], data: [0, 1, 2].map((channel) => mean(channel) * gain + (badGolden ? 1 : 0)) },
    tolerance: 1e-4,
  };
  const contents: Record<string, Buffer> = {
    'model.onnx': Buffer.from(writeModel(channelModel(gain))),
    'golden.json': Buffer.from(JSON.stringify(golden)),
    ...(bulkBytes > 0 ? { 'extra/bulk.bin': Buffer.alloc(bulkBytes, 7) } : {}),
  };
  const files = Object.entries(contents).map(([path, bytes]) => ({ path, sha256: sha256Hex(bytes), sizeBytes: bytes.length }));
  const manifest: PackageManifest = {
    formatVersion: 1,
    runtime: 'model-server',
    model,
    version,
    files,
    modelFile: 'model.onnx',
    goldenFile: 'golden.json',
    inputs: [{ name: 'input', dataType: 'float32', shape: [null, 3, 4, 4] }],
    outputs: [{ name: 'scores', dataType: 'float32', shape: [null, 3] }],
    labels: ['red', 'green', 'blue'],
    preproc: { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [4, 4], scale: [0, 1] } },
    postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 2 } } },
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest, null, 2));
  const blobs = new Map([...Object.values(contents), manifestBytes].map((bytes) => [sha256Hex(bytes), bytes]));
  return { manifest, manifestBytes, blobs };
}

export async function writePackage(folder: string, pack: TestPackage): Promise<void> {
  for (const { path, sha256 } of pack.manifest.files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), pack.blobs.get(sha256) ?? '');
  }
  await writeFile(join(folder, 'manifest.json'), pack.manifestBytes);
}
