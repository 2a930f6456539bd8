import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatDuration,
  formatMetric,
  formatMs,
  formatNumber,
  formatRelative,
  formatShape,
  formatShare,
  plural,
} from './format.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [412_318, '403 KiB'],
    [1024 ** 2, '1 MiB'],
    [4_101_234_688, '3.82 GiB'],
  ])('writes %d as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe('formatDuration', () => {
  it.each([
    [-1, '0 s'],
    [0.4, '400 ms'],
    [2, '2 s'],
    [2.44, '2.4 s'],
    [59.9, '59 s'],
    [65, '1 min 05 s'],
    [7800, '2 h 10 min'],
    [277_200, '3 d 5 h'],
  ])('writes %d seconds as %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
});

describe('formatRelative', () => {
  it('says how long ago or how far ahead in whole units', () => {
    expect(formatRelative(1000, 3000)).toBe('just now');
    expect(formatRelative(0, 42_000)).toBe('42 s ago');
    expect(formatRelative(0, 3_599_000)).toBe('59 min ago');
    expect(formatRelative(0, 3 * 86_400_000)).toBe('3 d ago');
    expect(formatRelative(4 * 3_600_000, 0)).toBe('in 4 h');
  });
});

describe('numbers', () => {
  it('writes shares of one as per cent, and only those', () => {
    expect(formatMetric('test/accuracy', 0.9783)).toBe('97.83 %');
    expect(formatMetric('test/loss', 0.9783)).toBe('0.9783');
    expect(formatMetric('accuracy', 97)).toBe('97');
  });
  it('keeps four significant digits', () => {
    expect(formatNumber(0.031234)).toBe('0.03123');
    expect(formatNumber(1.2e-7)).toBe('1.20e-7');
    expect(formatNumber(12_345)).toBe('12,345');
    expect(formatNumber(Number.NaN)).toBe('NaN');
  });
  it('writes small and large milliseconds alike', () => {
    expect(formatMs(0.424)).toBe('0.42 ms');
    expect(formatMs(127.6)).toBe('128 ms');
  });
  it('writes shares, shapes and counts', () => {
    expect(formatShare(0.056)).toBe('5.6 %');
    expect(formatShare(0.5)).toBe('50 %');
    expect(formatShape([null, 1, 28])).toBe('N × 1 × 28');
    expect(formatShape([])).toBe('scalar');
    expect(plural(1, 'match', 'matches')).toBe('1 match');
    expect(plural(1200, 'device')).toBe('1,200 devices');
  });
});
