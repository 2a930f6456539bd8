// What tests of a project's tools import as `@selvedge/tools/testing`.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Tool } from './define-tool.ts';
import { listFilePaths } from './list-files.ts';

export interface ToolResult {
  /** Bytes of each file that was made, by its path. */
  readonly files: Readonly<Record<string, Buffer>>;
  readonly log: readonly string[];
  /** Points by metric: [step, value]. */
  readonly metrics: Readonly<Record<string, readonly (readonly [number, number])[]>>;
}

/**
 * Runs a tool once, without HTTP, in folders that are removed again.
 *
 * @param parameters - as in a request: checked by the tool's schema.
 * @param inputs - files of each input: path to content.
 */
export async function runTool(
  tool: Tool,
  parameters: unknown = {},
  inputs: Readonly<Record<string, Readonly<Record<string, string | Uint8Array>>>> = {},
): Promise<ToolResult> {
  const root = await mkdtemp(join(tmpdir(), 'selvedge-run-tool-'));
  try {
    const folders = { dataDir: join(root, 'data'), workDir: join(root, 'work'), checkpointDir: join(root, 'checkpoint') };
    for (const folder of Object.values(folders)) await mkdir(folder);
    const inputFolders = Object.fromEntries(Object.keys(inputs).map((name) => [name, join(root, 'inputs', name)]));
    for (const [name, files] of Object.entries(inputs)) {
      for (const [path, content] of Object.entries(files)) {
        const target = join(root, 'inputs', name, path);
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, content);
      }
    }
    const log: string[] = [];
    const metrics: Record<string, [number, number][]> = {};
    await tool.create({
      ...folders,
      parameters,
      inputs: inputFolders,
      cacheDir: join(root, 'cache'),
      attempt: 1,
      signal: new AbortController().signal,
      log: (text) => log.push(text),
      progress: () => undefined,
      metric: (name, step, value) => {
        metrics[name] = [...(metrics[name] ?? []), [step, value]];
      },
      fetch: () => Promise.reject(new Error('A tool under test fetches nothing: give it what it needs as an input.')),
      usage: async () => undefined,
    });
    const paths = await listFilePaths(folders.dataDir);
    const files = Object.fromEntries(
      await Promise.all(paths.map(async (path) => [path, await readFile(join(folders.dataDir, path))] as const)),
    );
    return { files, log, metrics };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
