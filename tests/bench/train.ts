// `npm run bench:train [-- --from FOLDER]`: seconds and accuracy of each step on a dataset: by default 8,000 + 2,000 rendered digits; with --from any folder that `dataset add` takes (MNIST in IDX form, say).
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Run } from '@selvedge/contract';
import { makeDigits } from '../../examples/digits/make-dataset.ts';
import { Product } from '../e2e/harness/product.ts';

const { values } = parseArgs({ options: { from: { type: 'string' }, epochs: { type: 'string', default: '8' } } });
const product = await Product.create();
try {
  await product.startServer();
  const folder = values.from ?? join(product.dir, 'pictures');
  if (values.from === undefined) await makeDigits({ outDir: folder, train: 8000, test: 2000, seed: 1 });
  const begin = performance.now();
  await product.cliJson(['dataset', 'add', 'digits', '--from', folder]);
  const importS = (performance.now() - begin) / 1000;
  const file = join(product.dir, 'digits.json');
  const pipeline = {
    dataset: { name: 'digits', path: { train: 'train', test: 'test' } },
    model: { name: 'digits', hyperparams: { lr: 0.002, batch_size: 64, epochs: Number(values.epochs) } },
    preproc: { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [-1, 1] } },
    postproc: { pipeline: ['softmax'] },
  };
  await writeFile(file, JSON.stringify(pipeline));
  await product.cliJson(['apply', '-f', file]);
  const run = await product.cliJson<Run>(['pipeline', 'run', 'digits', '--watch']);
  const seconds = (from: string | null, to: string | null) => (Date.parse(to ?? '') - Date.parse(from ?? '')) / 1000;
  const steps = Object.fromEntries(run.status.steps.map((step) => [step.name, seconds(step.startedAt, step.finishedAt)]));
  process.stdout.write(`${JSON.stringify({ importS, steps, metrics: run.status.metrics }, null, 2)}\n`);
} finally {
  await product.stop();
}
process.exit();
