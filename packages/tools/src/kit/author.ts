// What tools of a project import as `@selvedge/tools`; see project-tool/kit-hooks.ts.
export { AppError } from '@selvedge/contract';
export * as z from 'zod';
export { defineTool, type Tool, type ToolContext } from './define-tool.ts';
export { yieldToEvents } from './yield-to-events.ts';
