import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { Product, type ProductOptions } from './product.ts';

/** A running product of one's own that already has a dataset, a pipeline and model version 1. */
export async function startTrained(options: Omit<ProductOptions, 'dir'> = {}): Promise<Product> {
  const dir = await mkdtemp(join(tmpdir(), 'selvedge-e2e-'));
  await cp(inject('trained'), dir, { recursive: true });
  const product = await Product.create({ ...options, dir });
  await product.startServer();
  return product;
}

/** An InferenceModel that puts a version of the digits model on every device of the test site. */
export function digitsDeployment(version: string): string {
  return JSON.stringify({
    apiVersion: 'selvedge.dev/v1alpha1',
    kind: 'InferenceModel',
    metadata: { name: 'digits' },
    spec: { modelName: 'digits', deployToLayer: 'edge', frameworkType: 'onnx', nodeSelector: { site: 'test' }, targetVersion: version },
  });
}

export async function deploy(product: Product, version = '1'): Promise<void> {
  const result = await product.cli(['apply', '-f', '-'], { input: digitsDeployment(version) });
  if (result.code !== 0) throw new Error(result.stderr);
}
