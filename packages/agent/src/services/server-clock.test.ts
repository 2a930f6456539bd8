import { describe, expect, it } from 'vitest';
import { ServerClock } from './server-clock.ts';

describe('the clock of the server', () => {
  it("is this machine's until the server has said otherwise", () => {
    const clock = new ServerClock(() => 1_000_000);
    expect(clock.now()).toBe(1_000_000);
    expect(clock.offsetMs).toBeUndefined();
    expect(clock.isStale).toBe(true);
  });

  it('corrects a clock that began in 1970, and says by how much', () => {
    let own = 5_000_500;
    const clock = new ServerClock(() => own);
    clock.learn(1_800_000_000_000);
    expect(clock.offsetMs).toBe(5_000_000 - 1_800_000_000_000);
    own += 10_000;
    expect(clock.now()).toBe(1_800_000_010_500);
    expect(clock.toServerTime(5_000_500)).toBe(1_800_000_000_500);
    expect(clock.isStale).toBe(false);
    own = 100;
    expect(clock.isStale).toBe(true);
  });

  it('leaves a clock alone that is off by less than a minute', () => {
    const clock = new ServerClock(() => 1_000_000);
    clock.learn(1_030_000);
    expect(clock.now()).toBe(1_000_000);
    expect(clock.offsetMs).toBe(-30_000);
  });
});
