import type { PostprocSpec } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../testing/code-of.ts';
import { type Box, boxTable, nms } from './nms.ts';
import { applyPostproc } from './postproc.ts';
import { sigmoid, softmax, topk } from './scores.ts';

describe('softmax and sigmoid', () => {
  it('give the known probabilities', () => {
    // 1 : e : e^2 with e = 2.718281828...
    const expected = [0.09003057, 0.24472847, 0.66524096];
    softmax(Float32Array.of(0, 1, 2)).forEach((p, i) => {
      expect(p).toBeCloseTo(expected[i]!, 7);
    });
    const [low, half, high] = sigmoid(Float32Array.of(-2, 0, 2));
    expect(half).toBe(0.5);
    expect(low).toBeCloseTo(0.11920292, 7);
    expect(high).toBeCloseTo(0.88079708, 7);
  });

  it('do not overflow', () => {
    expect([...softmax(Float32Array.of(3e38, -3e38))]).toEqual([1, 0]);
    expect([...sigmoid(Float32Array.of(-3e38, 3e38))]).toEqual([0, 1]);
  });

  it('sum to one and keep the order, for any finite scores', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1, maxLength: 50, noNaN: true, noDefaultInfinity: true }), (values) => {
        const out = softmax(values);
        expect(out.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
        const best = out[values.indexOf(Math.max(...values))]!;
        expect(best).toBe(Math.max(...out));
      }),
    );
  });
});

describe('topk', () => {
  it('orders by score and then by index', () => {
    const out = topk(Float32Array.of(0.25, 0.5, 0.5, 0.125), 3, ['a', 'b', 'c', 'd']);
    expect(out).toEqual([
      { label: 'b', index: 1, score: 0.5 },
      { label: 'c', index: 2, score: 0.5 },
      { label: 'a', index: 0, score: 0.25 },
    ]);
    expect(topk(Float32Array.of(1, 2), 10, []).map((entry) => entry.label)).toEqual(['1', '0']);
  });
});

/** One class, rows of cx, cy, w, h, score. */
function oneClass(rows: readonly (readonly number[])[]) {
  return boxTable(Float32Array.from(rows.flat()), [rows.length, 5], ['thing']);
}

/**
 * The rules of nms in their plainest form: take the best box that is left, drop what overlaps it, repeat. Geometry by
 * counting unit squares of integer boxes, so that it shares no formula with the code.
 */
function plainNms(boxes: readonly { box: Box; index: number; score: number }[], iouThreshold: number, confidence: number, limit: number) {
  const squares = ([x1, y1, x2, y2]: Box): Set<string> => {
    const set = new Set<string>();
    for (let y = y1; y < y2; y++) for (let x = x1; x < x2; x++) set.add(`${x},${y}`);
    return set;
  };
  let left = boxes.filter((entry) => entry.score >= confidence);
  const kept: typeof left = [];
  while (left.length > 0 && kept.length < limit) {
    const best = left.reduce((a, b) => (b.score > a.score ? b : a));
    kept.push(best);
    const area = squares(best.box);
    left = left.filter((entry) => {
      if (entry === best) return false;
      const other = squares(entry.box);
      const shared = [...other].filter((square) => area.has(square)).length;
      const union = area.size + other.size - shared;
      return entry.index !== best.index || union === 0 || !(shared / union > iouThreshold);
    });
  }
  return kept;
}

