// Serves a tool of a project: a TypeScript file whose default export is a tool. Node is started with kit-hooks before it.
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AppError } from '@selvedge/contract';
import { runMain } from '@selvedge/runtime';
import * as z from 'zod';
import type { Tool } from '../kit/index.ts';
import { digestCode, ENVIRONMENT, readCommandLine, serveMain, takeToken } from '../serve-main.ts';

const USAGE = `usage: host FILE --data DIR [--port 0] [--host 127.0.0.1]
${ENVIRONMENT}`;
/** Of a tool that does not say its own. */
const DEFAULT_VERSION = '0.1.0';

const toolModuleSchema = z.looseObject({
  default: z.custom<Tool>((value) => {
    return typeof value === 'object' && value !== null && 'create' in value && 'parameters' in value;
  }),
});

async function importTool(file: string): Promise<Tool> {
  const parsed = toolModuleSchema.safeParse(await import(pathToFileURL(file).href));
  if (parsed.success) return parsed.data.default;
  throw new AppError('INPUT_INVALID', {
    message: `${file} exports no tool.`,
    hint: 'Write "export default defineTool({ ... })", with defineTool from "@selvedge/tools".',
  });
}

await runMain(async (signal) => {
  const token = await takeToken();
  const commandLine = readCommandLine(process.argv.slice(2), USAGE);
  const file = resolve(commandLine.subject);
  const tool = await importTool(file);
  await serveMain(tool, {
    commandLine,
    token,
    version: tool.version ?? DEFAULT_VERSION,
    codeDigest: await digestCode(dirname(file)),
    signal,
  });
  return undefined;
});
