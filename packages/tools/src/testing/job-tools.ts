import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, trainResourcesSchema } from '@selvedge/contract';
import * as z from 'zod';
import { defineTool, type Tool } from '../kit/index.ts';
import { findGpus } from '../kit/job/gpus.ts';

/** Work that does in a process of its own what a test tells it. */
const jobTool = defineTool({
  name: 'job',
  description: 'does what a test tells it, in a process of its own',
  class: 'data',
  makes: 'text',
  parameters: z.strictObject({
    does: z.enum(['report', 'hold-memory', 'ignore-the-end', 'wait', 'compute', 'throw', 'refuse', 'exit']),
    memoryMiB: z.int().optional(),
    nice: z.int().optional(),
    gpus: trainResourcesSchema.shape.gpus,
  }),
  inputs: {},
  job: async ({ memoryMiB, nice = 0, gpus }) => ({
    asked: { ...(memoryMiB === undefined ? {} : { memoryMiB }), nice, ...(gpus === undefined ? {} : { gpus }) },
    granted: { threads: 1, memoryMiB: memoryMiB ?? null, nice, gpus: [] },
    gpuRequest: await findGpus(gpus),
  }),
  async create({ parameters, dataDir, signal, log, metric, progress, usage }) {
    progress(0.5, 'half');
    switch (parameters.does) {
      case 'report':
        for (let until = performance.now() + 300; performance.now() < until; ) Math.sqrt(until);
        metric('number', 1, 7);
        metric('number', 2, Number.NaN);
        await writeFile(
          join(dataDir, 'report.json'),
          JSON.stringify({ pid: process.pid, nice: getPriority(), cuda: process.env.CUDA_VISIBLE_DEVICES, usage: await usage() }),
        );
        return;
      case 'hold-memory':
        await holdMemory();
        return;
      case 'ignore-the-end': {
        const child = spawn('sleep', ['600'], { stdio: 'inherit' });
        log(`pids ${process.pid} ${child.pid}`);
        await sleep(600_000);
        return;
      }
      case 'compute': {
        const child = spawn('sleep', ['600'], { stdio: 'inherit' });
        log(`pids ${process.pid} ${child.pid}`);
        await usage(); // what was logged has arrived before the answer; from here on no event is seen to
        for (;;) Math.sqrt(performance.now());
      }
      case 'wait': {
        const child = spawn('sleep', ['600'], { stdio: 'inherit' });
        log(`pids ${process.pid} ${child.pid}`);
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        return;
      }
      case 'throw':
        throw new TypeError('a fault of the work');
      case 'refuse':
        throw new AppError('DATASET_FORMAT', { message: 'no such samples', hint: 'add some', issues: [{ path: 'a', message: 'b' }] });
      case 'exit':
        process.stderr.write('the last words\n');
        process.exit(3);
    }
  },
});

async function holdMemory(): Promise<void> {
  const held: Buffer[] = [];
  for (;;) {
    held.push(Buffer.alloc(8 * 1024 * 1024, 1));
    await sleep(10);
  }
}

export const JOB_TOOLS: Readonly<Record<string, Tool>> = { job: jobTool };
