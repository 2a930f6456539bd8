// Runs packages on the cores of their devices, emulated, with the /proc/cpuinfo that those cores have.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { type InstalledTarget, type ProgramResult, runProgram } from '@selvedge/toolchain';
import { canReplaceCpuinfo, isDescribedCore, withCpuinfo } from '../../../../packages/tools/src/build/emulated-core.ts';

/** Path of the target's emulator; undefined where it is not installed. */
export function emulatorOf(target: InstalledTarget): string | undefined {
  try {
    return execFileSync('/bin/sh', ['-c', `command -v ${target.recipe.emulator.program}`], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** Why a process cannot be given another view of the file system; undefined when it can. */
export async function obstacleToOwnMounts(): Promise<string | undefined> {
  return (await canReplaceCpuinfo()) ? undefined : 'only root can mount files here';
}

/**
 * Why a package cannot be run on a core here; undefined when it can.
 *
 * ONNX Runtime finds out about an ARM core from /proc/cpuinfo, which under an emulator is that of the machine: it then computes
 * with instructions that the core does not have, or ends in a segmentation fault.
 */
export async function obstacleTo(target: InstalledTarget, core: string | undefined, engine: string): Promise<string | undefined> {
  if (core === undefined) return target.recipe.machine === process.arch ? undefined : `this machine is not ${target.name}`;
  if (emulatorOf(target) === undefined) return `there is no ${target.recipe.emulator.program}`;
  return engine === 'onnxruntime' && isDescribedCore(core) ? await obstacleToOwnMounts() : undefined;
}

export interface RunOnCore {
  readonly target: InstalledTarget;
  /** Undefined: this machine. */
  readonly core: string | undefined;
  readonly engine: string;
  /** Folder of the package. */
  readonly files: string;
}

/** Runs a package to its end; `obstacleTo` has said that it can. */
export function runOnCore({ target, core, engine, files }: RunOnCore, args: readonly string[]): Promise<ProgramResult> {
  const emulator = core === undefined ? [] : [emulatorOf(target) ?? ''];
  const place = core !== undefined && engine === 'onnxruntime' && isDescribedCore(core) ? withCpuinfo(core) : [];
  // The launcher of a bundled package starts its loader by the emulator again, on the same core.
  const env = core === undefined ? [] : [`SELVEDGE_EMULATOR=${emulator[0]}`, `QEMU_CPU=${core}`];
  return runProgram('/usr/bin/env', [...env, ...place, ...emulator, join(files, 'run'), ...args], { cwd: '/', timeoutMs: 100_000 });
}
