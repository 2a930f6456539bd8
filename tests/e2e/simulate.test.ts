import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SimulationReport, simulationReportSchema } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Product, ROOT } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

const DEVICES = 25;
const PROFILE = {
  startsPerS: 50,
  telemetryIntervalS: 1,
  labels: { site: 'test', line: 'l{n}' },
  updates: { startMs: { min: 10, max: 50 } },
};

describe('selvedge simulate', () => {
  let product: Product;
  let folder: string;
  beforeAll(async () => {
    product = await startTrained();
    folder = await mkdtemp(join(tmpdir(), 'selvedge-simulate-'));
    await writeFile(join(folder, 'profile.json'), JSON.stringify(PROFILE));
  });
  afterAll(async () => {
    await product.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function devices() {
    const { items } = await (await product.api()).listResources({ params: { plural: 'devices' }, query: {} });
    return items.flatMap((item) => (item.kind === 'Device' ? [item] : []));
  }

  it('is a fleet that joins, fetches, serves as ordered, and is gone after Ctrl-C', async () => {
    await deploy(product);
    const args = ['simulate', '--devices', String(DEVICES), '--profile', join(folder, 'profile.json'), '--dir', folder, '-o', 'json'];
    const child = spawn(process.execPath, [join(ROOT, 'packages/cli/bin/selvedge.mjs'), ...args], {
      env: { ...process.env, SELVEDGE_DATA: product.dataDir },
    });
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const ended = once(child, 'close');
    const all = await waitUntil(
      async () => {
        const found = await devices();
        return found.filter(({ status }) => status.workloads[0]?.servingVersion === '1').length === DEVICES ? found : undefined;
      },
      { timeoutMs: 120_000, intervalMs: 200, what: 'every simulated device to serve version 1' },
    ).catch((error: unknown) => {
      throw new Error(`the simulator says:\n${stderr}`, { cause: error });
    });
    expect(all[0]?.metadata.labels).toMatchObject({
      site: 'test',
      'selvedge.dev/simulated': 'true',
      line: expect.stringMatching(/^l\d+$/),
    });
    await waitUntil(async () => (await devices()).every(({ status }) => status.upkeep?.link !== undefined), {
      timeoutMs: 30_000,
      what: 'every simulated device to say how its link does',
    });
    child.kill('SIGINT');
    await ended;
    const report: SimulationReport = simulationReportSchema.parse(JSON.parse(stdout));
    expect(report).toMatchObject({
      event: 'report',
      joined: DEVICES,
      downloads: { count: DEVICES, failed: 0 },
      serving: { 'digits 1': DEVICES },
    });
    expect(report.orders['digits 1']?.devices).toBe(DEVICES);
    expect(await devices()).toEqual([]);
  });

  it('goes on with the devices of before, though the first of them was removed', async () => {
    const args = ['simulate', '--devices', '3', '--prefix', 'kept', '--dir', folder, '--duration', '5s', '--keep'];
    expect((await product.cliJson<SimulationReport>(args)).joined).toBe(3);
    expect((await product.cli(['device', 'remove', 'kept-1'])).code).toBe(0);
    const again = await product.cliJson<SimulationReport>(args);
    expect(again).toMatchObject({ joined: 3, online: 2 });
    expect(again.failedConnects).toBeGreaterThan(0);
    expect((await devices()).map(({ metadata }) => metadata.name).sort()).toEqual(['kept-2', 'kept-3']);
  });

  it('says what is wrong with a profile, and where', async () => {
    const file = join(folder, 'wrong.yaml');
    await writeFile(file, 'telemetryIntervalS: 30\nlink:\n  lossShare: 3\n  speed: fast\n');
    const result = await product.cli(['simulate', '--devices', '1', '--profile', file]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/wrong\.yaml:3:\d+: link\.lossShare/);
    expect(result.stderr).toContain('speed');
  });
});
