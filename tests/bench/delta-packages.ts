// Pairs of whole native packages, built and sealed as the product does it.
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { BuildOptions } from '@selvedge/contract';
import { createRandom, float32Tensor, type Model } from '@selvedge/graph/onnx';
import { type TestAuthority, testAuthority } from '@selvedge/runtime/package-rig';
import { sealedArchive, sealHead } from '@selvedge/runtime/package-sealing';
import { openTarget } from '@selvedge/toolchain';
import { TEST_TARGETS_DIR } from '../native/harness/targets.ts';
import { digitNetwork, mobileNetwork, type TestNetwork } from './native/models.ts';
import { buildBenchPackage } from './native/packages.ts';

/** The model with the weights that `pick` chooses changed as training does. */
export function trainedAgain(model: Model, pick: (name: string) => boolean, size: number): Model {
  const random = createRandom(7);
  const initializers = new Map(
    [...model.graph.initializers].map(([name, tensor]) => {
      if (tensor.data.constructor !== Float32Array || !pick(name)) return [name, tensor] as const;
      const values = Float32Array.from(tensor.data, (value) => value + random.normal() * size);
      return [name, float32Tensor(tensor.dims, values)] as const;
    }),
  );
  return { ...model, graph: { ...model.graph, initializers } };
}

/** Names of the last layer's weights. */
export function headOf({ graph }: Model): ReadonlySet<string> {
  const last = graph.nodes.findLast(({ inputs }) => inputs.some((name) => graph.initializers.has(name)));
  return new Set(last?.inputs);
}

export interface PackagePair {
  name: string;
  about: string;
  /** The archives; undefined where this machine has no toolchain. */
  make: (folder: string) => Promise<{ base: Uint8Array; target: Uint8Array } | undefined>;
}

interface Build {
  network: TestNetwork;
  build: BuildOptions;
}

const authority = { made: undefined as Promise<TestAuthority> | undefined };

/** One authority for all packages of a run. */
export function signer(): Promise<TestAuthority> {
  authority.made ??= testAuthority();
  return authority.made;
}

async function archiveOf({ network, build }: Build, version: string, folder: string): Promise<Uint8Array | undefined> {
  const target = await openTarget(TEST_TARGETS_DIR, 'linux-amd64');
  if (target === undefined) return undefined;
  const { report } = await buildBenchPackage(network, target, build, folder);
  const { signer: sealing } = await signer();
  const head = await sealHead({ ...report.manifest, version }, report.provenance, sealing);
  return buffer(Readable.from(sealedArchive(head, createReadStream(join(folder, 'data/files.tar.zst')), sealing)));
}

function pair(name: string, about: string, before: () => Build, after: () => Build): PackagePair {
  const make = async (folder: string) => {
    const base = await archiveOf(before(), '1', join(folder, 'build'));
    const target = await archiveOf(after(), '2', join(folder, 'build'));
    return base === undefined || target === undefined ? undefined : { base, target };
  };
  return { name, about, make };
}

const INT8: BuildOptions = { engine: 'xnnpack', precision: 'int8' };
const FP32: BuildOptions = { engine: 'xnnpack', precision: 'fp32' };

export const PACKAGE_PAIRS: readonly PackagePair[] = [
  pair(
    'package-option',
    'a native package (MobileNetV2, int8, linux-amd64), top 3 instead of 5',
    () => ({ network: mobileNetwork(), build: INT8 }),
    () => ({ network: { ...mobileNetwork(), postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } } }, build: INT8 }),
  ),
  pair(
    'package-head',
    'the one above in fp32, head trained again',
    () => ({ network: mobileNetwork(), build: FP32 }),
    () => {
      const network = mobileNetwork();
      const head = headOf(network.model);
      return { network: { ...network, model: trainedAgain(network.model, (name) => head.has(name), 0.01) }, build: FP32 };
    },
  ),
  pair(
    'package-digits',
    'a native package (digit CNN, fp32), every weight trained again',
    () => ({ network: digitNetwork(), build: FP32 }),
    () => ({ network: { ...digitNetwork(), model: trainedAgain(digitNetwork().model, () => true, 0.01) }, build: FP32 }),
  ),
];
