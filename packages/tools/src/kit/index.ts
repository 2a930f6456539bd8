export { unpackTar } from './archive/unpack-tar.ts';
export { unpackZip } from './archive/unpack-zip.ts';
export { type BackgroundContext, defineTool, type JobPlan, type Tool, type ToolContext } from './define-tool.ts';
export { findGpus } from './job/gpus.ts';
export { listFilePaths } from './list-files.ts';
export { serveTool } from './serve-tool.ts';
export { yieldToEvents } from './yield-to-events.ts';
