import { createHash } from 'node:crypto';
import { lstat, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { readJsonFile, systemErrorCode } from '@selvedge/runtime';
import { compileSources } from '../compile/compile-sources.ts';
import { linkExecutable } from '../compile/link-executable.ts';
import { runProgram } from '../compile/run-program.ts';
import { concurrently } from '../concurrently.ts';
import { type InstalledTarget, requireTarget } from '../installed-target.ts';
import { FILE_LIST, type FileList, fileListSchema } from './lock-file.ts';

export interface VerifyResult {
  target: string;
  /** Files that were compared, of the target and of the compiler. */
  checked: number;
  /** Paths whose content is not what was installed. */
  damaged: string[];
  missing: string[];
  /** A small C++ program: `ran`, `built` (nothing here can run it; `reason` says what would) or `failed`. */
  program: { state: 'ran' | 'built' | 'failed'; reason?: string };
}

const HELLO = `#include <cstdio>
#include <string>
#include <vector>
int main() {
  std::vector<std::string> words{"hello", "from", "TARGET"};
  for (const std::string& word : words) std::printf("%s\\n", word.c_str());
}
`;

/**
 * Compares every file of a target, and of the compiler, with what was installed, then builds a small program and runs it
 * where this machine or an emulator can.
 *
 * @throws AppError TARGET_UNKNOWN, TARGET_NOT_INSTALLED (user).
 */
export async function verifyTarget(
  targetsDir: string,
  name: string,
  { signal, recipesDir }: { signal?: AbortSignal; recipesDir?: string } = {},
): Promise<VerifyResult> {
  const target = await requireTarget(targetsDir, name, recipesDir);
  const result: VerifyResult = { target: name, checked: 0, damaged: [], missing: [], program: { state: 'failed' } };
  for (const folder of [target.folder, target.compiler.folder]) await compareFiles(folder, result, signal);
  result.program = await tryProgram(target, signal);
  return result;
}

async function compareFiles(folder: string, result: VerifyResult, signal?: AbortSignal): Promise<void> {
  const files: FileList = (await readJsonFile(join(folder, FILE_LIST), fileListSchema)) ?? {};
  if (Object.keys(files).length === 0) result.missing.push(join(folder, FILE_LIST));
  await concurrently(Object.entries(files), 8, async ([path, expected]) => {
    signal?.throwIfAborted();
    const at = join(folder, path);
    const actual = await contentOf(at);
    result.checked += 1;
    if (actual === undefined) result.missing.push(at);
    else if (actual !== ('link' in expected ? `link ${expected.link}` : expected.sha256)) result.damaged.push(at);
  });
  result.damaged.sort();
  result.missing.sort();
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    const found = await lstat(path);
    if (found.isSymbolicLink()) return `link ${await readlink(path)}`;
    if (!found.isFile()) return 'not a file';
    return createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw error;
  }
}

async function tryProgram(target: InstalledTarget, signal?: AbortSignal): Promise<VerifyResult['program']> {
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-verify-'));
  const abort = signal === undefined ? {} : { signal };
  try {
    const source = join(folder, 'hello.cc');
    await writeFile(source, HELLO.replace('TARGET', target.name));
    const objects = await compileSources(target, { sources: [{ path: source }], cacheDir: join(folder, 'objects'), ...abort });
    const program = join(folder, 'hello');
    await linkExecutable(target, { objects, output: program, ...abort });
    const runner = await findRunner(target);
    if (runner === undefined) return { state: 'built', reason: `${target.recipe.emulator.program} is not installed, so it was not run` };
    const [command = program, ...args] = [...runner, program];
    const { exitCode, stdout, stderr } = await runProgram(command, args, { timeoutMs: 60_000, ...abort });
    if (exitCode === 0 && stdout === `hello\nfrom\n${target.name}\n`) return { state: 'ran' };
    return { state: 'failed', reason: `it ended with ${exitCode}: ${stderr.slice(0, 500)}` };
  } catch (error) {
    signal?.throwIfAborted();
    return { state: 'failed', reason: error instanceof Error ? error.message : String(error) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function findRunner({ recipe }: InstalledTarget): Promise<string[] | undefined> {
  if (recipe.machine === process.arch) return [];
  const { program, cpus } = recipe.emulator;
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program);
    const found = await lstat(path).catch(() => undefined); // a folder of PATH that cannot be read has no emulator for us
    if (found !== undefined) return [path, '-cpu', cpus[0] ?? 'max'];
  }
  return undefined;
}
