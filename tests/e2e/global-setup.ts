import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { makeDigits } from '../../examples/digits/make-dataset.ts';
import { Product } from './harness/product.ts';
import { SMALL_PIPELINE } from './harness/small-pipeline.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of a product that has a dataset, a pipeline and a registered model version 1. */
    trained: string;
    /** Folder with train/ and test/ pictures. */
    pictures: string;
  }
}

/** Trains once; every test file begins with a copy of the result. */
let dir = '';

export async function setup(project: TestProject): Promise<void> {
  dir = await mkdtemp(join(tmpdir(), 'selvedge-e2e-trained-'));
  const pictures = join(dir, 'pictures');
  await makeDigits({ outDir: pictures, train: 500, test: 100, seed: 3 });
  const product = await Product.create({ dir: join(dir, 'product') });
  product.broker = undefined; // there are no devices yet; whose test has some brings its own
  try {
    await product.startServer();
    await product.cliJson(['dataset', 'add', 'digits', '--from', pictures]);
    const file = join(dir, 'digits.json');
    await writeFile(file, JSON.stringify(SMALL_PIPELINE));
    await product.cliJson(['apply', '-f', file]);
    await product.cliJson(['pipeline', 'run', 'digits', '--watch']);
  } catch (error) {
    process.stderr.write(`${product.server.log.slice(-5000)}\n`);
    throw error;
  } finally {
    await product.server.kill('SIGTERM');
  }
  project.provide('trained', product.dir);
  project.provide('pictures', pictures);
}

export async function teardown(): Promise<void> {
  await rm(dir, { recursive: true, force: true });
}
