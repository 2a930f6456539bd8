import { waitUntil } from '@selvedge/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { SettableClock } from './testing/settable-clock.ts';
import { TrialRig } from './testing/trial-rig.ts';

const YEAR_MS = 365 * 86_400_000;

let rig: TrialRig;
afterEach((context) => rig.agent.stop(context.task.result?.state === 'fail'));

/** "HH:MM" in UTC, so many minutes from now. */
const clockTime = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString().slice(11, 16);

describe('an agent whose clock is set while it runs', () => {
  it('tries a version again in time when the clock goes back a year while the version rests', async () => {
    rig = await TrialRig.start();
    const clock = await SettableClock.create(rig.agent.dir);
    const agent = await rig.serveOne(clock.env);
    const [model = ''] = [...rig.two.blobs.keys()].filter((sha256) => !rig.one.blobs.has(sha256));
    const content = rig.server.blobs.get(model);
    rig.server.blobs.delete(model);
    await rig.desireTwo();
    await rig.server.reported('lacks a file', ({ error }) => error?.code === 'NOT_FOUND');
    await clock.set(agent, -YEAR_MS);
    if (content !== undefined) rig.server.blobs.set(model, content);
    await rig.server.reported('serves 2', ({ servingVersion }) => servingVersion === '2', 'colours', 30_000);
  }, 90_000);

  it('watches a version on trial neither shorter nor longer when the clock goes a day ahead and then two back', async () => {
    rig = await TrialRig.start();
    const clock = await SettableClock.create(rig.agent.dir);
    const agent = await rig.serveOne(clock.env);
    await rig.desireTwo({ durationS: 16 });
    await rig.trialIs('running');
    await clock.set(agent, 86_400_000);
    const before = rig.server.reports.length;
    // It tells about its trial every ten seconds.
    await waitUntil(() => rig.server.reports.length > before, { timeoutMs: 30_000, what: 'a report after the clock was set' });
    expect(rig.server.reports.at(-1)?.workloads[0]?.trial?.state).toBe('running');
    await clock.set(agent, -86_400_000);
    await rig.trialIs('passed');
  }, 90_000);

  it('obeys commands after a clock that began in 1970 was set right', async () => {
    rig = await TrialRig.start();
    const clock = await SettableClock.create(rig.agent.dir, 86_400_000 - Date.now());
    const agent = await rig.serveOne(clock.env);
    await rig.server.reported('knows how far it is off', () => (rig.server.reports.at(-1)?.clockOffsetMs ?? 0) < -YEAR_MS);
    await clock.set(agent, 0);
    const expiresAt = new Date(Date.now() + 30_000).toISOString();
    const asked = { type: 'infer', workload: 'nobody', contentType: 'image/png', bodyBase64: '', expiresAt } as const;
    expect((await rig.server.command('device-1', { ...asked, id: 'after' })).outcome).toMatchObject({
      ok: false,
      error: { code: 'WORKLOAD_NOT_SERVING' },
    });
  }, 90_000);

  it('keeps its windows by the time of the server while its own clock is in 1970', async () => {
    rig = await TrialRig.start();
    // Twelve hours and some days off: what is open now is closed by the clock of the device.
    const days = Math.floor(Date.now() / 86_400_000);
    const clock = await SettableClock.create(rig.agent.dir, -days * 86_400_000 + 43_200_000);
    await rig.serveOne(clock.env);
    await rig.server.reported('knows how far it is off', () => (rig.server.reports.at(-1)?.clockOffsetMs ?? 0) < -YEAR_MS);
    await rig.desireTwo({}, { windows: [{ from: clockTime(-10), to: clockTime(30) }] });
    await rig.server.reported('serves 2', ({ servingVersion }) => servingVersion === '2');
  }, 90_000);
});
