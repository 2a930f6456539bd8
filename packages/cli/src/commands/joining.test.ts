import type { CaStatus, DeviceJoin, DeviceTokenFacts } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { CliBench } from '../testing/bench-cli.ts';
import { DIGEST, device, metadata } from '../testing/sample-resources.ts';

const bench = new CliBench().install();
const AT = '2026-01-02T03:04:05.000Z';
const join = (name: string, state: 'waiting' | 'approved'): DeviceJoin => ({
  name,
  state,
  keySha256: DIGEST,
  address: '10.0.0.9',
  labels: {},
  requestedAt: AT,
  expiresAt: AT,
});

describe('device token', () => {
  test('makes one that needs approval, and lists and revokes without showing secrets', async () => {
    const asked: unknown[] = [];
    const token: DeviceTokenFacts = {
      id: '0123456789ab',
      createdAt: AT,
      expiresAt: '2099-01-01T00:00:00.000Z',
      uses: 3,
      usesLeft: 2,
      labels: { site: 'a' },
      approve: true,
      lasting: true,
    };
    await bench.serve({
      createDeviceToken: ({ body }) => {
        asked.push(body);
        return { token: 'sv1.x', url: 'https://s', expiresAt: AT, uses: 1, joinCommand: 'selvedge agent join' };
      },
      listDeviceTokens: () => ({ items: [token] }),
      revokeDeviceToken: ({ params }) => {
        asked.push(params);
        return undefined;
      },
    });
    expect((await bench.call(['device', 'token', '--approve', '--uses', '2'])).stdout).toBe('sv1.x\n');
    expect((await bench.call(['device', 'token', 'list'])).stdout).toMatch(/0123456789ab +2 of 3 .* yes +site=a/);
    expect((await bench.call(['device', 'token', 'revoke', '0123456789ab'])).code).toBe(0);
    expect(asked).toEqual([{ approve: true, uses: 2 }, { id: '0123456789ab' }]);
  });
});

describe('approval', () => {
  test('shows who waits with the key, and approves one or all that wait', async () => {
    const approved: string[] = [];
    await bench.serve({
      listDeviceJoins: () => ({ items: [join('edge-1', 'waiting'), join('edge-2', 'approved'), join('edge-3', 'waiting')] }),
      approveDeviceJoin: ({ params }) => {
        const { name = '' } = params;
        approved.push(name);
        return join(name, 'approved');
      },
    });
    const shown = await bench.call(['device', 'pending']);
    expect(shown.stdout).toContain(DIGEST);
    expect(shown.stdout).toMatch(/edge-1 +waiting +10.0.0.9/);
    expect((await bench.call(['device', 'approve', '--all'])).stdout).toBe('Device/edge-1 approved\nDevice/edge-3 approved\n');
    expect(approved).toEqual(['edge-1', 'edge-3']);
    expect((await bench.call(['device', 'approve'])).code).toBe(2);
  });
});

