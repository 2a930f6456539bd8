import { AppError } from '@selvedge/contract';
import type { Tool } from './kit/index.ts';

/** Each tool is loaded by name, so that an idle one does not carry the libraries of the others. */
const TOOLS: Readonly<Record<string, () => Promise<Tool>>> = {
  import: async () => (await import('./import/import-tool.ts')).importTool,
  process: async () => (await import('./process/process-tool.ts')).processTool,
  export: async () => (await import('./export/export-tool.ts')).exportTool,
  split: async () => (await import('./split/split-tool.ts')).splitTool,
  train: async () => (await import('./train/train-tool.ts')).trainTool,
  build: async () => (await import('./build/build-tool.ts')).buildTool,
  benchmark: async () => (await import('./benchmark/benchmark-tool.ts')).benchmarkTool,
  visualize: async () => (await import('./visualize/visualize-tool.ts')).createVisualizeTool(),
};

export const TOOL_NAMES = Object.keys(TOOLS);

/** @throws AppError USAGE (user) when there is none of that name. */
export async function loadTool(name: string): Promise<Tool> {
  const load = Object.hasOwn(TOOLS, name) ? TOOLS[name] : undefined;
  if (load === undefined) throw new AppError('USAGE', { message: `There is no tool "${name}"; there are ${TOOL_NAMES.join(', ')}.` });
  return load();
}
