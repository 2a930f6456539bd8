import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Rollout, transferOf } from '@selvedge/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Product } from './harness/product.ts';
import { SMALL_PIPELINE } from './harness/small-pipeline.ts';
import { deploy, startTrained } from './harness/trained.ts';

/** A real server and a real agent: what goes over the network when a version is like the one before, as the rollout tells it. */
describe('a version that is like the one before', () => {
  let product: Product;
  beforeAll(async () => {
    product = await startTrained();
    await deploy(product);
    await product.startAgent('edge-1');
    await product.waitForDevice('edge-1', ({ status }) => status.workloads[0]?.servingVersion === '1', 'serving version 1', 60_000);
  });
  afterAll(() => product.stop());

  /** Makes the next version by a pipeline that differs so, and rolls it out. */
  async function rollOut(version: string, change: object): Promise<Rollout> {
    const file = join(product.dir, `pipeline-${version}.json`);
    await writeFile(file, JSON.stringify({ ...SMALL_PIPELINE, ...change }));
    await product.cliJson(['apply', '-f', file, '--name', `change-${version}`]);
    await product.cliJson(['pipeline', 'run', `change-${version}`, '--watch']);
    const result = await product.cli(['deploy', `digits:${version}`, '--waves', '100%', '--trial', '1s', '--watch']);
    expect(result.code, result.stderr).toBe(0);
    const rollout = await product.cliJson<Rollout>(['rollout', 'show', 'digits']);
    expect(rollout.spec.toVersion).toBe(version);
    return rollout;
  }

  it('comes as a patch where a part of the weights was trained again', async () => {
    const { status } = await rollOut('2', { train: { from: 'digits:1', trainable: ['gemm*'] } });
    const sent = transferOf(status);
    expect(sent?.patchedBytes).toBeGreaterThan(0.8 * (sent?.wholeBytes ?? 0));
    expect(sent?.fetchedBytes).toBeLessThan(0.6 * (sent?.wholeBytes ?? 0));
    const shown = await product.cli(['rollout', 'show', 'digits']);
    expect(shown.stdout).toMatch(/Sent +\d+ KiB of \d+ KiB \(\d+ %\); \d+ B were there, \d+ KiB came as patches/);
  });

  it('fetches no model where only what is done with its output differs', async () => {
    const train = { from: 'digits:1', trainable: ['gemm*'] };
    const { status } = await rollOut('3', { train, postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 5 } } } });
    const sent = transferOf(status);
    expect(sent?.patchedBytes).toBe(0);
    expect(sent?.sharedBytes).toBeGreaterThan(0.9 * (sent?.wholeBytes ?? 0));
    expect(sent?.fetchedBytes).toBeLessThan(5000);
  });
});
