// The process of a tool that tests make up: `tool-main.ts FOLDER`. Prints the port that it listens on.
import { fileURLToPath } from 'node:url';
import { createLogger } from '@selvedge/runtime';
import { serveTool } from '../kit/index.ts';
import { JOB_TOOLS } from './job-tools.ts';
import { TEST_TOKEN } from './tool-harness.ts';

const [dataDir = ''] = process.argv.slice(2);
const { job } = JOB_TOOLS;
if (job === undefined) throw new Error('no tool');
const served = await serveTool(job, {
  dataDir,
  token: TEST_TOKEN,
  version: '0.0.0',
  codeDigest: 'test',
  logger: createLogger({ name: 'test' }),
  jobCommand: [process.execPath, '--import', import.meta.resolve('tsx'), fileURLToPath(new URL('./job-main.ts', import.meta.url))],
});
process.stdout.write(`${served.port}\n`);
