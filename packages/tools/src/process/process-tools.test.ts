import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PreprocSpec, tensorSetSchema } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { preprocessImage } from '@selvedge/graph/ops';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDataset } from '../dataset/read-dataset.ts';
import { exportTool } from '../export/export-tool.ts';
import { importTool } from '../import/import-tool.ts';
import { openNpy } from '../npy/index.ts';
import { splitTool } from '../split/split-tool.ts';
import { openSplit, readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { ToolBench } from '../testing/run-tool.ts';
import { makePictures, writeTree } from '../testing/sample-data.ts';
import { processTool } from './process-tool.ts';

const bench = new ToolBench();
afterAll(() => bench.end());

const preproc: PreprocSpec = {
  pipeline: ['resize', 'grayscale', 'hwctochw', 'scale', 'normalize'],
  params: { resize: [8, 10], scale: [-1, 1], normalize: { mean: [0.1], std: [0.5] } },
};
const byName = { train: 'train', test: 'test' };

async function importFiles(files: ReadonlyMap<string, string | Uint8Array>): Promise<string> {
  const folder = await bench.folder();
  await writeTree(folder, files);
  return (await bench.run(importTool, {}, { archive: folder })).dataDir;
}

async function readAll(path: string, type: 'float32' | 'int64'): Promise<number[]> {
  const reader = await openNpy(path, type);
  return Array.from(await reader.readAll().finally(() => reader.close()), Number);
}

let dataset = '';
let pixels = '';
let tensors = '';
beforeAll(async () => {
  dataset = await importFiles(await makePictures({ train: 10, test: 4 }));
  pixels = (await bench.run(processTool, { preproc, path: byName }, { dataset })).dataDir;
  tensors = (await bench.run(exportTool, { preproc }, { pixels })).dataDir;
});

describe('process and export', () => {
  it('count the classes of data that a model is measured on as the model does', async () => {
    const labels = ['tall', 'other', 'cross', 'flat'];
    const measured = (await bench.run(processTool, { preproc, path: { test: 'test' }, labels }, { dataset })).dataDir;
    const info = await readTensorSetInfo(measured);
    expect(info.labels).toEqual(labels);
    expect(Object.keys(info.splits)).toEqual(['test']);
    const [own, counted] = [await readAll(join(pixels, 'test.y.npy'), 'int64'), await readAll(join(measured, 'test.y.npy'), 'int64')];
    expect(counted).toEqual(own.map((label) => [2, 3, 0][label]));
    expect(Object.keys((await readTensorSetInfo((await bench.run(exportTool, { preproc }, { pixels: measured })).dataDir)).splits)).toEqual(
      ['test'],
    );
    const unknown = bench.run(processTool, { preproc, path: { test: 'test' }, labels: ['tall'] }, { dataset });
    await expect(unknown).rejects.toMatchObject({ code: 'INPUT_INVALID', message: expect.stringContaining('"cross", "flat"') });
  });

  it('leave pixels as HWC and tensors as CHW', async () => {
    expect(await readTensorSetInfo(pixels)).toMatchObject({ layout: 'HWC', sampleShape: [8, 10, 1], labels: ['cross', 'flat', 'tall'] });
    const info = tensorSetSchema.parse(JSON.parse(await readFile(join(tensors, 'info.json'), 'utf8')));
    expect(info).toEqual({
      formatVersion: 1,
      labels: ['cross', 'flat', 'tall'],
      sampleShape: [1, 8, 10],
      layout: 'CHW',
      range: { black: [expect.closeTo(-2.2, 6)], white: [expect.closeTo(1.8, 6)] },
      splits: {
        train: { count: 30, x: 'train.x.npy', y: 'train.y.npy' },
        test: { count: 12, x: 'test.x.npy', y: 'test.y.npy' },
      },
    });
  });

  it('give together exactly what the whole chain gives for each picture, as it runs on a device', async () => {
    const { files } = await readDataset(dataset);
    const test = files.filter((file) => file.split === 'test');
    const expected: number[] = [];
    for (const file of test) {
      const image = await decodeImage(await readFile(join(dataset, 'files', file.path)));
      expected.push(...preprocessImage(image, preproc).data);
    }
    expect(await readAll(join(tensors, 'test.x.npy'), 'float32')).toEqual(expected);
    expect(await readAll(join(tensors, 'test.y.npy'), 'int64')).toEqual(test.map((file) => file.label));
  });

  it('select by folder where no split has that name', async () => {
    const path = { train: './train/flat/', test: 'test/tall' };
    const { dataDir } = await bench.run(processTool, { preproc, path }, { dataset });
    expect((await readTensorSetInfo(dataDir)).splits).toMatchObject({ train: { count: 10 }, test: { count: 4 } });
  });

  it('say what there is when a path selects nothing', async () => {
    await expect(bench.run(processTool, { preproc, path: { train: 'training', test: 'test' } }, { dataset })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('dataset.path.train "training"'),
      details: { hint: expect.stringContaining('train') },
    });
  });

  it('name the picture whose size differs, and suggest resize', async () => {
    const files = new Map<string, string | Uint8Array>(await makePictures({ train: 3, test: 2 }));
    const wide = await sharp({ create: { width: 13, height: 12, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    files.set('test/tall/wide.png', wide);
    const unequal = await importFiles(files);
    const sizeless: PreprocSpec = { pipeline: ['hwctochw'] };
    await expect(bench.run(processTool, { preproc: sizeless, path: byName }, { dataset: unequal })).rejects.toMatchObject({
      code: 'PREPROC_INVALID',
      message: expect.stringContaining('test/tall/wide.png'),
      details: { hint: expect.stringContaining('resize') },
    });
    const resized = await bench.run(processTool, { preproc, path: byName }, { dataset: unequal });
    expect((await readTensorSetInfo(resized.dataDir)).splits.test?.count).toBe(7);
  });

  it('refuse inputs of another kind', async () => {
    await expect(bench.run(processTool, { preproc, path: byName }, { dataset: pixels })).rejects.toMatchObject({ code: 'DATASET_FORMAT' });
    await expect(bench.run(exportTool, { preproc }, { pixels: dataset })).rejects.toMatchObject({ code: 'DATASET_FORMAT' });
    await expect(bench.run(exportTool, { preproc }, { pixels: tensors })).rejects.toMatchObject({ code: 'DATASET_FORMAT' });
  });

  it('end when they are told to', async () => {
    const reason = new Error('stop');
    await expect(bench.run(exportTool, { preproc }, { pixels }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(bench.run(processTool, { preproc, path: byName }, { dataset }, { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
  });
});

describe('split', () => {
  const read = async (folder: string, split: string) => {
    const info = await readTensorSetInfo(folder);
    const reader = await openSplit(folder, info, split);
    const rows: string[] = [];
    for (let row = 0; row < reader.count; row += 1) rows.push((await reader.x.readRows(row, 1)).join());
    const labels = [...(await reader.readLabels())];
    await reader.close();
    return { rows, labels };
  };

  it('divides the training rows without losing one, the same share of each class', async () => {
    const { dataDir } = await bench.run(splitTool, { validation: 0.2, seed: 3 }, { tensors });
    const [all, train, validation] = [await read(tensors, 'train'), await read(dataDir, 'train'), await read(dataDir, 'validation')];
    expect([...train.rows, ...validation.rows].sort()).toEqual([...all.rows].sort());
    expect(validation.labels).toEqual([0, 0, 1, 1, 2, 2]);
    for (const part of [train, validation]) expect(part.rows.map((row) => all.labels[all.rows.indexOf(row)])).toEqual(part.labels);
    expect(await read(dataDir, 'test')).toEqual(await read(tensors, 'test'));
  });

  it('is the same with the same seed and another with another', async () => {
    const split = async (seed: number) => read((await bench.run(splitTool, { validation: 0.3, seed }, { tensors })).dataDir, 'validation');
    expect(await split(1)).toEqual(await split(1));
    expect(await split(1)).not.toEqual(await split(2));
  });

  it('leaves validation empty at 0', async () => {
    const { dataDir } = await bench.run(splitTool, { validation: 0 }, { tensors });
    expect((await readTensorSetInfo(dataDir)).splits).toMatchObject({ train: { count: 30 }, validation: { count: 0 } });
  });
});
