// Compiles the programs of the peers with the product's own toolchain.
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compileSources, type InstalledTarget, linkExecutable } from '@selvedge/toolchain';
import {
  GENERATED_FLAGS,
  includeFolder,
  isDynamic,
  linkedLibraries,
  runtimeParts,
} from '../../../packages/tools/src/build/runtime-parts.ts';
import type { DebianTree } from './debian-tree.ts';
import type { BuiltPackage } from './packages.ts';
import { OBJECTS_DIR, PEERS_DIR } from './places.ts';

const cacheDir = OBJECTS_DIR;

/** A copy of the package whose executable is package_peer.cc instead of the product's main. @returns its folder. */
export async function makePackagePeer(built: BuiltPackage): Promise<string> {
  const { target, report, modelSource, folder } = built;
  const { engine } = report;
  const dynamic = isDynamic(engine, undefined);
  const runtime = (await runtimeParts(engine, dynamic)).filter(({ path }) => !path.includes('/runtime/app/'));
  const model = engine === 'xnnpack' ? [{ path: modelSource, flags: GENERATED_FLAGS }] : [];
  const objects = await compileSources(target, {
    sources: [...runtime, ...model, { path: join(PEERS_DIR, 'package_peer.cc'), flags: GENERATED_FLAGS }],
    includeDirs: [includeFolder(), PEERS_DIR],
    cacheDir,
  });
  const copy = `${folder}-peer`;
  await rm(copy, { recursive: true, force: true });
  await cp(folder, copy, { recursive: true });
  const output = join(copy, dynamic ? 'lib/selvedge-run' : 'run');
  await linkExecutable(target, { objects, libraries: linkedLibraries(target, engine, undefined), output, isStatic: !dynamic });
  return copy;
}

/** ort_peer.cc against a library of ONNX Runtime, with headers from Debian. */
export async function makeOrtPeer(target: InstalledTarget, headers: DebianTree, library: string, output: string): Promise<void> {
  const objects = await compileSources(target, {
    sources: [{ path: join(PEERS_DIR, 'ort_peer.cc') }],
    includeDirs: [join(headers.root, 'usr/include/onnxruntime'), PEERS_DIR],
    cacheDir,
  });
  // Its own libraries come from the tree when it is started, not from the sysroot.
  await linkExecutable(target, { objects, libraries: [library], output, isStatic: false, flags: ['-Wl,--allow-shlib-undefined'] });
}

/** A static program of one source. */
export async function makeProgram(target: InstalledTarget, name: string, output: string): Promise<void> {
  const objects = await compileSources(target, { sources: [{ path: join(PEERS_DIR, name) }], includeDirs: [PEERS_DIR], cacheDir });
  await linkExecutable(target, { objects, output });
}

/** The plugin that counts instructions, for qemu on this machine. */
export async function makePlugin(target: InstalledTarget, output: string): Promise<void> {
  const objects = await compileSources(target, { sources: [{ path: join(PEERS_DIR, 'count_plugin.c'), flags: ['-fPIC'] }], cacheDir });
  await linkExecutable(target, { objects, output, isStatic: false, flags: ['-shared'] });
}
