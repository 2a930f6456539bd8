import type { CaStatus, DeviceTokenFacts, RecallSource, RecallView } from '@selvedge/contract';
import type { FixtureClock } from './fixture-resources.ts';

const token = (id: string, clock: FixtureClock, change: Partial<DeviceTokenFacts>): DeviceTokenFacts => ({
  id,
  createdAt: clock.ago(31),
  expiresAt: clock.ago(-29),
  uses: 1,
  usesLeft: 1,
  labels: {},
  approve: false,
  lasting: true,
  ...change,
});

/** One of each sort: plain, for many, of before tokens had a date, used up. */
export function deviceTokens(clock: FixtureClock): DeviceTokenFacts[] {
  return [
    token('3f9c01ab77de', clock, { labels: { site: 'plant-3', line: '4', role: 'camera', shift: 'night' }, approve: true }),
    token('a01b77c2093e', clock, { uses: 2500, usesLeft: 1204, expiresAt: clock.ago(-60 * 24 * 12), lasting: false }),
    token('77de3f9c01ab', clock, { createdAt: null, expiresAt: clock.ago(-60 * 5), lasting: false }),
    token('c2093ea01b77', clock, { usesLeft: 0, expiresAt: clock.ago(-4) }),
  ];
}

const authority = (digits: string, year: number) => ({
  sha256: digits.repeat(8),
  name: `Selvedge device CA ${digits}`,
  notAfter: `${year}-11-20T00:00:00.000Z`,
});

/** A change under way, after one of before. */
export function caStatus(): CaStatus {
  return {
    current: authority('9b04c7e1', 2036),
    next: authority('51d2ffa8', 2037),
    retired: [authority('0cc5e210', 2035)],
    devices: {
      total: 7,
      ready: 4,
      waiting: [
        { device: 'edge-3', online: true, reason: 'has no certificate of the next authority yet' },
        { device: 'old-scanner', online: false, reason: 'does not know the next authority yet' },
        {
          device: 'warehouse-north.line-4.camera-over-the-conveyor-belt-left-side-second-unit',
          online: true,
          reason: 'its agent does not say whom it trusts',
        },
      ],
    },
    tokens: 2,
  };
}

/** As long as nothing was begun. */
export function quietCaStatus(): CaStatus {
  return { current: authority('9b04c7e1', 2036), next: null, retired: [], devices: { total: 0, ready: 0, waiting: [] }, tokens: 0 };
}

/** Version 3 came from dataset version 2, and version 2 of before is still on one device. */
export function recallView(source: RecallSource): RecallView {
  const isDataset = source.dataset !== undefined;
  const at = (device: string, online: boolean, version: string, state: RecallView['devices'][number]['state']) => ({
    device,
    online,
    deployment: device === 'gate-cam' ? 'digits-gate' : 'digits',
    state,
    model: 'digits',
    version,
  });
  const all = [
    at('edge-1', true, '3', 'serving'),
    at('edge-2', true, '3', 'serving'),
    at('gate-cam', true, '3', 'fetching'),
    at('old-scanner', false, '3', 'serving'),
    at('warehouse-north.line-4.camera-over-the-conveyor-belt-left-side-second-unit', true, '3', 'serving'),
    at('edge-3', true, '2', 'failed'),
  ];
  const versions = [...(isDataset ? ['2'] : []), isDataset ? '3' : (source.modelVersion ?? '3')];
  const devices = all.filter(({ version }) => versions.includes(version));
  const names = [...new Set(devices.map(({ deployment }) => deployment))];
  return {
    versions: versions.map((version) => ({ model: 'digits', version })),
    deployments: names.map((name) => ({ name, model: 'digits', wanted: '3' })),
    devices,
  };
}
