import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HAS_PYTHON, witnessEvents } from '../testing/read-events.ts';
import { EventFile } from './event-file.ts';
import { type EventMessage, SESSION_STATUS } from './event-message.ts';
import { histogramOf } from './histogram.ts';
import { frameRecord, readRecords } from './record-framing.ts';
import { scalarFile } from './scalar-events.ts';

let root = '';
let n = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'events-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
const newPath = () => join(root, String(n++), 'events.out.tfevents.1');

const scalar = (tag: string, step: number, simpleValue: number): EventMessage => ({
  wallTime: 1.5,
  step,
  summary: { value: [{ tag, simpleValue }] },
});

describe('records', () => {
  it('are read up to the first that is damaged, whatever the damage', () => {
    const datas = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(datas, fc.nat(), fc.integer({ min: 1, max: 255 }), (records, place, flip) => {
        const framed = records.map(frameRecord);
        const bytes = Buffer.concat(framed);
        const whole = readRecords(bytes);
        expect(whole).toEqual({ records: records.map((data) => Buffer.from(data)), validBytes: bytes.length });
        const at = place % bytes.length;
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        const ends = framed.map((_, index) => framed.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0));
        const intact = ends.filter((end) => end <= at).length;
        expect(readRecords(damaged).records).toHaveLength(intact);
        expect(readRecords(bytes.subarray(0, at)).records).toHaveLength(intact);
      }),
      { numRuns: 200 },
    );
  });
});

describe.skipIf(!HAS_PYTHON)('an event file, read by another program', () => {
  it('holds scalars, session marks, images and histograms', async () => {
    const path = newPath();
    const { file } = EventFile.open(path);
    file.append([{ wallTime: 1.5, step: 0, sessionLog: { status: SESSION_STATUS.start, msg: 'first' } }, scalar('train/loss', 1, 0.5)]);
    const histo = histogramOf(Float32Array.of(-1, 0, 0, 1, Number.NaN));
    if (histo === undefined) throw new Error('no histogram');
    const image = { height: 2, width: 3, colorspace: 3, encodedImageString: Buffer.from('89504e470d0a1a0a', 'hex') };
    file.append([
      {
        wallTime: 2,
        step: 7,
        summary: {
          value: [
            { tag: 'weights/w', histo },
            { tag: 'samples/a', image },
          ],
        },
      },
    ]);
    const events = await witnessEvents(path);
    expect(events).toMatchObject([
      { wallTime: 1.5, step: 0, fileVersion: 'brain.Event:2' },
      { session: { status: 1, msg: 'first' } },
      { step: 1, summary: [{ tag: 'train/loss', scalar: 0.5 }] },
      {
        step: 7,
        summary: [
          { tag: 'weights/w', histogram: { min: -1, max: 1, num: 4, sum: 0 } },
          { tag: 'samples/a', image: { height: 2, width: 3, colorspace: 3, isPng: true } },
        ],
      },
    ]);
    const shown = events.at(-1)?.summary?.[0]?.histogram;
    expect(shown?.counts.reduce((sum, count) => sum + count, 0)).toBe(4);
    expect([shown?.limits.length, shown?.limits.at(-1)]).toEqual([shown?.counts.length, 1]);
  });

  it('goes on where it was cut off by a crash', async () => {
    const path = newPath();
    EventFile.open(path).file.append([scalar('a', 1, 1), scalar('a', 2, 2)]);
    const { length } = await readFile(path);
    await truncate(path, length - 3);
    await appendFile(path, 'x');
    const { file, events } = EventFile.open(path);
    expect(events.map(({ tags }) => tags)).toEqual([[], ['a']]);
    file.append([scalar('a', 2, 3)]);
    expect((await witnessEvents(path)).flatMap(({ summary }) => summary ?? [])).toEqual([
      { tag: 'a', scalar: 1 },
      { tag: 'a', scalar: 3 },
    ]);
  });

  it('is what the view of a metric gives, with steps as whole numbers and times in seconds', async () => {
    const path = join(root, 'events.out.tfevents.view');
    const at = '2026-01-02T03:04:05.500Z';
    await writeFile(path, scalarFile([{ metric: 'rate', step: 1e12 + 0.5, value: -0.25, at }]));
    expect((await witnessEvents(path)).at(-1)).toEqual({
      wallTime: Date.parse(at) / 1000,
      step: 1e12,
      summary: [{ tag: 'rate', scalar: -0.25 }],
    });
  });
});

describe('histogramOf', () => {
  it('counts every finite value once', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 200 }), (values) => {
        const histogram = histogramOf([...values, Number.NaN, Number.POSITIVE_INFINITY]);
        expect(histogram?.bucket.reduce((sum, count) => sum + count, 0)).toBe(values.length);
        expect([histogram?.min, histogram?.max]).toEqual([Math.min(...values), Math.max(...values)]);
      }),
    );
    expect(histogramOf([Number.NaN])).toBeUndefined();
  });
});
