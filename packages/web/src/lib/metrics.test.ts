import type { MetricPoint } from '@selvedge/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignSeries, chartableGroups, groupMetrics, mainAccuracy, mainMetric, orderMetricNames, splitMetricName } from './metrics.ts';

const point = (metric: string, step: number, value: number, second = 0): MetricPoint => ({
  metric,
  step,
  value,
  at: new Date(1_790_000_000_000 + second * 1000).toISOString(),
});

describe('groupMetrics', () => {
  it('puts the curves of one kind together, loss first, train before validation', () => {
    const groups = groupMetrics([
      point('validation/accuracy', 1, 0.5),
      point('validation/loss', 1, 2),
      point('train/loss', 1, 3),
      point('lr', 1, 0.1),
    ]);
    expect(groups.map((group) => [group.name, group.series.map((series) => series.name)])).toEqual([
      ['loss', ['train', 'validation']],
      ['accuracy', ['validation']],
      ['lr', ['lr']],
    ]);
  });

  it('orders points by step and keeps the newest value of a step that was measured again', () => {
    const [group] = groupMetrics([
      point('train/loss', 2, 5, 1),
      point('train/loss', 1, 9, 0),
      point('train/loss', 2, 4, 7),
      point('train/loss', 1, 8, -5),
    ]);
    expect(group?.series[0]).toMatchObject({ x: [1, 2], y: [9, 4] });
  });

  it('keeps the path before the last slash as the name of the series', () => {
    expect(splitMetricName('test/class/7/recall')).toEqual(['test/class/7', 'recall']);
  });

  it('makes no chart of a single value', () => {
    const groups = chartableGroups(groupMetrics([point('test/f1', 1, 0.9), point('train/loss', 1, 2), point('train/loss', 2, 1)]));
    expect(groups.map((group) => group.name)).toEqual(['loss']);
  });
});

describe('alignSeries', () => {
  it('has every value of every series at its x, and null elsewhere', () => {
    const curve = fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 12 }).map((xs) => ({ x: xs, y: xs.map((x) => x * 2) }));
    fc.assert(
      fc.property(fc.array(curve, { maxLength: 4 }), (series) => {
        const { x, ys } = alignSeries(series);
        expect(x).toEqual([...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b));
        series.forEach((s, index) => {
          expect(ys[index]).toEqual(x.map((value) => (s.x.includes(value) ? value * 2 : null)));
        });
      }),
    );
  });
});

describe('what counts most', () => {
  it('judges by data that was not trained on', () => {
    expect(mainAccuracy({ 'train/accuracy': 0.99, 'validation/accuracy': 0.96, 'test/accuracy': 0.95 })).toBe(0.95);
    expect(mainAccuracy({ 'train/accuracy': 0.99, 'validation/accuracy': 0.96 })).toBe(0.96);
    expect(mainAccuracy({ 'train/accuracy': 0.99 })).toBeNull();
  });

  it('the main metric follows from what was measured', () => {
    expect(mainMetric({ 'mAP@50': 0.8, f1: 0.9, 'validation/accuracy': 0.7 })).toEqual({ name: 'mAP@50', value: 0.8 });
    expect(mainMetric({ 'test/map50': 0.8, 'train/loss': 1 })).toEqual({ name: 'mAP@50', value: 0.8 });
    expect(mainMetric({ rank1: 0.6, mAP: 0.5 })).toEqual({ name: 'rank-1', value: 0.6 });
    expect(mainMetric({ 'test/accuracy': 0.95, 'train/accuracy': 0.99 })).toEqual({ name: 'accuracy', value: 0.95 });
    expect(mainMetric({ 'train/loss': 1 })).toBeNull();
  });

  it('names metrics of the test data first, each once', () => {
    const names = ['learning-rate', 'train/loss', 'test/f1', 'validation/accuracy', 'test/loss', 'test/accuracy', 'test/f1'];
    expect(orderMetricNames(names)).toEqual([
      'test/accuracy',
      'test/f1',
      'test/loss',
      'validation/accuracy',
      'train/loss',
      'learning-rate',
    ]);
  });
});
