import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('Turns', () => {
  it('lets no more in than it may, everyone in the end, in order, also after a failure', async () => {
    const turns = new Turns(2);
    let busy = 0;
    let most = 0;
    const order: number[] = [];
    const work = (index: number) =>
      turns.take(async () => {
        busy += 1;
        most = Math.max(most, busy);
        order.push(index);
        await new Promise((resolve) => setImmediate(resolve));
        busy -= 1;
        if (index === 1) throw new Error('failed');
      });
    const outcomes = await Promise.allSettled([0, 1, 2, 3, 4].map(work));
    expect(most).toBe(2);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
  });
});
