import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Rollout } from '@selvedge/contract';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Product } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

const DEVICES = ['edge-1', 'edge-2', 'edge-3'];
const serves = (version: string) => (device: { status: { workloads: { servingVersion: string | null; state: string }[] } }) =>
  device.status.workloads.some((workload) => workload.servingVersion === version && workload.state === 'serving');

/** A real server, three real agents with real model servers: what a rollout does when the model is bad, and when it is good. */
describe('rollouts', () => {
  let product: Product;
  beforeAll(async () => {
    product = await startTrained();
    await deploy(product);
    for (const name of DEVICES) await product.startAgent(name);
    for (const name of DEVICES) await product.waitForDevice(name, serves('1'), 'serving version 1', 60_000);
    // Version 2 has learnt nothing; version 3 is trained like version 1.
    const untrained = ['--set', 'lr=0.0000001', '--set', 'epochs=1'];
    await product.cliJson(['pipeline', 'run', 'digits', '--watch', ...untrained]);
    await product.cliJson(['pipeline', 'run', 'digits', '--watch', '--set', 'epochs=5']);
  });
  afterAll(() => product.stop());

  const deployWithGolden = (version: string) =>
    product.cli([
      ...['deploy', `digits:${version}`, '--waves', '1,100%', '--trial', '2s', '--golden', 'digits', '--golden-samples', '40'],
      ...['--gate', 'goldenAccuracy>=0.6', '--gate', 'crashes<=0', '--watch', '-o', 'json'],
    ]);

  async function newest(): Promise<Rollout> {
    return product.cliJson<Rollout>(['rollout', 'show', 'digits']);
  }

  it('a model that answers wrongly gets no traffic: the first device refuses it, the others never hear of it', async () => {
    const result = await deployWithGolden('2');
    expect(result.code, result.stderr).toBe(6);
    const { status, spec } = await newest();
    expect(spec).toMatchObject({ fromVersion: '1', toVersion: '2' });
    expect(status.phase).toBe('failed');
    const [first, ...others] = status.devices;
    expect(first).toMatchObject({ wave: 0, state: 'reverted' });
    const check = first?.checks.find(({ gate }) => gate === 'goldenAccuracy');
    expect(check).toMatchObject({ bar: 0.6, passed: false, samples: 40 });
    expect(check?.value).toBeLessThan(0.6);
    expect(others.map(({ releasedAt }) => releasedAt)).toEqual([null, null]);
    for (const name of DEVICES) expect(serves('1')(await product.device(name)), name).toBe(true);
  });

  it('a good model goes wave by wave to all, each verdict with its number', async () => {
    const result = await deployWithGolden('3');
    expect(result.code, result.stderr).toBe(0);
    const { status } = await newest();
    expect(status.phase).toBe('succeeded');
    expect(status.waves.map(({ devices, state }) => [devices, state])).toEqual([
      [1, 'passed'],
      [2, 'passed'],
    ]);
    for (const device of status.devices) {
      expect(device).toMatchObject({ state: 'passed' });
      const check = device.checks.find(({ gate }) => gate === 'goldenAccuracy');
      expect(check).toMatchObject({ passed: true, samples: 40 });
    }
    for (const name of DEVICES) expect(serves('3')(await product.device(name)), name).toBe(true);
    const folder = join(inject('pictures'), 'test/7');
    const [file = ''] = (await readdir(folder)).sort();
    const answer = await product.cliJson<{ version?: string }[] | object>(['infer', 'digits', join(folder, file)]);
    expect(JSON.stringify(answer)).toContain('"version":"3"');
  });

  it('a recall names every device that serves what came from a dataset, and takes them back', async () => {
    const found = await product.cliJson<object>(['recall', '--dataset', 'digits@1']);
    for (const name of DEVICES) expect(JSON.stringify(found)).toContain(name);
    const recalled = await product.cli(['recall', '--model', 'digits:3', '--to', '1', '--yes']);
    expect(recalled.code, recalled.stderr).toBe(0);
    for (const name of DEVICES) await product.waitForDevice(name, serves('1'), 'serving version 1', 60_000);
  });
});
