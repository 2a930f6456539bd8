import { describe, expect, it } from 'vitest';
import { ToolTurns } from './tool-turns.ts';

const wish = (group: string, run: string, step = 'a', makes?: string) => ({ key: `${run}.${step}`, run, group, makes });

describe('turns at a tool', () => {
  it('alternate between pipelines, however much one of them wants', () => {
    const turns = new ToolTurns();
    const wishes = [
      ...Array.from({ length: 6 }, (_, at) => wish('greedy', `greedy-${at}`)),
      wish('modest', 'modest-1'),
      wish('modest', 'modest-2'),
    ];
    const order: string[] = [];
    const held: string[] = [];
    while (order.length < wishes.length) {
      for (const one of wishes) {
        if (order.includes(one.key) || !turns.take('train', one)) continue;
        order.push(one.key);
        held.push(one.key);
      }
      expect(held.length).toBeLessThanOrEqual(2);
      turns.release('train', held.shift() ?? '');
    }
    // the first two are given before anyone else has asked
    expect(order.slice(2, 6)).toEqual(['modest-1.a', 'greedy-2.a', 'modest-2.a', 'greedy-3.a']);
  });

  it('alternate between the runs of a pipeline', () => {
    const turns = new ToolTurns();
    const first = [wish('p', 'p-1', 'a'), wish('p', 'p-1', 'b'), wish('p', 'p-1', 'c')];
    expect(first.map((one) => turns.take('t', one))).toEqual([true, true, false]);
    expect(turns.take('t', wish('p', 'p-2'))).toBe(false);
    turns.release('t', 'p-1.a');
    expect(turns.take('t', wish('p', 'p-1', 'c'))).toBe(false);
    expect(turns.take('t', wish('p', 'p-2'))).toBe(true);
  });

  it('are not given for what is being made already, and go to others meanwhile', () => {
    const turns = new ToolTurns();
    expect(turns.take('t', wish('p', 'p-1', 'a', 'same'))).toBe(true);
    expect(turns.take('t', wish('q', 'q-1', 'a', 'same'))).toBe(false);
    expect(turns.makerOf('t', wish('q', 'q-1', 'a', 'same'))).toBe('p-1');
    expect(turns.take('t', wish('p', 'p-2', 'a', 'else'))).toBe(true);
    turns.drop('p-1');
    expect(turns.take('t', wish('q', 'q-1', 'a', 'same'))).toBe(true);
  });
});
