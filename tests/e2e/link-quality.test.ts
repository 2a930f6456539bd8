import type { Device, Rollout } from '@selvedge/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Product } from './harness/product.ts';
import { SilentRelay } from './harness/silent-relay.ts';
import { deploy, startTrained } from './harness/trained.ts';

const ONE_WAY_MS = 200;
const FAR_BITS_PER_S = 2_000_000;
/** By name it would be the first one. */
const FAR = 'edge-1';
const NEAR = 'edge-2';

const serves = (version: string) => (device: Device) =>
  device.status.workloads.some((workload) => workload.servingVersion === version && workload.state === 'serving');

/** A real server and two real agents, one of them behind a slow link on which everything is late. */
describe('the quality of links', () => {
  let product: Product;
  const relay = new SilentRelay();
  beforeAll(async () => {
    product = await startTrained({ broker: 'embedded' }); // the relay is in front of the device port, and messages are to pass it
    await deploy(product);
    relay.delay(ONE_WAY_MS);
    relay.slow(FAR_BITS_PER_S);
    await product.startAgent(FAR, { url: await relay.start(product.deviceUrl) });
    await product.startAgent(NEAR);
    for (const name of [FAR, NEAR]) await product.waitForDevice(name, serves('1'), 'serving version 1', 60_000);
    await product.cliJson(['pipeline', 'run', 'digits', '--watch', '--set', 'epochs=1']);
  });
  afterAll(async () => {
    await product?.stop();
    await relay.stop();
  });

  it('is measured by agents, and shown', async () => {
    const measured = ({ status }: Device) => status.upkeep?.link != null;
    const far = (await product.waitForDevice(FAR, measured, 'measured')).status.upkeep?.link;
    const near = (await product.waitForDevice(NEAR, measured, 'measured')).status.upkeep?.link;
    // Both ways; timers may be early by less than a millisecond.
    expect(far?.rttMs).toBeGreaterThan(2 * ONE_WAY_MS - 2);
    expect(far?.rttMs).toBeGreaterThan(near?.rttMs ?? Number.POSITIVE_INFINITY);
    const shown = await product.cli(['device', 'show', FAR]);
    expect(shown.stdout).toMatch(/Link +(good|fair|poor): \d+ ms/);
    expect((await product.cli(['device', 'list'])).stdout).toMatch(/LINK[\s\S]*edge-1 .* \d+ ms/);
  });

  it('decides who is in the first wave with order: link', async () => {
    const result = await product.cli([
      ...['deploy', 'digits:2', '--waves', '1,100%', '--order', 'link', '--trial', '1s', '--gate', 'crashes<=0'],
      ...['--watch', '-o', 'json'],
    ]);
    expect(result.code, result.stderr).toBe(0);
    const { status } = await product.cliJson<Rollout>(['rollout', 'show', 'digits']);
    expect(status.devices.map(({ device, wave }) => [device, wave]).sort()).toEqual([
      [FAR, 1],
      [NEAR, 0],
    ]);
  });
});
