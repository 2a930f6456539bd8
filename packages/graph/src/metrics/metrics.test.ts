import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Box } from '../ops/index.ts';
import {
  calibrationError,
  classificationMetrics,
  type DetectedBox,
  intersectionOverUnion,
  meanAveragePrecision,
  retrievalMetrics,
  rocAuc,
  type TruthBox,
} from './index.ts';

describe('classificationMetrics', () => {
  // Six samples of three classes; the predictions are 0 0 1, 1 2, 2.
  const report = classificationMetrics({
    classes: 3,
    labels: [0, 0, 0, 1, 1, 2],
    probabilities: Float32Array.of(0.8, 0.1, 0.1, 0.6, 0.3, 0.1, 0.3, 0.5, 0.2, 0.1, 0.7, 0.2, 0.2, 0.3, 0.5, 0.1, 0.1, 0.8),
  });

  it('counts who was taken for whom', () => {
    expect(report.confusion).toEqual([
      [2, 1, 0],
      [0, 1, 1],
      [0, 0, 1],
    ]);
    expect(report.accuracy).toBeCloseTo(4 / 6, 10);
  });

  it('gives precision, recall and F1 of each class and their means', () => {
    const rounded = report.perClass.map(({ support, precision, recall, f1 }) => [support, precision, recall, f1].map((v) => v.toFixed(4)));
    // Precision 2/2, 1/2, 1/2; recall 2/3, 1/2, 1/1; F1 4/5, 1/2, 2/3.
    expect(rounded).toEqual([
      ['3.0000', '1.0000', '0.6667', '0.8000'],
      ['2.0000', '0.5000', '0.5000', '0.5000'],
      ['1.0000', '0.5000', '1.0000', '0.6667'],
    ]);
    expect(report.macro.precision).toBeCloseTo(2 / 3, 10);
    expect(report.macro.recall).toBeCloseTo((2 / 3 + 1 / 2 + 1) / 3, 10);
    expect(report.macro.f1).toBeCloseTo((4 / 5 + 1 / 2 + 2 / 3) / 3, 10);
    expect(report.micro).toEqual({ precision: 4 / 6, recall: 4 / 6, f1: 4 / 6 });
  });

  it('gives the area under the curve of each class against the rest', () => {
    // Class 0: .8 .6 .3 against .1 .2 .1 never fails; class 1: .7 wins 4 of 4, .3 wins 2, ties 1; class 2: .8 wins all.
    expect(report.perClass.map(({ rocAuc: auc }) => auc)).toEqual([1, (4 + 2.5) / 8, 1]);
    expect(report.rocAuc).toBeCloseTo((2 + 6.5 / 8) / 3, 10);
  });

  it('leaves classes that do not occur out of the means', () => {
    const two = classificationMetrics({ classes: 3, labels: [0, 1], probabilities: Float32Array.of(1, 0, 0, 0, 1, 0) });
    expect(two.macro.f1).toBe(1);
    expect(two.perClass[2]).toEqual({ support: 0, precision: 0, recall: 0, f1: 0, rocAuc: null });
    expect(classificationMetrics({ classes: 2, labels: [0], probabilities: Float32Array.of(1, 0) }).rocAuc).toBeNull();
  });

  it('refuses what does not fit', () => {
    expect(() => classificationMetrics({ classes: 2, labels: [0], probabilities: new Float32Array(3) })).toThrow(/need 2/);
    expect(() => classificationMetrics({ classes: 2, labels: [2], probabilities: new Float32Array(2) })).toThrow(/Label 2/);
  });
});

