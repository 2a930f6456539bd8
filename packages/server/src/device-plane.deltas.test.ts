import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { deltaOfferSchema } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';
import { TEST_FILES, testArchive, testAuthority, testManifest } from '@selvedge/runtime/package-rig';
import { canonicalManifest } from '@selvedge/runtime/package-sealing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { builtPackage } from './testing/built-package.ts';
import { ask, type Identity } from './testing/device-client.ts';
import { PlaneRig } from './testing/plane-rig.ts';

const BASE = randomBytes(200_000);
const TARGET = Buffer.concat([BASE.subarray(0, 100_000), randomBytes(500), BASE.subarray(100_000)]);

/** Patches over the device port: who gets which, and what everybody else is told. */
describe('patches for devices', () => {
  let rig: PlaneRig;
  let identity: Identity;
  let base: string;
  let target: string;
  beforeEach(async () => {
    rig = await PlaneRig.start();
    base = (await rig.addVersion('digits', '1', BASE)).files[0]?.sha256 ?? '';
    identity = await rig.join('edge-1');
    const device = await rig.connect(identity);
    await rig.deploy('digits', { targetVersion: '1' });
    await device.untilDesired(({ workloads }) => workloads[0]?.version === '1');
    await device.reportServing();
    await rig.untilDevice('edge-1', ({ status }) => status.workloads[0]?.servingVersion === '1');
    target = (await rig.addVersion('digits', '2', TARGET)).files[0]?.sha256 ?? '';
    await rig.deploy('digits', { targetVersion: '2' });
    await device.untilDesired(({ workloads }) => workloads[0]?.version === '2');
  });
  afterEach(() => rig.stop());

  const offer = (sha256: string, from: string, as = identity) =>
    ask(rig.port, `/device/v1/deltas/${sha256}?from=${from}`, { identity: as });
  const blob = (sha256: string, as = identity, headers: Record<string, string> = {}) =>
    ask(rig.port, `/device/v1/blobs/${sha256}`, { identity: as, headers });

  it('are offered against what the device serves, and fetched as a blob is', async () => {
    const answer = await offer(target, `${'f'.repeat(64)},${base}`);
    expect(answer.status).toBe(200);
    const { format, from, patch } = deltaOfferSchema.parse(answer.json());
    expect({ format, from }).toEqual({ format: 'vcdiff+zstd', from: base });
    expect(patch.sizeBytes).toBeLessThan(1000);
    const whole = await blob(patch.sha256);
    expect(whole.body).toHaveLength(patch.sizeBytes);
    expect(whole.headers.etag).toBe(`"${patch.sha256}"`);
    const rest = await blob(patch.sha256, identity, { range: 'bytes=100-' });
    expect([rest.status, rest.body]).toEqual([206, whole.body.subarray(100)]);
  });

  it('are for those who may fetch the target', async () => {
    const { patch } = deltaOfferSchema.parse((await offer(target, base)).json());
    await rig.deploy('digits', { targetVersion: '2', nodeSelector: { none: 'there' } });
    const other = await rig.join('edge-2');
    expect((await offer(target, base, other)).status).toBe(404);
    expect((await blob(patch.sha256, other)).status).toBe(404);
    expect((await ask(rig.port, `/device/v1/deltas/${target}?from=${base}`)).status).toBe(401);
  });

  it('are not made of blobs that the device never had', async () => {
    const { sha256: secret } = await rig.blobs.put(Readable.from([TARGET.subarray(0, 150_000)]));
    await rig.addVersion('faces', '1', BASE.subarray(0, 190_000));
    const foreign = await rig.store.get('ModelVersion', 'faces.v1');
    expect((await offer(target, secret)).status).toBe(404);
    expect((await offer(target, foreign?.spec.file.sha256 ?? '')).status).toBe(404);
  });

  it('are not offered where they are not worth it, and nothing else is known either', async () => {
    const unlike = (await rig.addVersion('digits', '3', randomBytes(200_000))).files[0]?.sha256 ?? '';
    await rig.deploy('digits', { targetVersion: '3' });
    await rig.untilModel('digits', ({ status }) => status.resolvedVersion === '3');
    expect((await offer(unlike, base)).status).toBe(404);
    expect((await offer('e'.repeat(64), base)).status).toBe(404);
  });

  it('refuses addresses that name no digest, or too many', async () => {
    for (const from of ['', 'x', Array.from({ length: 17 }, () => base).join(',')]) expect((await offer(target, from)).status).toBe(400);
  });
});

describe('patches between native packages', () => {
  it('are offered to the device that is to run one and has the other, of what is in their archives', async () => {
    const rig = await PlaneRig.start();
    try {
      const { signer } = await testAuthority();
      const add = async (version: string, program: Buffer) => {
        const files = [...TEST_FILES.filter(({ path }) => path !== 'run'), { path: 'run', content: program, executable: true }];
        const archive = await rig.blobs.put(Readable.from([await testArchive(signer, { files, manifest: { version } })]));
        const { metadata, spec, status } = builtPackage(`digits-${version}`, { version, archive });
        const manifestSha256 = sha256Hex(canonicalManifest(testManifest(files, { version })));
        const draft = { name: metadata.name, labels: metadata.labels, annotations: {}, spec, status: { ...status, manifestSha256 } };
        await rig.store.create('Package', draft);
        return { archive, manifestSha256 };
      };
      const identity = await rig.join('edge-1');
      const device = await rig.connect(identity);
      await device.report([], 0);
      await rig.untilDevice('edge-1', ({ status }) => status.info !== null);
      const old = await add('1', BASE);
      await rig.addVersion('digits', '1');
      await rig.deploy('digits', { targetVersion: '1' });
      await device.untilDesired(({ workloads }) => workloads[0]?.native?.manifestSha256 === old.manifestSha256);
      await device.reportServing({ runtime: 'digits-1' });
      await rig.untilDevice('edge-1', ({ status }) => status.workloads[0]?.servingVersion === '1');
      const next = await add('2', TARGET);
      await rig.addVersion('digits', '2');
      await rig.deploy('digits', { targetVersion: '2' });
      await device.untilDesired(({ workloads }) => workloads[0]?.native?.manifestSha256 === next.manifestSha256);

      const asked = (manifest: string, from: string, as = identity) =>
        ask(rig.port, `/device/v1/package-deltas/${manifest}?from=${from}`, { identity: as });
      const answer = await asked(next.manifestSha256, `${'f'.repeat(64)},${old.manifestSha256}`);
      const { format, from, patch, opened } = deltaOfferSchema.parse(answer.json());
      expect({ format, from }).toEqual({ format: 'package+vcdiff+zstd', from: old.manifestSha256 });
      expect(patch.sizeBytes).toBeLessThan(5000);
      expect(opened?.sizeBytes).toBeGreaterThan(TARGET.length);
      const fetched = await ask(rig.port, `/device/v1/blobs/${patch.sha256}`, { identity });
      expect(fetched.body.length).toBe(patch.sizeBytes);
      // packages are not named by their archives here, and only what the device is told to run is made for it
      expect((await asked(next.archive.sha256, old.manifestSha256)).status).toBe(404);
      expect((await asked(old.manifestSha256, next.manifestSha256)).status).toBe(404);
      const other = await rig.join('edge-2');
      expect((await asked(next.manifestSha256, old.manifestSha256, other)).status).toBe(404);
      expect((await ask(rig.port, `/device/v1/blobs/${patch.sha256}`, { identity: other })).status).toBe(404);
    } finally {
      await rig.stop();
    }
  });
});
