import { fileURLToPath } from 'node:url';
import type { NativeManifest, NativePackageReference } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';
import { TEST_PROVENANCE, type TestFile, testFrames, testManifest } from '@selvedge/runtime/package-rig';
import { type PackageSigner, sealedArchive, sealHead } from '@selvedge/runtime/package-sealing';
import type { TestPackage } from './make-package.ts';

export interface TestNativePackage {
  reference: NativePackageReference;
  archive: Buffer;
}

export const TEST_BENCH = {
  images: 10,
  threads: 1,
  imagesPerS: 100,
  latencyMs: { p50: 1, p90: 2, p95: 3, p99: 4 },
  stagesMs: { decode: 0.1, preproc: 0.1, infer: 0.7, postproc: 0.1 },
  coldStartMs: 9,
  rssBytes: 1_000_000,
  cpuTemperatureC: null,
  energyMj: null,
};

const MODEL_SERVER = fileURLToPath(new URL('../model-server/main.ts', import.meta.url));

/** An executable that does what a native one does: it serves by the agent's protocol, or measures itself. */
function executable(broken: boolean, emulator: string | undefined): string {
  const serve = `exec "${process.execPath}" --import "${import.meta.resolve('tsx')}" "${MODEL_SERVER}" --package "$d/inner" --port 0`;
  const check = emulator === undefined ? [] : [`[ "$SELVEDGE_EMULATOR" = "${emulator}" ] || exit 8`];
  const bench = 'if [ "$1" = --bench ]; then exec cat "$d/bench.json"; fi';
  return ['#!/bin/sh', ...check, 'd=$(dirname "$0")', bench, broken ? 'exit 7' : serve, ''].join('\n');
}

/**
 * The native package of a version, signed; inside is the model server with the files of `pack`.
 *
 * @param options.content - the executable; default: a script.
 * @param options.emulator - what the executable expects to be told of the emulator that it runs in; default: it does not ask.
 */
export async function makeNativePackage(
  pack: TestPackage,
  signer: PackageSigner,
  options: { broken?: boolean; target?: string; emulator?: string; content?: Buffer } = {},
): Promise<TestNativePackage> {
  const { model, version, files: inner } = pack.manifest;
  const target = options.target ?? 'linux-amd64';
  const files: TestFile[] = [
    { path: 'bench.json', content: Buffer.from(JSON.stringify(TEST_BENCH)) },
    { path: 'inner/manifest.json', content: pack.manifestBytes },
    ...inner.map(({ path, sha256 }) => ({ path: `inner/${path}`, content: pack.blobs.get(sha256) ?? Buffer.alloc(0) })),
    { path: 'model.bin', content: Buffer.from('weights') },
    { path: 'run', content: options.content ?? Buffer.from(executable(options.broken ?? false, options.emulator)), executable: true },
    { path: 'sbom.json', content: Buffer.from('{}') },
  ];
  const manifest: NativeManifest = testManifest(files, { model, version, target });
  const head = await sealHead(manifest, TEST_PROVENANCE, signer);
  const frames = await testFrames(
    files.map(({ path, content, executable: runs }) => ({ name: path, content, mode: runs === true ? 0o755 : 0o644 })),
  );
  const parts: Uint8Array[] = [];
  async function* one() {
    yield frames;
  }
  for await (const part of sealedArchive(head, one(), signer)) parts.push(part);
  const archive = Buffer.concat(parts);
  const reference = {
    package: `${model}.${version}.${target}.fp32`,
    model,
    version,
    target,
    archive: { sha256: sha256Hex(archive), sizeBytes: archive.length },
    manifestSha256: head.manifestSha256,
  };
  return { reference, archive };
}
