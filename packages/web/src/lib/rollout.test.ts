import { describe, expect, test } from 'vitest';
import { readPolicy, rolloutForm } from './rollout.ts';

describe('readPolicy', () => {
  test('is the policy of the form, with what it does not ask about kept', () => {
    const before = { waves: [1, '100%'], windows: [{ from: '02:00', to: '04:00' }], manual: true, gates: { agreement: 0.9 } };
    const form = rolloutForm(before);
    expect(form).toMatchObject({ choice: 'keep', waves: '1, 100%', gates: 'agreement>=0.9', manual: true });
    expect(readPolicy(form, before)).toEqual({ ok: true, policy: undefined });
    expect(readPolicy({ ...form, choice: 'waves', waves: '2, 50%', manual: false }, before)).toEqual({
      ok: true,
      policy: {
        strategy: 'waves',
        waves: [2, '50%'],
        windows: [{ from: '02:00', to: '04:00' }],
        trial: { durationS: 60 },
        gates: { agreement: 0.9 },
      },
    });
  });

  test('without one is all at once, and names the field that cannot be read', () => {
    const form = rolloutForm(undefined);
    expect(readPolicy(form, undefined)).toEqual({ ok: true, policy: null });
    expect(readPolicy({ ...form, choice: 'waves', gates: 'agreement<=1' }, undefined)).toMatchObject({ ok: false, field: 'gates' });
    expect(readPolicy({ ...form, choice: 'waves', waves: 'some' }, undefined)).toMatchObject({ ok: false, field: 'waves' });
    expect(readPolicy({ ...form, choice: 'waves', trialS: '0' }, undefined)).toMatchObject({ ok: false, field: 'trialS' });
  });
});
