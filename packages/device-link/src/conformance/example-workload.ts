import { randomBytes } from 'node:crypto';
import type { DesiredWorkload, PackageManifest } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';

/** An ONNX file of 276 bytes that tells the mean of each of three channels: [N, 3, 4, 4] to [N, 3]. */
const MODEL = Buffer.from(
  'CAgSBHRlc3Q6hQIKKgoFaW5wdXQSBnBvb2xlZBoGcG9vbGVkIhFHbG9iYWxBdmVyYWdlUG9vbAojCgZwb29sZWQKBGdhaW4SBnNjYWxlZBoGc2NhbGVkIgNNdWwK' +
    'OAoGc2NhbGVkCgVzaGFwZRIGc2NvcmVzGgZzY29yZXMiB1Jlc2hhcGUqDgoJYWxsb3d6ZXJvoAECEghjaGFubmVscyoRCgEBEAFCBGdhaW5KBAAAgD8qHgoBAhAH' +
    'QgVzaGFwZUoQ//////////8DAAAAAAAAAFogCgVpbnB1dBIXChUIARIRCgMSAU4KAggDCgIIBAoCCARiGQoGc2NvcmVzEg8KDQgBEgkKAxIBTgoCCANCAhAR',
  'base64',
);
/** Large enough to be cut in the middle. */
const BULK_BYTES = 512 * 1024;

/** A version of a model as a server would order it. */
export interface ExampleVersion {
  readonly workload: DesiredWorkload;
  /** By sha256, the manifest included. */
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly modelSha256: string;
  /** The large file that only this version has. */
  readonly bulkSha256: string;
}

/** @param options.wrongGolden - the golden output is one that the model does not give. */
export function exampleVersion(version: string, options: { wrongGolden?: boolean } = {}): ExampleVersion {
  const data = Array.from({ length: 48 }, (_, index) => (index % 7) / 7);
  const mean = (channel: number) => data.slice(channel * 16, channel * 16 + 16).reduce((sum, value) => sum + value, 0) / 16;
  const scores = [0, 1, 2].map((channel) => mean(channel) + (options.wrongGolden === true ? 1 : 0));
  const golden = {
    input: { name: 'input', shape: [1, 3, 4, 4], data },
    output: { name: 'scores', shape: [1, 3], data: scores },
    tolerance: 1e-4,
  };
  // The model differs from version to version, as models do: a device that has one of them has not got the others.
  const model = Buffer.concat([MODEL, docString(version)]);
  const bulk = randomBytes(BULK_BYTES);
  const contents: Record<string, Buffer> = {
    'model.onnx': model,
    'golden.json': Buffer.from(JSON.stringify(golden)),
    'extra/bulk.bin': bulk,
  };
  const manifest: PackageManifest = {
    formatVersion: 1,
    runtime: 'model-server',
    model: 'channels',
    version,
    files: Object.entries(contents).map(([path, bytes]) => ({ path, sha256: sha256Hex(bytes), sizeBytes: bytes.length })),
    modelFile: 'model.onnx',
    goldenFile: 'golden.json',
    inputs: [{ name: 'input', dataType: 'float32', shape: [null, 3, 4, 4] }],
    outputs: [{ name: 'scores', dataType: 'float32', shape: [null, 3] }],
    labels: ['red', 'green', 'blue'],
    preproc: { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [4, 4], scale: [0, 1] } },
    postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 2 } } },
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest, null, 2));
  return {
    workload: {
      name: 'channels',
      kind: 'model-server',
      model: 'channels',
      version,
      manifest: { sha256: sha256Hex(manifestBytes), sizeBytes: manifestBytes.length },
      servingPort: 0,
    },
    blobs: new Map([...Object.values(contents), manifestBytes].map((bytes) => [sha256Hex(bytes), bytes])),
    modelSha256: sha256Hex(model),
    bulkSha256: sha256Hex(bulk),
  };
}

/** ModelProto.doc_string (field 6), which changes nothing of what the model does. */
function docString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x32, bytes.length]), bytes]);
}
