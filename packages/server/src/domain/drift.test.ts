import { settleDrift } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareDrift, driftCursor, driftEvent, isCooling, ResultPool, withFired } from './drift.ts';

const SETTLED = settleDrift({ inferenceModel: 'reader', windowS: 3600 });
const [T0, T1] = ['2026-01-01T00:00:00.000Z', '2026-01-01T01:00:00.000Z'];
const sure = (count: number) => [0, 0, 0, 0, 0, 0, 0, 0, count * 0.1, count * 0.9];
const unsure = (count: number) => [0, 0, 0, 0, count * 0.5, count * 0.5, 0, 0, 0, 0];

function poolOf(...summaries: { confidence?: number[]; classes?: [string, number][]; device?: string }[]): ResultPool {
  const pool = new ResultPool();
  for (const { confidence = null, classes = [], device = 'd1' } of summaries) pool.add(device, { confidence, classes });
  return pool;
}

describe('drift', () => {
  const reference = poolOf(
    {
      confidence: sure(600),
      classes: [
        ['7', 400],
        ['1', 200],
      ],
    },
    { device: 'd2' },
  ).distribution(T0, T1);

  it('pools what devices answered, and compares it with what they answered before', () => {
    expect(reference).toMatchObject({
      devices: 2,
      otherClasses: 0,
      classes: [
        ['7', 400],
        ['1', 200],
      ],
    });
    const current = poolOf({
      confidence: unsure(1000),
      classes: [
        ['1', 500],
        ['9', 500],
      ],
    }).distribution(T0, T1, reference);
    expect(current).toMatchObject({
      classes: [
        ['7', 0],
        ['1', 500],
      ],
      otherClasses: 500,
    });
    const [confidence, classes] = compareDrift(reference, current, SETTLED);
    expect(confidence).toMatchObject({ of: 'confidence', samples: 1000, referenceSamples: 600 });
    expect(confidence?.psi).toBeGreaterThan(1);
    expect(classes?.psi).toBeGreaterThan(1);
    expect(driftEvent('digits:3', reference, current, SETTLED)?.detail).toMatch(
      /^drift of digits:3 in "reader": confidences psi \d+\.\d{3} above 0\.2 \(1000 samples against 600\), classes psi .*2 devices$/,
    );
    expect(compareDrift(reference, current, { ...SETTLED, of: ['classes'] })).toHaveLength(1);
  });

  it('is not judged by too few answers on either side; classes need some for each', () => {
    const few = poolOf({ confidence: unsure(499) }).distribution(T0, T1, reference);
    expect(driftEvent('digits:3', reference, few, SETTLED)).toBeNull();
    expect(driftEvent('digits:3', few, reference, SETTLED)).toBeNull();
    const names = Array.from({ length: 30 }, (_, at): [string, number] => [`c${at}`, 30]);
    const many = poolOf({ classes: names }).distribution(T0, T1);
    const [, classes] = compareDrift(many, poolOf({ classes: [['c0', 2000]] }).distribution(T0, T1, many), SETTLED);
    expect(classes).toMatchObject({ psi: null, referenceSamples: 900 });
  });

  it('does not see any in the same spread, however many answers and devices there are', () => {
    const bins = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 10, maxLength: 10 });
    fc.assert(
      fc.property(bins, fc.integer({ min: 1, max: 50 }), (confidence, times) => {
        const one = poolOf({ confidence }).distribution(T0, T1);
        const many = poolOf(...Array.from({ length: times }, (_, at) => ({ confidence, device: `d${at}` }))).distribution(T0, T1, one);
        expect(driftEvent('m:1', one, many, { ...SETTLED, minSamples: 1, of: ['confidence'] })).toBeNull();
      }),
    );
  });

  it('is bounded whatever devices call their classes', () => {
    const names = Array.from({ length: 5000 }, (_, at): [string, number] => [`c${at}`, 1]);
    const { classes, otherClasses } = poolOf({ classes: names }).distribution(T0, T1);
    expect([classes.length, otherClasses]).toEqual([100, 4900]);
  });
});

describe('where watching stands', () => {
  it('begins anew for another version, window or selection, and with what cannot be read', () => {
    const fresh = driftCursor(null, SETTLED, 'm:1');
    expect(fresh).toMatchObject({ version: 'm:1', firstAt: null, reference: null, fired: [] });
    const stored = JSON.stringify({ ...fresh, firstAt: T0 });
    expect(driftCursor(stored, SETTLED, 'm:1').firstAt).toBe(T0);
    expect(driftCursor(stored, SETTLED, 'm:2').firstAt).toBeNull();
    expect(driftCursor(stored, { ...SETTLED, selector: 'a=b' }, 'm:1').firstAt).toBeNull();
    expect(driftCursor('inside', SETTLED, 'm:1')).toEqual(fresh);
  });

  it('remembers when a version fired, also while another one is at work', () => {
    const fired = withFired(driftCursor(null, SETTLED, 'm:1'), T0);
    const [soon, later] = [Date.parse(T0) + 3_599_000, Date.parse(T1)];
    expect([isCooling(fired, SETTLED, soon), isCooling(fired, SETTLED, later)]).toEqual([true, false]);
    const other = driftCursor(JSON.stringify(fired), SETTLED, 'm:2');
    expect(isCooling(other, SETTLED, soon)).toBe(false);
    expect(isCooling(driftCursor(JSON.stringify(other), SETTLED, 'm:1'), SETTLED, soon)).toBe(true);
  });
});
