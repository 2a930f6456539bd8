import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CANCEL_MARKER } from '@selvedge/contract';
import { afterAll, expect, it } from 'vitest';
import * as z from 'zod';
import { ToolHarness } from '../testing/tool-harness.ts';
import { defineTool } from './define-tool.ts';

const harness = new ToolHarness();
afterAll(() => harness.end());

let begun = 0;
const slowTool = defineTool({
  name: 'slow',
  description: 'works until it is told to end',
  class: 'data',
  makes: 'text',
  parameters: z.strictObject({}),
  inputs: {},
  async create({ signal, dataDir }) {
    begun += 1;
    if (begun === 1) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    await writeFile(join(dataDir, 'out.txt'), 'made');
  },
});

it('does not take up work again that was cancelled while the process did not listen', async () => {
  const first = await harness.serve(slowTool);
  for (const name of ['marked', 'other']) await first.client.post({ name });
  await first.client.waitFor('marked', ['in-progress']);
  await writeFile(join(first.dataDir, 'artifacts', 'marked', CANCEL_MARKER), '');
  await first.stop();
  const second = await harness.serve(slowTool, { dataDir: first.dataDir });
  expect((await second.client.waitFor('other', ['completed'])).attempt).toBe(1);
  expect(await second.client.status('marked')).toMatchObject({ status: 'cancelled', attempt: 1 });
  expect(begun).toBe(2);
});