describe('device set, show and inventory', () => {
  test('set keeps what is not given', async () => {
    const specs: unknown[] = [];
    const known = { ...device('edge-1'), spec: { notes: 'old', location: { latitude: 1, longitude: 2, place: 'roof' } } };
    await bench.serve({
      getResource: () => known,
      apply: ({ body }) => {
        specs.push((body as { documents: { spec: unknown }[] }).documents[0]?.spec);
        return { results: [] };
      },
    });
    await bench.call(['device', 'set', 'edge-1', '--location', '52.5,13.4,30']);
    await bench.call(['device', 'set', 'edge-1', '--location', 'none', '--notes', 'new']);
    await bench.call(['device', 'set', 'edge-1', '--notes', '', '--place', 'cellar']);
    expect(specs).toEqual([
      { notes: 'old', location: { latitude: 52.5, longitude: 13.4, altitude: 30, place: 'roof' } },
      { notes: 'new' },
      { location: { latitude: 1, longitude: 2, place: 'cellar' } },
    ]);
    expect((await bench.call(['device', 'set', 'edge-1', '--location', '91,0'])).code).toBe(2);
    expect((await bench.call(['device', 'set', 'edge-1'])).code).toBe(2);
  });

  test('set gives and takes budgets, of all devices of a query, and refuses impossible ones by name', async () => {
    const applied: unknown[] = [];
    const known = [device('edge-1'), { ...device('edge-2'), spec: { notes: 'old', budgets: { trafficMiBPerDay: 5, cpuLimit: 1 } } }];
    await bench.serve({
      listResources: () => ({ items: known, next: null }),
      apply: ({ body }) => {
        const { documents } = body as { documents: { metadata: { name: string }; spec: unknown }[] };
        applied.push(...documents.map(({ metadata, spec }) => [metadata.name, spec]));
        return { results: [] };
      },
    });
    const args = ['--traffic-mib-per-day', '50', '--cpu-limit', 'none', '--metered', 'true', '--defer-telemetry', 'untilUnmetered'];
    const { code, stdout } = await bench.call(['device', 'set', 'site=lab', ...args]);
    expect([code, stdout]).toEqual([0, 'Device/edge-1 configured\nDevice/edge-2 configured\n']);
    const budgets = { trafficMiBPerDay: 50, metered: true, defer: { telemetry: 'untilUnmetered' } };
    expect(applied).toEqual([
      ['edge-1', { budgets }],
      ['edge-2', { notes: 'old', budgets }],
    ]);
    const wrong = await bench.call(['device', 'set', 'site=lab', '--memory-limit-mib', '1']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('memoryLimitMiB');
    expect(applied).toHaveLength(2);
  });

  test('show names a wrong clock and the place that is set', async () => {
    const base = device('edge-1');
    const location = { latitude: 52.5, longitude: 13.4, place: 'hall' };
    const status = { ...base.status, clockOffsetMs: -56 * 365.25 * 86_400_000, location: { latitude: 0, longitude: 0 } };
    await bench.serve({ getResource: () => ({ ...base, spec: { location }, status }) });
    const { stdout } = await bench.call(['device', 'show', 'edge-1']);
    expect(stdout).toMatch(/Clock +off by 56 years behind/);
    expect(stdout).toMatch(/Location +hall, 52.5, 13.4 \(set\)/);
  });

  test('inventory is what Ansible takes, with groups of labels and of queries; export is what apply takes', async () => {
    const one = device('edge-1', { site: 'a', spare: '' });
    const two = { ...device('edge-2', { site: 'b-1' }), status: { ...device('edge-2').status, address: '10.0.0.2' } };
    const group = {
      apiVersion: 'selvedge.dev/v1alpha1' as const,
      kind: 'DeviceGroup' as const,
      metadata: metadata('not-a'),
      spec: { selector: 'site!=a' },
      status: {},
    };
    await bench.serve({
      listResources: ({ params }) => ({ items: params.plural === 'devices' ? [one, two] : [group], next: null }),
    });
    const { stdout } = await bench.call(['device', 'inventory', '--list']);
    const inventory = JSON.parse(stdout);
    expect(inventory).toMatchObject({
      all: { hosts: ['edge-1', 'edge-2'] },
      site_a: { hosts: ['edge-1'] },
      spare: { hosts: ['edge-1'] },
      site_b_1: { hosts: ['edge-2'] },
      group_not_a: { hosts: ['edge-2'] },
      _meta: { hostvars: { 'edge-2': { ansible_host: '10.0.0.2', selvedge_labels: { site: 'b-1' } } } },
    });
    const host = await bench.call(['device', 'inventory', '--host', 'edge-2']);
    expect(JSON.parse(host.stdout)).toEqual(inventory._meta.hostvars['edge-2']);
    expect((await bench.call(['device', 'inventory', '--host', 'none'])).code).toBe(3);
    const exported = await bench.call(['device', 'export', '-o', 'json']);
    expect(JSON.parse(exported.stdout).documents).toEqual([
      { apiVersion: group.apiVersion, kind: 'DeviceGroup', metadata: { name: 'not-a', labels: {} }, spec: group.spec },
      { apiVersion: group.apiVersion, kind: 'Device', metadata: { name: 'edge-1', labels: { site: 'a', spare: '' } }, spec: {} },
      { apiVersion: group.apiVersion, kind: 'Device', metadata: { name: 'edge-2', labels: { site: 'b-1' } }, spec: {} },
    ]);
  });
});

describe('ca', () => {
  test('shows who is not ready, and ends only on demand', async () => {
    const authority = { sha256: DIGEST, name: 'CN=a', notAfter: AT };
    const status: CaStatus = {
      current: authority,
      next: authority,
      retired: [],
      devices: { total: 2, ready: 1, waiting: [{ device: 'edge-1', online: false, reason: 'does not know it' }] },
      tokens: 1,
    };
    const asked: unknown[] = [];
    await bench.serve({
      getCaStatus: () => status,
      rotateCa: ({ body }) => {
        asked.push(body);
        return status;
      },
    });
    expect((await bench.call(['ca', 'show'])).stdout).toMatch(/1 of 2 devices[\s\S]*edge-1 +offline +does not know it/);
    await bench.call(['ca', 'rotate']);
    await bench.call(['ca', 'rotate', '--finish']);
    expect((await bench.call(['ca', 'rotate', '--force'])).code).toBe(2);
    expect(asked).toEqual([{}, { finish: true, force: false }]);
  });
});
