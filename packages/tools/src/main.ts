import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILT_IN_TOOLS } from '@selvedge/contract';
import { runMain } from '@selvedge/runtime';
import packageJson from '../package.json' with { type: 'json' };
import { digestCode, ENVIRONMENT, readCommandLine, serveMain, takeToken } from './serve-main.ts';
import { loadTool } from './tool-list.ts';

const USAGE = `usage: tools <${BUILT_IN_TOOLS.join('|')}> --data DIR [--port 0] [--host 127.0.0.1]
${ENVIRONMENT}`;

/** The program of a job: the bundle beside this one, or its source through tsx when we run from source. */
function jobCommand(): string[] {
  const from = import.meta.url;
  if (from.endsWith('.ts'))
    return [process.execPath, '--import', import.meta.resolve('tsx'), fileURLToPath(new URL('./job-main.ts', from))];
  return [process.execPath, fileURLToPath(new URL('./job.js', from))];
}

await runMain(async (signal) => {
  const token = await takeToken();
  const commandLine = readCommandLine(process.argv.slice(2), USAGE);
  const tool = await loadTool(commandLine.subject);
  const codeDigest = await digestCode(dirname(fileURLToPath(import.meta.url)));
  await serveMain(tool, { commandLine, token, version: packageJson.version, codeDigest, jobCommand: jobCommand(), signal });
  return undefined;
});
