import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type InstalledTarget, installTarget, openTarget } from '@selvedge/toolchain';

const CACHE = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');

/** Where tests keep targets: 2 GB that are downloaded once and used by every run, of every clone. */
export const TEST_TARGETS_DIR = process.env.SELVEDGE_TARGETS_DIR ?? join(CACHE, 'selvedge/test-targets');

/** Objects that tests compile. */
export const TEST_OBJECTS_DIR = join(TEST_TARGETS_DIR, 'cache/objects');

/** All that any test needs of a target, installed at once: another package in the sysroot makes every compiled object stale. */
const TEST_EXTRAS: Readonly<Record<string, readonly string[]>> = {
  'linux-amd64': ['onnxruntime', 'opencv', 'sanitizers'],
  'linux-arm64': ['onnxruntime'],
  'linux-armv7': ['onnxruntime', 'opencv'],
  'linux-riscv64': ['onnxruntime'],
};

/**
 * A target to build for, installed where it is missing or out of date. Test files that run at the same time wait for each
 * other.
 */
export async function testTarget(name: string, wanted: readonly string[] = []): Promise<InstalledTarget> {
  const extras = [...new Set([...(TEST_EXTRAS[name] ?? []), ...wanted])];
  const present = await openTarget(TEST_TARGETS_DIR, name);
  if (present?.isUpToDate === true && extras.every((extra) => present.extras.includes(extra))) return present;
  const { target } = await installTarget(name, { targetsDir: TEST_TARGETS_DIR, extras, waitMs: 600_000 });
  return target;
}

function isOnPath(program: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/**
 * The words in front of a program of the target that make it run here.
 *
 * @param cpu - emulated core; default: the oldest of the recipe.
 * @returns `[]` on a machine of the target's own kind when no core is asked for; undefined when it cannot run here.
 */
export function runnerOf(target: InstalledTarget, cpu?: string): string[] | undefined {
  const { machine, emulator } = target.recipe;
  if (cpu === undefined && machine === process.arch) return [];
  if (!isOnPath(emulator.program)) return undefined;
  return [emulator.program, '-cpu', cpu ?? emulator.cpus[0] ?? 'max'];
}
