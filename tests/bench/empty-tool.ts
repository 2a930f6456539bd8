// A tool whose artifact is one empty file: what `bench:tools` measures is all the rest. Started by the server as `empty-tool NAME --data DIR …`.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createLogger, exitWithParent } from '@selvedge/runtime';
import * as z from 'zod';
import { defineTool, serveTool } from '../../packages/tools/src/kit/index.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { data: { type: 'string' }, port: { type: 'string' } } });
const name = positionals[0] ?? '';
const token = process.env.SELVEDGE_TOOL_TOKEN;
if (values.data === undefined || token === undefined) throw new Error('this is started by a server');

const tool = defineTool({
  name,
  description: 'Makes an empty file',
  class: 'data',
  makes: 'nothing',
  parameters: z.strictObject({}),
  inputs: {},
  create: async ({ dataDir }) => writeFile(join(dataDir, 'empty'), ''),
});

const logger = createLogger({ name: `tool-${name}` });
const served = await serveTool(tool, { dataDir: values.data, token, version: '1', codeDigest: '0'.repeat(64), logger });
exitWithParent(() => void served.stop().finally(() => process.exit()));
process.stdout.write(`${JSON.stringify({ event: 'listening', port: served.port })}\n`);