describe('nms', () => {
  it('drops the weaker of two boxes that overlap by more than the threshold, and only then', () => {
    // 4x4 boxes, 2 apart: they share 8 of 24, an IoU of exactly one third.
    const table = oneClass([
      [2, 2, 4, 4, 0.5],
      [4, 2, 4, 4, 0.75],
    ]);
    expect(nms(table, { IoU_thr: 0.33, conf_thr: 0 }, ['thing'])).toEqual([{ box: [2, 0, 6, 4], label: 'thing', index: 0, score: 0.75 }]);
    expect(nms(table, { IoU_thr: 0.34, conf_thr: 0 }, ['thing'])).toHaveLength(2);
  });

  it('keeps boxes whose overlap equals the threshold', () => {
    // 2x4 inside 4x4: 8 of 16.
    const table = oneClass([
      [2, 2, 4, 4, 0.75],
      [1, 2, 2, 4, 0.5],
    ]);
    expect(nms(table, { IoU_thr: 0.5, conf_thr: 0 }, [])).toHaveLength(2);
  });

  it('keeps a box whose score equals the confidence threshold', () => {
    const table = oneClass([
      [2, 2, 4, 4, 0.6],
      [20, 2, 4, 4, 0.5999],
    ]);
    expect(nms(table, { IoU_thr: 0.5, conf_thr: 0.6 }, [])).toHaveLength(1);
  });

  it('takes the lower row of equal scores, and the lower class', () => {
    const boxes = Float32Array.of(5, 5, 4, 4, 0.5, 0.5, 6, 5, 4, 4, 0.5, 0.25);
    const out = nms(boxTable(boxes, [2, 6], ['a', 'b']), { IoU_thr: 0.1, conf_thr: 0 }, ['a', 'b']);
    expect(out).toEqual([{ box: [3, 3, 7, 7], label: 'a', index: 0, score: 0.5 }]);
  });

  it('does not let one class suppress another', () => {
    const boxes = Float32Array.of(5, 5, 4, 4, 0.9, 0, 5, 5, 4, 4, 0, 0.8);
    expect(nms(boxTable(boxes, [2, 6], ['a', 'b']), { IoU_thr: 0.1, conf_thr: 0.1 }, ['a', 'b']).map((d) => d.label)).toEqual(['a', 'b']);
  });

  it('agrees with the plain algorithm on any crowd of boxes, in both orientations', () => {
    const row = fc.tuple(fc.nat(8), fc.nat(8), fc.nat(3), fc.nat(3), fc.nat(2), fc.integer({ min: 1, max: 16 }));
    const thresholds = fc.record({
      iou: fc.constantFrom(0, 0.25, 0.5, 0.75, 1),
      confidence: fc.constantFrom(0, 0.25, 0.5),
      limit: fc.integer({ min: 1, max: 12 }),
    });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 40 }), thresholds, (rows, { iou, confidence, limit }) => {
        const boxes = rows.map(([x, y, halfWidth, halfHeight, index, sixteenths]) => ({
          box: [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight] as Box,
          index,
          score: sixteenths / 16,
        }));
        const data = rows.flatMap(([x, y, halfWidth, halfHeight, index, sixteenths]) => {
          const scores = [0, 0, 0];
          scores[index] = sixteenths / 16;
          return [x, y, 2 * halfWidth, 2 * halfHeight, ...scores];
        });
        const labels = ['a', 'b', 'c'];
        const params = { IoU_thr: iou, conf_thr: confidence, max_boxes: limit };
        const expected = plainNms(boxes, iou, confidence, limit).map((entry) => ({ ...entry, label: labels[entry.index] }));
        expect(nms(boxTable(Float32Array.from(data), [rows.length, 7], labels), params, labels)).toEqual(expected);
        if (rows.length === 7) return; // Both axes fit: read as rows.
        const columns = Array.from({ length: data.length }, (_, i) => data[(i % rows.length) * 7 + Math.floor(i / rows.length)]!);
        expect(nms(boxTable(Float32Array.from(columns), [7, rows.length], labels), params, labels)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses a shape that cannot hold boxes', () => {
    expect(codeOf(() => boxTable(new Float32Array(12), [3, 4], []))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => boxTable(new Float32Array(12), [2, 6], ['a']))).toBe('SHAPE_MISMATCH');
  });
});

describe('applyPostproc', () => {
  const labels = ['a', 'b', 'c'];
  const logits = [{ shape: [1, 3], data: Float32Array.of(0, 2, 1) }];
  const run = (spec: PostprocSpec, shape = [1, 3]) => applyPostproc([{ shape, data: Float32Array.of(0, 2, 1) }], spec, labels);

  it('answers a classification with the best class and the best k', () => {
    const result = run({ pipeline: ['softmax', 'topk'], params: { topk: { k: 2 } } });
    expect(result).toEqual({
      top: { label: 'b', index: 1, score: expect.closeTo(0.66524, 5) },
      topk: [
        { label: 'b', index: 1, score: expect.closeTo(0.66524, 5) },
        { label: 'c', index: 2, score: expect.closeTo(0.24473, 5) },
      ],
    });
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  it('answers with all scores where there is no topk, and with an empty chain on one value per label', () => {
    expect(run({ pipeline: [] })).toEqual({ top: { label: 'b', index: 1, score: 2 }, scores: [0, 2, 1] });
    expect(run({ pipeline: ['sigmoid'] }, [1, 3, 1, 1])).toMatchObject({
      top: { label: 'b' },
      scores: [0.5, expect.any(Number), expect.any(Number)],
    });
  });

  it('returns any other output as it is when the chain is empty', () => {
    expect(applyPostproc([{ shape: [1, 2, 2], data: Float32Array.of(1, 2, 3, 4) }], { pipeline: [] }, labels)).toEqual({
      tensor: { shape: [1, 2, 2], values: [1, 2, 3, 4] },
    });
  });

  it('applies an activation before nms to the class scores only, and topk after it to the boxes', () => {
    const data = Float32Array.of(5, 5, 4, 4, 0, 50, 50, 4, 4, 2, 90, 90, 4, 4, -9);
    const spec: PostprocSpec = { pipeline: ['sigmoid', 'nms', 'topk'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.25 }, topk: { k: 1 } } };
    expect(applyPostproc([{ shape: [1, 3, 5], data }], spec, ['thing'])).toEqual({
      boxes: [{ box: [48, 48, 52, 52], label: 'thing', index: 0, score: expect.closeTo(0.880797, 6) }],
    });
    expect([...data.slice(0, 5)]).toEqual([5, 5, 4, 4, 0]);
  });

  it('refuses what does not fit', () => {
    const soft: PostprocSpec = { pipeline: ['softmax'] };
    expect(codeOf(() => applyPostproc([], soft, labels))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => applyPostproc(logits, soft, ['a', 'b']))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => applyPostproc([{ shape: [1, 4], data: new Float32Array(3) }], soft, []))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => applyPostproc([{ shape: [2, 3], data: new Float32Array(6) }], soft, []))).toBe('SHAPE_MISMATCH');
    expect(codeOf(() => applyPostproc([{ shape: [1, 2], data: Float32Array.of(1, Number.NaN) }], soft, []))).toBe('PREPROC_INVALID');
    expect(codeOf(() => run({ pipeline: ['topk', 'softmax'], params: { topk: { k: 1 } } }))).toBe('PREPROC_INVALID');
    expect(codeOf(() => run({ pipeline: ['topk'] }))).toBe('PREPROC_INVALID');
  });
});
