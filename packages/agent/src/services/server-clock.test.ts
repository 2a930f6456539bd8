import { describe, expect, it } from 'vitest';
import { ServerClock } from './server-clock.ts';

const TRUE_MS = 1_800_000_000_000;

/** A machine with a clock that can be set, and one that cannot. */
function machine(clockMs: number) {
  const own = { clockMs, steadyMs: 77_000 };
  const clock = new ServerClock(
    () => own.clockMs,
    () => own.steadyMs,
  );
  const pass = (ms: number) => {
    own.clockMs += ms;
    own.steadyMs += ms;
  };
  return { own, clock, pass };
}

describe('the clock of the server', () => {
  it("is this machine's until the server has said otherwise", () => {
    const { clock } = machine(1_000_000);
    expect(clock.now()).toBe(1_000_000);
    expect(clock.offsetMs).toBeUndefined();
    expect(clock.isStale).toBe(true);
  });

  it('corrects a clock that began in 1970, and says by how much', () => {
    const { clock, pass } = machine(5_000_500);
    clock.learn(TRUE_MS);
    expect(clock.offsetMs).toBe(5_000_000 - TRUE_MS);
    pass(10_000);
    expect(clock.now()).toBe(TRUE_MS + 10_500);
    expect(clock.isStale).toBe(false);
    pass(86_400_000);
    expect(clock.isStale).toBe(true);
  });

  it.each([
    ['set right after it began in 1970', 5_000_500, TRUE_MS + 10_000, 0],
    ['set an hour ahead', TRUE_MS, TRUE_MS + 3_610_000, 3_599_000],
    ['set an hour back', TRUE_MS, TRUE_MS - 3_590_000, -3_601_000],
  ])('knows the time when this clock is %s', (_what, before, after, offsetMs) => {
    const { own, clock } = machine(before);
    clock.learn(TRUE_MS);
    own.steadyMs += 10_000;
    own.clockMs = after;
    expect(Math.abs(clock.now() - (TRUE_MS + 10_000))).toBeLessThanOrEqual(500);
    expect(Math.abs((clock.offsetMs ?? Number.NaN) - offsetMs)).toBeLessThanOrEqual(1000);
  });

  it('leaves a clock alone that is off by less than a minute', () => {
    const { clock } = machine(1_000_000);
    clock.learn(1_030_000);
    expect(clock.now()).toBe(1_000_000);
    expect(clock.offsetMs).toBe(-30_000);
  });
});
