import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Device } from '@selvedge/contract';
import { sleep, waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { CuttingProxy } from './harness/cutting-proxy.ts';
import { type Product, ROOT } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

/** As far as it is needed here. */
type OpenDatabase = new (
  file: string,
  options: { readonly: boolean },
) => { prepare(sql: string): { all(): Record<string, unknown>[] }; close(): void };
// The server's own: it is no dependency of tests.
const Database = createRequire(join(ROOT, 'packages/server/package.json'))('better-sqlite3') as OpenDatabase;

const FAST = ['--telemetry-interval-s', '1', '--telemetry-batch-s', '1', '--results-interval-s', '1'];

describe('what a device keeps', () => {
  let product: Product;
  let proxy: CuttingProxy;
  afterEach(async () => {
    await product.stop();
    await proxy.stop();
  });

  /** From the database itself, so that nothing in between can hide a row. */
  function stored() {
    const db = new Database(join(product.dataDir, 'selvedge.sqlite'), { readonly: true });
    try {
      const count = (table: string) => Number(db.prepare(`select count(*) as count from ${table}`).all()[0]?.count);
      const [samples, results] = [count('telemetry'), count('device_results')];
      const ranges = db.prepare('select * from taken_numbers').all();
      return { samples, results, ranges };
    } finally {
      db.close();
    }
  }

  const until = (what: string, isIt: () => boolean) => waitUntil(isIt, { timeoutMs: 60_000, intervalMs: 100, what });

  /** Waits until the server has stored something whose acknowledgement does not reach the device. */
  async function storeUnheard(): Promise<void> {
    for (;;) {
      const before = stored().samples;
      proxy.isDeaf = true;
      // Deaf between a batch and its acknowledgement, the device waits for that one and sends no other: then once more.
      const isStored = async () => {
        await sleep(100);
        return stored().samples > before;
      };
      for (let looks = 0; looks < 150; looks += 1) if (await isStored()) return;
      proxy.isDeaf = false;
      proxy.cut();
      await until('the next batch', () => stored().samples > before);
    }
  }

  it('is stored once each, although the server, then the agent, is killed between commit and acknowledgement', async () => {
    product = await startTrained();
    proxy = new CuttingProxy(product.deviceUrl);
    const url = await proxy.start();
    const agent = await product.startAgent('edge-1', { url, args: FAST });
    await until('the first samples', () => stored().samples > 0);

    await storeUnheard();
    await product.server.kill('SIGKILL');
    proxy.isDeaf = false;
    proxy.cut();
    const whileDown = stored().samples;
    await product.startServer();
    await until('what was kept meanwhile', () => stored().samples > whileDown + 3);

    await storeUnheard();
    await agent.kill('SIGKILL');
    proxy.isDeaf = false;
    const whileDead = stored().samples;
    const again = await product.startAgent('edge-1', { url, args: FAST });
    await until('more samples', () => stored().samples > whileDead + 3);
    await again.kill('SIGTERM');
    const { samples, ranges } = stored();
    // One spool, all of its numbers, a sample of each.
    expect(ranges).toMatchObject([{ first_number: 1, last_number: samples }]);
  }, 180_000);

  it('tells after the return what models answered meanwhile, and what the device uses', async () => {
    product = await startTrained();
    proxy = new CuttingProxy(product.deviceUrl);
    await deploy(product);
    await product.startAgent('edge-1', { url: await proxy.start(), args: FAST });
    const device = await product.waitForDevice('edge-1', ({ status }) => status.workloads[0]?.state === 'serving', 'serving');
    const port = device.status.workloads[0]?.port;
    await product.server.kill('SIGKILL');
    const answer = await fetch(`http://127.0.0.1:${port}/v1/infer`, {
      method: 'POST',
      body: 'no picture',
      headers: { 'content-type': 'image/png' },
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    await product.startServer();
    await until('the results', () => stored().results > 0);
    const shown = await product.cli(['device', 'results', 'edge-1', '--workload', 'digits']);
    expect(shown.stdout).toMatch(/FROM \(UTC\) .*\n\d{4}-\d\d-\d\d .* digits +digits:1 +1 +0 +- +- +-\n/);
    const { stdout } = await product.cli(['device', 'show', 'edge-1']);
    expect(stdout).toMatch(/To send +\d+/);
    expect(stdout).toMatch(/Traffic +\d.* today/);
  }, 120_000);
});

describe('budgets that are set at the server', () => {
  let product: Product;
  afterEach(() => product.stop());

  it('hold a download, let it go on when they are raised, and are shown with whose they are', async () => {
    product = await startTrained();
    await product.startAgent('edge-1', { args: FAST });
    const set = (...args: string[]) => product.cli(['device', 'set', ...args]);
    const refused = await set('edge-1', '--traffic-mib-per-day', '0');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('trafficMiBPerDay')]);
    expect((await set('site=test', '--traffic-mib-per-day', '0.01', '--cpu-limit', '2')).stdout).toBe('Device/edge-1 configured\n');
    const waits = ({ status }: Device) => status.upkeep?.budgets?.waits?.reason === 'traffic';
    await product.waitForDevice('edge-1', waits, 'the bytes of the day to be used up');
    await deploy(product);
    await product.waitForDevice('edge-1', ({ status }) => status.workloads[0]?.held?.reason === 'budget', 'held');
    expect((await product.cli(['device', 'show', 'edge-1'])).stdout).toMatch(
      /Budgets +trafficMiBPerDay 0.01 \(server\), cpuLimit 2 \(server\), telemetryIntervalS 1 \(device\)/,
    );
    expect((await set('edge-1', '--traffic-mib-per-day', '500')).code).toBe(0);
    await product.waitForDevice('edge-1', ({ status }) => status.workloads[0]?.state === 'serving', 'serving');
  }, 120_000);
});