describe('rocAuc', () => {
  it('counts equal scores half', () => {
    expect(rocAuc([0.5, 0.5, 0.5, 0.5], (i) => i < 2)).toBe(0.5);
    expect(rocAuc([0.1, 0.4, 0.35, 0.8], (i) => i > 1)).toBe(0.75);
  });

  it('is the share of pairs in the right order', () => {
    const samples = fc.array(fc.record({ score: fc.integer({ min: 0, max: 9 }), positive: fc.boolean() }), { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(samples, (all) => {
        const [yes, no] = [all.filter((s) => s.positive), all.filter((s) => !s.positive)];
        const wins = yes.flatMap((a) => no.map((b) => (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0)));
        const auc = rocAuc(
          all.map((s) => s.score),
          (i) => all[i]?.positive ?? false,
        );
        if (wins.length === 0) expect(auc).toBeNull();
        else expect(auc).toBeCloseTo(wins.reduce<number>((a, b) => a + b, 0) / wins.length, 10);
      }),
    );
  });
});

describe('calibrationError', () => {
  it('is the gap between confidence and accuracy of each bin, weighted', () => {
    // Two bins: {0.3, 0.5} with one right, {0.6, 0.9} with one right.
    expect(calibrationError([0.3, 0.5, 0.6, 0.9], (i) => i === 1 || i === 3, 2)).toBeCloseTo(
      (Math.abs(0.8 - 1) + Math.abs(1.5 - 1)) / 4,
      6,
    );
    expect(calibrationError([1, 1, 1], () => true)).toBe(0);
    expect(calibrationError([1, 1, 0, 0], (i) => i < 1)).toBeCloseTo(1 / 4, 10);
  });
});

const box = (x: number, y: number, w: number, h: number): Box => [x, y, x + w, y + h];
const truth = (image: number, at: Box, index = 0): TruthBox => ({ image, index, box: at });
const found = (image: number, at: Box, score: number, index = 0): DetectedBox => ({ image, index, box: at, score });

describe('meanAveragePrecision', () => {
  it('takes the overlap of boxes as its measure', () => {
    expect(intersectionOverUnion(box(0, 0, 10, 10), box(5, 0, 10, 10))).toBeCloseTo(50 / 150, 10);
    expect(intersectionOverUnion(box(0, 0, 10, 10), box(10, 0, 10, 10))).toBe(0);
  });

  it('is 1 when everything is found exactly and nothing else', () => {
    const truths = [truth(0, box(0, 0, 10, 10)), truth(1, box(5, 5, 8, 8), 1)];
    const metrics = meanAveragePrecision(
      truths.map((each, i) => ({ ...each, score: 0.5 + i / 10 })),
      truths,
    );
    expect([metrics.map50, metrics.map]).toEqual([1, 1]);
    expect(metrics.perClass).toEqual([
      { index: 0, support: 1, ap50: 1, ap: 1, recall50: 1 },
      { index: 1, support: 1, ap50: 1, ap: 1, recall50: 1 },
    ]);
  });

  it('interpolates precision at 101 points of recall', () => {
    const truths = [truth(0, box(0, 0, 10, 10)), truth(0, box(50, 0, 10, 10)), truth(1, box(0, 0, 10, 10))];
    const detections = [
      found(0, box(0, 0, 10, 10), 0.9),
      found(0, box(80, 80, 10, 10), 0.8),
      found(1, box(0, 0, 10, 10), 0.7),
      found(1, box(0, 0, 10, 10), 0.6),
    ];
    // Hits: yes, no, yes, no (the object is taken). Precision 1 up to recall 1/3 (34 points), then 2/3 up to 2/3 (33 points), then 0.
    const { perClass, map50, map } = meanAveragePrecision(detections, truths);
    expect(map50).toBeCloseTo((34 * 1 + 33 * (2 / 3)) / 101, 10);
    expect(map).toBeCloseTo(map50, 10);
    expect(perClass[0]?.recall50).toBeCloseTo(2 / 3, 10);
  });

  it('counts a box only up to the overlap that it has', () => {
    // 8 of 10 columns: IoU 0.8, a hit at 0.50 to 0.80, which are 7 of the 10 thresholds.
    const metrics = meanAveragePrecision([found(0, box(0, 0, 8, 10), 0.9)], [truth(0, box(0, 0, 10, 10))]);
    expect(metrics.map50).toBe(1);
    expect(metrics.map).toBeCloseTo(0.7, 10);
  });

  it('matches classes and pictures apart, and means over classes that have objects', () => {
    const truths = [truth(0, box(0, 0, 10, 10), 0), truth(0, box(20, 0, 10, 10), 1)];
    const detections = [found(0, box(0, 0, 10, 10), 0.9, 1), found(1, box(20, 0, 10, 10), 0.9, 1), found(0, box(0, 0, 10, 10), 0.8, 0)];
    const metrics = meanAveragePrecision([...detections, found(0, box(0, 0, 5, 5), 0.9, 7)], truths);
    expect(metrics.perClass.map(({ index, ap50 }) => [index, ap50])).toEqual([
      [0, 1],
      [1, 0],
    ]);
    expect(metrics.map50).toBe(0.5);
  });

  it('gives an object to the detection that is more certain, each the object that it covers best', () => {
    const truths = [truth(0, box(0, 0, 10, 10)), truth(0, box(2, 0, 10, 10))];
    const detections = [found(0, box(2, 0, 10, 10), 0.9), found(0, box(1, 0, 10, 10), 0.8)];
    expect(meanAveragePrecision(detections, truths).map50).toBe(1);
  });

  it('takes the 100 most certain boxes of a picture', () => {
    const wrong = Array.from({ length: 100 }, (_, i) => found(0, box(50, 50, 5, 5), 0.9 - i / 1000));
    expect(meanAveragePrecision([...wrong, found(0, box(0, 0, 10, 10), 0.1)], [truth(0, box(0, 0, 10, 10))]).map50).toBe(0);
  });

  it('is 0 when there is nothing to find or nothing was found', () => {
    expect(meanAveragePrecision([found(0, box(0, 0, 1, 1), 1)], [])).toEqual({ map50: 0, map: 0, perClass: [] });
    expect(meanAveragePrecision([], [truth(0, box(0, 0, 1, 1))])).toMatchObject({ map50: 0, map: 0 });
  });
});

describe('retrievalMetrics', () => {
  const at = (...degrees: number[]) =>
    Float32Array.from(degrees.flatMap((d) => [Math.cos((d * Math.PI) / 180), Math.sin((d * Math.PI) / 180)]));

  it('ranks every other picture by likeness', () => {
    // From 0 degrees: 10 (other), 30 (same). From 30: 10 (other), 0 (same). 10 has no second picture.
    const metrics = retrievalMetrics({ embeddings: at(0, 10, 30), identities: [1, 2, 1] });
    expect(metrics).toEqual({ rank1: 0, rank5: 1, map: 0.5, queries: 2 });
  });

  it('means the precision at each right picture of the gallery', () => {
    const gallery = { embeddings: at(1, 2, 3, 90), identities: [1, 2, 1, 2] };
    // Identity 1 at 0 degrees: right, wrong, right: (1 + 2/3) / 2. Identity 2 at 91: right, wrong, right: the same.
    const metrics = retrievalMetrics({ embeddings: at(0, 91), identities: [1, 2] }, gallery);
    expect(metrics.rank1).toBe(1);
    expect(metrics.map).toBeCloseTo((1 + 2 / 3) / 2, 10);
  });

  it('refuses to measure what has no answer', () => {
    expect(() => retrievalMetrics({ embeddings: at(0, 1), identities: [1, 2] })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    );
    expect(() => retrievalMetrics({ embeddings: new Float32Array(3), identities: [1, 2] })).toThrow(/not one vector/);
  });
});
