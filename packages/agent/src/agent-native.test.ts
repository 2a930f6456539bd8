import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AgentRig, inferAt } from './testing/agent-rig.ts';
import { makeNativePackage, TEST_BENCH, type TestNativePackage } from './testing/make-native-package.ts';
import { makePackage, type TestPackage } from './testing/make-package.ts';

const DEVICE = 'device-1';
let rig: AgentRig;
let pack: TestPackage;
beforeEach(async () => {
  rig = await AgentRig.start();
  await rig.join();
  pack = makePackage({ version: '1' });
  rig.server.addPackage(pack);
});
afterEach(({ task }) => rig.stop(task.result?.state === 'fail'));

/** Takes the native package into the server's blobs and desires it. */
async function desire(native: TestNativePackage): Promise<void> {
  rig.server.blobs.set(native.reference.archive.sha256, native.archive);
  await rig.server.desire(DEVICE, [rig.server.workload(pack, { native: native.reference })]);
}
const versionsOnDisk = () => readdir(join(rig.dir, 'versions', 'colours'));

it('serves with the native package, swaps to another one under load, and measures it on command', async () => {
  const signer = await rig.server.packageSigner();
  const native = await makeNativePackage(pack, signer);
  await desire(native);
  rig.run();
  const report = await rig.server.reported('serves natively', (workload) => workload.runtime === native.reference.package);
  expect(report).toMatchObject({ servingVersion: '1', state: 'serving', nativeError: null });
  expect(rig.server.reports.at(-1)?.info.targets).toEqual(['linux-amd64']);

  let stop = false;
  const seen: string[] = [];
  const load = (async () => {
    while (!stop) seen.push((await inferAt(report.port ?? 0)).version);
  })();
  pack = makePackage({ version: '2', gain: 2 });
  rig.server.addPackage(pack);
  const next = await makeNativePackage(pack, signer);
  await desire(next);
  await rig.server.reported('serves 2 natively', (workload) => workload.runtime === next.reference.package && workload.state === 'serving');
  expect((await inferAt(report.port ?? 0)).version).toBe('2');
  stop = true;
  await load;
  expect(new Set(seen)).toEqual(new Set(['1', '2']));

  const expiresAt = new Date(Date.now() + 30_000).toISOString();
  const bench = { id: 'b1', type: 'bench' as const, native: next.reference, seconds: 1, threads: 1, expiresAt };
  expect((await rig.server.command(DEVICE, bench)).outcome).toEqual({ ok: true, bench: TEST_BENCH });
  const other = { ...next.reference, target: 'linux-armv7' };
  const refused = await rig.server.command(DEVICE, { ...bench, id: 'b2', native: other });
  expect(refused.outcome).toMatchObject({ ok: false, error: { code: 'CONFLICT', message: expect.stringContaining('linux-amd64') } });
});

it('refuses a package with one changed byte, says so, and serves with the model server', async () => {
  const native = await makeNativePackage(pack, await rig.server.packageSigner());
  const changed = Buffer.from(native.archive);
  changed[changed.length - 100] = (changed[changed.length - 100] ?? 0) ^ 1;
  const { createHash } = await import('node:crypto');
  const sha256 = createHash('sha256').update(changed).digest('hex');
  // The digest that the server names is that of the changed bytes: only the signature tells.
  await desire({ archive: changed, reference: { ...native.reference, archive: { sha256, sizeBytes: changed.length } } });
  rig.run();
  const report = await rig.server.reported('serves', (workload) => workload.state === 'serving');
  expect(report.runtime).toBe('model-server');
  expect(['SIGNATURE_INVALID', 'ARCHIVE_UNSAFE']).toContain(report.nativeError?.code);
  expect(await versionsOnDisk()).toHaveLength(1);
});

it('refuses a package that another authority signed', async () => {
  const stranger = await AgentRig.start();
  try {
    await desire(await makeNativePackage(pack, await stranger.server.packageSigner()));
    rig.run();
    const report = await rig.server.reported('serves', (workload) => workload.state === 'serving');
    expect(report).toMatchObject({ runtime: 'model-server', nativeError: { code: 'SIGNATURE_INVALID' } });
  } finally {
    await stranger.stop(false);
  }
});

it('does not fetch a package of another architecture, says so, and serves with the model server', async () => {
  const native = await makeNativePackage(pack, await rig.server.packageSigner(), { target: 'linux-armv7' });
  await desire(native);
  rig.run();
  const report = await rig.server.reported('serves', (workload) => workload.state === 'serving');
  expect(report).toMatchObject({
    runtime: 'model-server',
    nativeError: { code: 'CONFLICT', message: 'The package is for linux-armv7; this device runs packages for: linux-amd64.' },
  });
  expect(rig.server.blobRequests.map(({ sha256 }) => sha256)).not.toContain(native.reference.archive.sha256);
});

it('refuses a package that says it is for this architecture in the order only', async () => {
  const native = await makeNativePackage(pack, await rig.server.packageSigner(), { target: 'linux-armv7' });
  await desire({ ...native, reference: { ...native.reference, target: 'linux-amd64' } });
  rig.run();
  const report = await rig.server.reported('serves', (workload) => workload.state === 'serving');
  expect(report).toMatchObject({ runtime: 'model-server', nativeError: { code: expect.any(String) } });
  expect(report.nativeError?.message).toMatch(/linux-armv7/);
  expect(await versionsOnDisk()).toHaveLength(1);
});

it('gives way to the model server when the executable inside is of another architecture', async () => {
  // The head of an ARM executable: the kernel refuses it.
  const content = Buffer.concat([Buffer.from('7f454c4601010100000000000000000002002800', 'hex'), Buffer.alloc(64)]);
  await desire(await makeNativePackage(pack, await rig.server.packageSigner(), { content }));
  rig.run();
  const report = await rig.server.reported('serves', (workload) => workload.state === 'serving');
  expect(report).toMatchObject({ runtime: 'model-server', nativeError: { code: 'WORKLOAD_FAILED' } });
});

it('falls back to the model server when the executable does not start, and to the package of the next version after it', async () => {
  const signer = await rig.server.packageSigner();
  await desire(await makeNativePackage(pack, signer, { broken: true }));
  rig.run();
  const report = await rig.server.reported('serves', (workload) => workload.state === 'serving');
  expect(report).toMatchObject({ runtime: 'model-server', nativeError: { code: 'WORKLOAD_FAILED' } });
  pack = makePackage({ version: '2' });
  rig.server.addPackage(pack);
  await desire(await makeNativePackage(pack, signer));
  await rig.server.reported(
    'serves 2 natively',
    (workload) => workload.runtime?.startsWith('colours.2') === true && workload.nativeError === null,
  );
});

it('tells a package of another architecture which emulator it runs in', async () => {
  // The executable is a script, so a shell does for it what an emulator does for a foreign one.
  const [target, emulator] = ['linux-armv7', '/bin/sh'];
  await writeFile(join(rig.dir, 'agent.json'), JSON.stringify({ target, emulator }));
  const native = await makeNativePackage(pack, await rig.server.packageSigner(), { target, emulator });
  await desire(native);
  rig.run();
  const report = await rig.server.reported('serves', (workload) => workload.state === 'serving');
  expect(report).toMatchObject({ runtime: native.reference.package, nativeError: null });
  const expiresAt = new Date(Date.now() + 30_000).toISOString();
  const command = { id: 'b1', type: 'bench' as const, native: native.reference, seconds: 1, threads: 1, expiresAt };
  expect((await rig.server.command(DEVICE, command)).outcome).toEqual({ ok: true, bench: TEST_BENCH });
});
