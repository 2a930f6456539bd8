// `npm run bench:server`: start-up, memory and CPU of an idle server and of each of its tools; start-up of the CLI.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { sleep } from '@selvedge/runtime';
import { Product, ROOT } from '../e2e/harness/product.ts';
import { cpuSecondsOf, memoryOf } from './rss.ts';

const product = await Product.create();
try {
  const begin = performance.now();
  await product.startServer();
  const startMs = performance.now() - begin;
  await sleep(20_000);
  const pid = product.server.child.pid ?? 0;
  const cpu = cpuSecondsOf(pid);
  await sleep(20_000);
  const { items } = await (await product.api()).listModules();
  const helps = Array.from({ length: 9 }, () => {
    const from = performance.now();
    spawnSync(process.execPath, [join(ROOT, 'packages/cli/bin/selvedge.mjs'), '--help']);
    return performance.now() - from;
  }).sort((a, b) => a - b);
  const result = {
    server: { startMs: Math.round(startMs), ...memoryOf(pid), cpuPercentOfACore: ((cpuSecondsOf(pid) - cpu) / 20) * 100 },
    tools: Object.fromEntries(items.map((module) => [module.name, module.pid === null ? null : memoryOf(module.pid)])),
    cliHelpMs: { min: Math.round(helps[0] ?? 0), median: Math.round(helps[4] ?? 0), max: Math.round(helps[8] ?? 0) },
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  await product.stop();
}
process.exit();
