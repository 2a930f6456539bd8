import { AppError, BUILT_IN_TOOLS, type BuiltInTool } from '@selvedge/contract';
import type { Tool } from './kit/index.ts';

/** Each tool is loaded by name, so that an idle one does not carry the libraries of the others. */
const TOOLS: Readonly<Record<BuiltInTool, () => Promise<Tool>>> = {
  import: async () => (await import('./import/import-tool.ts')).importTool,
  process: async () => (await import('./process/process-tool.ts')).processTool,
  export: async () => (await import('./export/export-tool.ts')).exportTool,
  split: async () => (await import('./split/split-tool.ts')).splitTool,
  train: async () => (await import('./train/train-tool.ts')).trainTool,
  build: async () => (await import('./build/build-tool.ts')).buildTool,
  benchmark: async () => (await import('./benchmark/benchmark-tool.ts')).benchmarkTool,
  visualize: async () => (await import('./visualize/visualize-tool.ts')).createVisualizeTool(),
};

/** @throws AppError USAGE (user) when there is none of that name. */
export async function loadTool(name: string): Promise<Tool> {
  const known = BUILT_IN_TOOLS.find((tool) => tool === name);
  if (known === undefined) throw new AppError('USAGE', { message: `There is no tool "${name}"; there are ${BUILT_IN_TOOLS.join(', ')}.` });
  return TOOLS[known]();
}
