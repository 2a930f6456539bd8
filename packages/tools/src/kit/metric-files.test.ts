import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listMetrics, MetricFiles, parsePoints, readPoints } from './metric-files.ts';

let root = '';
let n = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'metrics-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const AT = '2026-01-01T00:00:00.000Z';
const folder = () => join(root, String(n++));
const shown = async (path: string, metric: string) => (await readPoints(path, metric))?.map(({ step, value }) => [step, value]);

describe('MetricFiles', () => {
  it('keeps steps ascending, whatever comes: an old step replaces what follows it', async () => {
    const points = fc.array(fc.tuple(fc.nat(12), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean()), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(points, async (sequence) => {
        const path = folder();
        let files = new MetricFiles(path);
        let expected: [number, number][] = [];
        for (const [step, value, reopened] of sequence) {
          if (reopened) files = new MetricFiles(path);
          files.append('train/loss', step, value, AT);
          expected = [...expected.filter(([earlier]) => earlier < step), [step, value]];
        }
        const found = (await shown(path, 'train/loss')) ?? [];
        expect(found).toEqual(expected.map(([step, value]) => [step, value === 0 ? 0 : value]));
      }),
      { numRuns: 60 },
    );
  });

  it('drops a line that a crash cut short', async () => {
    const path = folder();
    new MetricFiles(path).append('loss', 1, 0.5, AT);
    await appendFile(join(path, 'loss.jsonl'), '{"metric":"loss","st');
    expect(await shown(path, 'loss')).toEqual([[1, 0.5]]);
    new MetricFiles(path).append('loss', 2, 0.25, AT);
    expect(parsePoints(await readFile(join(path, 'loss.jsonl'), 'utf8'))).toHaveLength(2);
  });

  it('lists names with their slashes, and refuses names that could be paths', async () => {
    const path = folder();
    const files = new MetricFiles(path);
    files.append('validation/per-class/f_1', 1, 1, AT);
    files.append('loss', 1, 1, AT);
    expect(await listMetrics(path)).toEqual(['loss', 'validation/per-class/f_1']);
    for (const name of ['', '../status', 'a.b', '/a', 'a/', 'A', 'a//b']) {
      expect(() => files.append(name, 1, 1, AT)).toThrow(TypeError);
      expect(await readPoints(path, name)).toBeUndefined();
    }
    expect(await listMetrics(join(path, 'none'))).toEqual([]);
  });
});
