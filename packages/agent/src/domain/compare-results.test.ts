import { describe, expect, it } from 'vitest';
import { confidenceOf, sameResult } from './compare-results.ts';

const boxes = (...found: [label: string, score: number, ...box: number[]][]) => ({
  boxes: found.map(([label, score, ...box]) => ({ label, score, box })),
});

describe('sameResult', () => {
  it('compares first labels, not their scores', () => {
    expect(sameResult({ top: { label: 'a', score: 0.9 } }, { top: { label: 'a', score: 0.6 } })).toBe(true);
    expect(sameResult({ top: { label: 'a', score: 0.9 } }, { top: { label: 'b', score: 0.9 } })).toBe(false);
    expect(sameResult({ top: { label: 'a', score: 0.9 } }, {})).toBe(false);
  });

  it('compares boxes by number, label and place, in any order', () => {
    const first = boxes(['cat', 0.9, 0, 0, 10, 10], ['dog', 0.8, 20, 20, 30, 30]);
    expect(sameResult(first, boxes(['dog', 0.7, 21, 20, 30, 30], ['cat', 0.9, 0, 1, 10, 10]))).toBe(true);
    expect(sameResult(first, boxes(['cat', 0.9, 0, 0, 10, 10]))).toBe(false);
    expect(sameResult(first, boxes(['dog', 0.9, 0, 0, 10, 10], ['cat', 0.8, 20, 20, 30, 30]))).toBe(false);
    expect(sameResult(first, boxes(['cat', 0.9, 6, 6, 16, 16], ['dog', 0.8, 20, 20, 30, 30]))).toBe(false);
    expect(sameResult(boxes(), boxes())).toBe(true);
  });

  it('compares everything else within a thousandth', () => {
    expect(sameResult({ outputs: [{ data: [1, 2] }] }, { outputs: [{ data: [1.0005, 2] }] })).toBe(true);
    expect(sameResult({ outputs: [{ data: [1, 2] }] }, { outputs: [{ data: [1.01, 2] }] })).toBe(false);
    expect(sameResult({ outputs: [{ data: [1, 2] }] }, { outputs: [{ data: [1] }] })).toBe(false);
  });
});

describe('confidenceOf', () => {
  it('is the score of the first label or of the best box', () => {
    expect(confidenceOf({ top: { label: 'a', score: 0.7 } })).toBe(0.7);
    expect(confidenceOf(boxes(['cat', 0.3, 0, 0, 1, 1], ['dog', 0.8, 0, 0, 1, 1]))).toBe(0.8);
    expect(confidenceOf(boxes())).toBeNull();
    expect(confidenceOf({ outputs: [] })).toBeNull();
  });
});
