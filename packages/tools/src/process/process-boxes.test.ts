import { join } from 'node:path';
import type { PreprocSpec } from '@selvedge/contract';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportTool } from '../export/export-tool.ts';
import { importTool } from '../import/import-tool.ts';
import { createNpy } from '../npy/index.ts';
import { splitTool } from '../split/split-tool.ts';
import { hasBoxes, openSplit, readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { ToolBench } from '../testing/run-tool.ts';
import { writeTree } from '../testing/sample-data.ts';
import { processTool } from './process-tool.ts';

const bench = new ToolBench();
afterAll(() => bench.end());

const preproc: PreprocSpec = {
  pipeline: ['letterbox', 'hwctochw', 'scale'],
  params: { letterbox: { size: [32, 32], fill: 0 }, scale: [0, 1] },
};
const path = { train: 'train', test: 'test' };
const PICTURES = 24;
/** Two pictures each show one scene. */
const groupOf = (index: number) => `s${Math.floor(index / 2)}`;

/** Picture i of 40 x 20 pixels has i % 3 boxes; each is filled with a grey of its own. */
const boxesOf = (index: number) =>
  Array.from({ length: index % 3 }, (_, box) => ({ label: (index + box) % 2, x: 4 + 16 * box, y: 3 + (index % 4), width: 10, height: 12 }));

async function coco(): Promise<Map<string, string | Uint8Array>> {
  const files = new Map<string, string | Uint8Array>();
  const split = (at: number) => (at < PICTURES - 4 ? 'train' : 'test');
  for (const name of ['train', 'test']) {
    const indices = Array.from({ length: PICTURES }, (_, i) => i).filter((i) => split(i) === name);
    const annotations = indices.flatMap((i) =>
      boxesOf(i).map(({ label, x, y, width, height }) => ({ image_id: i, category_id: label, bbox: [x, y, width, height] })),
    );
    const images = indices.map((i) => ({ id: i, file_name: `${groupOf(i)}_${i}.png` }));
    files.set(
      `${name}/labels.json`,
      JSON.stringify({
        images,
        annotations,
        categories: [
          { id: 0, name: 'apple' },
          { id: 1, name: 'pear' },
        ],
      }),
    );
    for (const i of indices) {
      const overlays = boxesOf(i).map(({ x, y, width, height }, box) => ({
        input: { create: { width, height, channels: 3 as const, background: { r: 100 + 50 * box, g: 100 + i, b: 200 } } },
        left: x,
        top: y,
      }));
      const ground = sharp({ create: { width: 40, height: 20, channels: 3, background: 'black' } });
      files.set(`${name}/${groupOf(i)}_${i}.png`, await ground.composite(overlays).png().toBuffer());
    }
  }
  return files;
}

let dataset = '';
let tensors = '';
beforeAll(async () => {
  const folder = await bench.folder();
  await writeTree(folder, await coco());
  dataset = (await bench.run(importTool, { options: { groupBefore: '_' } }, { archive: folder })).dataDir;
  const pixels = await bench.run(processTool, { preproc, path }, { dataset });
  expect(pixels.log).toContainEqual(expect.stringMatching(/^train: 20 pictures of 32 x 32 x 3, 19 boxes$/));
  tensors = (await bench.run(exportTool, { preproc }, { pixels: pixels.dataDir })).dataDir;
});

async function read(folder: string, split: string) {
  const info = await readTensorSetInfo(folder);
  const reader = await openSplit(folder, info, split);
  try {
    const boxes = await reader.readBoxes();
    const groups = await reader.readGroups();
    const rows: { x: Float32Array; boxes: Float32Array; group: bigint | undefined }[] = [];
    for (const [row, some] of boxes.entries()) rows.push({ x: await reader.x.readRows(row, 1), boxes: some, group: groups?.[row] });
    return rows;
  } finally {
    await reader.close();
  }
}

describe('tensors with boxes', () => {
  it('say where the objects are in the pixels of the tensor', async () => {
    const train = await read(tensors, 'train');
    expect(train).toHaveLength(20);
    for (const { x, boxes } of train) {
      for (let at = 0; at < boxes.length; at += 5) {
        const [, x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(at, at + 5);
        // 40 x 20 fits into 32 x 32 with a factor of 0.8 and 8 rows above.
        expect([x2 - x1, y2 - y1]).toEqual([expect.closeTo(8, 4), expect.closeTo(9.6, 4)]);
        expect(y1).toBeGreaterThan(8);
        const blue = (column: number, row: number) => x[2 * 1024 + Math.floor(row) * 32 + Math.floor(column)] ?? 0;
        const [middleX, middleY] = [(x1 + x2) / 2, (y1 + y2) / 2];
        expect(blue(middleX, middleY)).toBeCloseTo(200 / 255, 5);
        for (const [column, row] of [
          [x1 - 1.5, middleY],
          [x2 + 1.5, middleY],
          [middleX, y1 - 1.5],
          [middleX, y2 + 1.5],
        ] as const)
          expect(blue(column, row)).toBe(0);
      }
    }
    expect(train.reduce((sum, { boxes }) => sum + boxes.length / 5, 0)).toBe(19);
    expect(new Set(train.flatMap(({ boxes }) => boxes[0] ?? []))).toEqual(new Set([0, 1]));
  });

  it('are divided with their boxes, and scenes stay together', async () => {
    const { dataDir } = await bench.run(splitTool, { validation: 0.3, seed: 1 }, { tensors });
    const [all, train, validation] = [await read(tensors, 'train'), await read(dataDir, 'train'), await read(dataDir, 'validation')];
    const key = ({ x, boxes, group }: (typeof all)[number]) => [group, ...boxes, ...x].join();
    expect([...train, ...validation].map(key).sort()).toEqual(all.map(key).sort());
    expect(validation.length).toBeGreaterThanOrEqual(4);
    expect(validation.length).toBeLessThanOrEqual(8);
    const groups = (rows: typeof all) => new Set(rows.map(({ group }) => group));
    expect([...groups(train)].filter((group) => groups(validation).has(group))).toEqual([]);
    expect(groups(all).size).toBe(10);
    const again = await bench.run(splitTool, { validation: 0.3, seed: 1 }, { tensors });
    expect((await read(again.dataDir, 'validation')).map(key)).toEqual(validation.map(key));
    expect(await read(dataDir, 'test')).toEqual(await read(tensors, 'test'));
  });

  it('leave boxes out that a crop cuts away, and say how many', async () => {
    const crop: PreprocSpec = { pipeline: ['centercrop', 'hwctochw'], params: { centercrop: [20, 10] } };
    const run = await bench.run(processTool, { preproc: crop, path }, { dataset });
    // The crop keeps the columns 15 to 25: the first box ends at 14, the second begins at 20.
    expect(run.log).toContainEqual(expect.stringMatching(/^train: .*, 6 boxes \(13 more are cut away/));
    const rows = await read(run.dataDir, 'train');
    expect([...new Set(rows.flatMap(({ boxes }) => [...boxes.subarray(1, 2), ...boxes.subarray(3, 4)]))]).toEqual([5, 10]);
    expect(hasBoxes(await readTensorSetInfo(run.dataDir))).toBe(true);
  });

  it('are refused where a class is asked for, or where the file of boxes does not fit', async () => {
    const info = await readTensorSetInfo(tensors);
    const reader = await openSplit(tensors, info, 'test');
    await expect(reader.readLabels()).rejects.toMatchObject({ code: 'DATASET_FORMAT' });
    await reader.close();
    const other = { ...info, splits: { test: { count: 4, x: 'test.x.npy', y: 'test.y.npy', boxes: 'train.boxes.npy' } } };
    const wrong = await openSplit(tensors, other, 'test');
    await expect(wrong.readBoxes()).rejects.toMatchObject({ code: 'DATASET_FORMAT', message: expect.stringContaining('[5, 5]') });
    await wrong.close();
    const flat = await createNpy(join(tensors, 'flat.npy'), 'float32', [5, 5]);
    await flat.write(new Float32Array(25));
    await flat.close();
    const empty = await openSplit(tensors, { ...info, splits: { test: { ...other.splits.test, boxes: 'flat.npy' } } }, 'test');
    await expect(empty.readBoxes()).rejects.toMatchObject({ message: expect.stringContaining('Box 0 of split "test" is wrong') });
    await empty.close();
  });
});
