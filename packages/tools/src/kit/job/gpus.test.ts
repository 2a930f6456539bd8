import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '@selvedge/runtime';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { installCards, installNvidiaSmi, restorePath } from '../../testing/fake-nvidia-smi.ts';
import { JOB_TOOLS } from '../../testing/job-tools.ts';
import { type ToolClient, ToolHarness } from '../../testing/tool-harness.ts';
import { leaseGpus } from './gpus.ts';

const harness = new ToolHarness();
afterEach(restorePath);
afterAll(() => harness.end());

async function serve(): Promise<ToolClient> {
  const tool = JOB_TOOLS.job;
  if (tool === undefined) throw new Error('no tool');
  const main = fileURLToPath(new URL('../../testing/job-main.ts', import.meta.url));
  return (await harness.serve(tool, { jobCommand: [process.execPath, '--import', import.meta.resolve('tsx'), main] })).client;
}

let client: ToolClient;
let other: ToolClient;
beforeAll(async () => {
  client = await serve();
  other = await serve();
});

const make = (name: string, gpus: unknown, of = client) => of.make({ name, parameters: { does: 'report', gpus } });

describe('GPUs of a job', { timeout: 60_000 }, () => {
  it('shows a job those that it was granted, by number or by UUID, and no other', async () => {
    const [first = '', second = '', third = ''] = await installCards(harness, 3);
    const wanted: [string, unknown, string[]][] = [
      ['one', 1, [first]],
      ['by-number', [2, 1], [third, second]],
      ['by-uuid', [second], [second]],
    ];
    for (const [name, gpus, uuids] of wanted) {
      const status = await make(name, gpus);
      expect(status).toMatchObject({ status: 'completed', resources: { asked: { gpus } } });
      expect(status.resources?.granted.gpus.map((gpu) => gpu.uuid)).toEqual(uuids);
      expect(status.resources?.granted.gpus[0]).toMatchObject({ name: 'NVIDIA L4', memoryMiB: 23_034 });
      expect(await client.json(`/artifacts/${name}/data/report.json`)).toMatchObject({ cuda: uuids.join(',') });
    }
    expect(await make('none', undefined)).toMatchObject({ status: 'completed', resources: { granted: { gpus: [] } } });
    expect(await client.json('/artifacts/none/data/report.json')).toMatchObject({ cuda: '' });
  });

  it('lets one job at a time have one, among all tools', async () => {
    const [uuid] = await installCards(harness, 1);
    await client.post({ name: 'holder', parameters: { does: 'wait', gpus: 1 } });
    await client.waitFor('holder', ['in-progress']);
    await untilLogged(client, 'holder', 'pids');
    await other.post({ name: 'waiter', parameters: { does: 'report', gpus: [0] } });
    await untilLogged(other, 'waiter', 'waiting for GPUs that other work has');
    await client.fetch('/artifacts/holder/cancel', { method: 'POST' });
    const status = await other.waitFor('waiter', ['completed']);
    expect(status.resources?.granted.gpus).toMatchObject([{ uuid }]);
  });

  it.each<[string, unknown, (uuids: string[]) => RegExp]>([
    ['too many', 3, ([a, b]) => new RegExp(`3 GPUs are asked for; found: 0 \\(NVIDIA L4, 23034 MiB, ${a}\\); 1 \\(.*${b}\\)\\.$`)],
    ['a number', [0, 7], () => /GPU 7 is asked for; found: 0 /],
    ['a UUID', ['GPU-00000000-0000'], () => /GPU GPU-00000000-0000 is asked for; found: 0 /],
  ])('refuses what is not there and names what is (%s)', async (what, gpus, message) => {
    const uuids = await installCards(harness, 2);
    const name = `refused-${what.replace(' ', '-').toLowerCase()}`;
    const status = await make(name, gpus);
    expect(status).toMatchObject({
      status: 'failed',
      error: { code: 'RESOURCES_UNAVAILABLE', issues: [{ path: 'train.resources.gpus' }] },
    });
    expect(status.error?.message).toMatch(message(uuids));
    expect(status.resources).toBeUndefined();
  });

  it.each([
    [
      'a driver that does not answer',
      'echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9',
      /NVIDIA-SMI has failed/,
    ],
    ['no card', 'true', /1 GPU is asked for; none was found: nvidia-smi lists none/],
    ['another format', 'echo "0 | Tesla"', /not understood: "0 | Tesla"/],
  ])('refuses them on a machine with %s', async (what, script, message) => {
    await installNvidiaSmi(harness, script);
    const status = await make(what.replaceAll(' ', '-'), 1);
    expect(status).toMatchObject({ status: 'failed', error: { code: 'RESOURCES_UNAVAILABLE', message: expect.stringMatching(message) } });
  });

  it('leases nothing in a folder that is a link to somewhere else', async () => {
    const link = join(await harness.folder(), 'leases');
    await symlink(await harness.folder(), link);
    const lease = leaseGpus({ count: 0, among: [] }, { signal: new AbortController().signal, folder: link });
    await expect(lease).rejects.toMatchObject({ code: 'RESOURCES_UNAVAILABLE', message: expect.stringContaining(link) });
  });

  it('refuses them on a machine without nvidia-smi', async () => {
    process.env.PATH = await harness.folder();
    expect((await make('no-program', 1)).error?.message).toContain('none was found: there is no nvidia-smi on the PATH');
  });
});

async function untilLogged(of: ToolClient, name: string, text: string): Promise<void> {
  await waitUntil(async () => (await of.text(`/artifacts/${name}/log`)).includes(text), {
    timeoutMs: 20_000,
    intervalMs: 20,
    what: `"${text}" in the log of ${name}`,
  });
}
