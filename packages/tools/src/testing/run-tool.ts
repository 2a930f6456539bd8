import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tool } from '../kit/index.ts';

export interface ToolRun {
  readonly dataDir: string;
  readonly log: readonly string[];
  /** Points by metric: [step, value]. */
  readonly metrics: ReadonlyMap<string, readonly [number, number][]>;
}

/** Runs the `create` of tools in folders of their own, without HTTP. */
export class ToolBench {
  #root: string | undefined;
  #runs = 0;

  async folder(): Promise<string> {
    this.#root ??= await mkdtemp(join(tmpdir(), 'selvedge-bench-'));
    this.#runs += 1;
    const path = join(this.#root, String(this.#runs));
    await mkdir(path);
    return path;
  }

  async run(
    tool: Tool,
    parameters: unknown,
    inputs: Record<string, string>,
    options: { signal?: AbortSignal; checkpointDir?: string; cacheDir?: string; onMetric?: (name: string, step: number) => void } = {},
  ): Promise<ToolRun> {
    const [dataDir, checkpointDir] = [await this.folder(), options.checkpointDir ?? (await this.folder())];
    const log: string[] = [];
    const metrics = new Map<string, [number, number][]>();
    await tool.create({
      parameters,
      inputs,
      dataDir,
      workDir: await this.folder(),
      checkpointDir,
      cacheDir: options.cacheDir ?? (await this.folder()),
      attempt: 1,
      signal: options.signal ?? new AbortController().signal,
      log: (text) => log.push(text),
      progress: () => undefined,
      metric: (name, step, value) => {
        metrics.set(name, [...(metrics.get(name) ?? []), [step, value]]);
        options.onMetric?.(name, step);
      },
      fetch: () => Promise.reject(new Error('These tests fetch nothing')),
      usage: async () => undefined,
    });
    return { dataDir, log, metrics };
  }

  async end(): Promise<void> {
    if (this.#root !== undefined) await rm(this.#root, { recursive: true, force: true });
  }
}
