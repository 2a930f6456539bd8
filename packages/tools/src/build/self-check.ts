import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { AppError, type EngineName } from '@selvedge/contract';
import { type InstalledTarget, type ProgramResult, runProgram } from '@selvedge/toolchain';
import * as z from 'zod';
import { canReplaceCpuinfo, isDescribedCore, withCpuinfo } from './emulated-core.ts';

const TIMEOUT_MS = 120_000;
const MAX_SHOWN = 1000;
const ENV = '/usr/bin/env';

export interface CheckRequest {
  readonly target: InstalledTarget;
  readonly engine: EngineName;
  /** Folder of the package, with its manifest.json. */
  readonly folder: string;
  readonly hasGolden: boolean;
  readonly signal: AbortSignal;
}

function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

interface Runner {
  /** Program and arguments in front of `run`. */
  readonly prefix: readonly string[];
  /** Core that is emulated; undefined on the real one. */
  readonly cpu: string | undefined;
  /** Whether /proc/cpuinfo is that of the core. */
  readonly hasCpuinfo: boolean;
}

/** How the package runs on this machine; undefined when it does not. */
async function runnerFor({ target: { recipe }, engine, signal }: CheckRequest): Promise<Runner | undefined> {
  if (recipe.machine === process.arch) return { prefix: [], cpu: undefined, hasCpuinfo: true };
  const emulator = findProgram(recipe.emulator.program);
  const cpu = recipe.emulator.cpus[0];
  if (emulator === undefined || cpu === undefined) return undefined;
  // The launcher of a bundled package starts the loader by the emulator again.
  const cpuinfo = engine === 'onnxruntime' && isDescribedCore(cpu) && (await canReplaceCpuinfo(signal)) ? withCpuinfo(cpu) : [];
  const prefix = [ENV, `SELVEDGE_EMULATOR=${emulator}`, `QEMU_CPU=${cpu}`, ...cpuinfo, emulator];
  return { prefix, cpu, hasCpuinfo: cpuinfo.length > 0 };
}

const descriptionSchema = z.looseObject({ engine: z.string() });

function lastLines(result: ProgramResult): string {
  return `${result.stdout}\n${result.stderr}`.trim().slice(-MAX_SHOWN);
}

/**
 * Starts the executable of a package: it must describe itself, and give its golden output.
 *
 * @returns what was found, for the notes.
 * @throws AppError SELF_TEST_FAILED when its output is not the golden one; BUILD_FAILED when it does not even start.
 */
export async function checkPackage(request: CheckRequest): Promise<string> {
  const { target, engine, folder, hasGolden, signal } = request;
  const runner = await runnerFor(request);
  if (runner === undefined) return `not run: this machine has no ${target.recipe.emulator.program} for ${target.name}`;
  const where = runner.cpu === undefined ? 'on this machine' : `on an emulated ${runner.cpu}`;
  const run = async (...args: string[]) => {
    const [command = '', ...words] = [...runner.prefix, join(folder, 'run'), ...args];
    return runProgram(command, words, { cwd: '/', signal, timeoutMs: TIMEOUT_MS });
  };
  const described = await run('--describe', '--json');
  const description = descriptionSchema.safeParse(parseJson(described.stdout));
  if (described.exitCode !== 0 || !description.success) {
    // Where /proc/cpuinfo is this machine's under the emulator, a crash of ONNX Runtime says nothing of the package.
    const crashed = described.exitCode < 0 || described.exitCode > 128;
    if (crashed && engine === 'onnxruntime' && !runner.hasCpuinfo) return `not run: ONNX Runtime does not start ${where}`;
    throw new AppError('BUILD_FAILED', {
      message: `The executable does not start ${where} (exit code ${described.exitCode}): ${lastLines(described)}`,
    });
  }
  if (!hasGolden) return `runs ${where}; there is no golden sample to check`;
  const tested = await run('--self-test');
  if (tested.exitCode === 0) return `self-test passed ${where}`;
  throw new AppError('SELF_TEST_FAILED', { message: `The package does not give its golden output ${where}: ${lastLines(tested)}` });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no JSON: reported with the exit code
  }
}
