import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type DatasetFile, datasetFileSchema, datasetInfoSchema } from '@selvedge/contract';
import { sha256File } from '@selvedge/runtime';
import * as fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { ToolBench } from '../testing/run-tool.ts';
import { idxOf, makePicture, makePictures, tarOf, writeTree } from '../testing/sample-data.ts';
import { importTool } from './import-tool.ts';
import { decodeIdx } from './layouts/idx-format.ts';
import { sortLabels } from './layouts/sort-labels.ts';

const bench = new ToolBench();
afterAll(() => bench.end());

async function importFiles(files: ReadonlyMap<string, string | Uint8Array>, parameters: object = {}) {
  const folder = await bench.folder();
  await writeTree(folder, files);
  const { dataDir, log } = await bench.run(importTool, parameters, { archive: folder });
  const info = datasetInfoSchema.parse(JSON.parse(await readFile(join(dataDir, 'dataset.json'), 'utf8')));
  const lines = (await readFile(join(dataDir, 'manifest.jsonl'), 'utf8')).trim().split('\n');
  const manifest: DatasetFile[] = lines.map((line) => datasetFileSchema.parse(JSON.parse(line)));
  return { info, manifest, log, dataDir, digest: await sha256File(join(dataDir, 'manifest.jsonl')) };
}

const format = { code: 'DATASET_FORMAT' };

describe('import of folders', () => {
  it('takes <split>/<label>/<file> as it is, below folders that hold nothing else', async () => {
    const pictures = await makePictures({ train: 3, test: 2 });
    const nested = new Map([...pictures].map(([path, bytes]) => [`top/digits/${path}`, bytes] as const));
    const { info, manifest, dataDir } = await importFiles(
      new Map<string, string | Uint8Array>([...nested, ['top/README.md', 'text'], ['.DS_Store', 'x']]),
    );
    expect(info).toMatchObject({ labels: ['cross', 'flat', 'tall'], splits: { train: 9, test: 6 }, files: 15 });
    expect(manifest.map((file) => file.path)).toEqual([...pictures.keys()].sort());
    const [first] = manifest;
    expect(first).toMatchObject({ split: 'test', label: 0 });
    expect(await sha256File(join(dataDir, 'files', first?.path ?? ''))).toBe(first?.sha256);
  });

  it('keeps a share of each label for testing where there are no splits', async () => {
    const pictures = await makePictures({ '': 10 });
    const { info, manifest } = await importFiles(pictures, { testShare: 0.3, seed: 4 });
    expect(info.splits).toEqual({ test: 9, train: 21 });
    for (const label of [0, 1, 2]) expect(manifest.filter((file) => file.label === label && file.split === 'test')).toHaveLength(3);
    const other = await importFiles(pictures, { testShare: 0.3, seed: 5 });
    expect(other.digest).not.toBe((await importFiles(pictures, { testShare: 0.3, seed: 4 })).digest);
  });

  it('gives the same manifest for the folder, its tar, its tar.gz', async () => {
    const pictures = await makePictures({ '': 4 });
    const tar = await tarOf(pictures);
    const plain = await importFiles(pictures);
    expect((await importFiles(new Map([['download', tar]]))).digest).toBe(plain.digest);
    expect((await importFiles(new Map([['digits.tgz', gzipSync(tar)]]))).digest).toBe(plain.digest);
    const packedAgain = await tarOf(new Map([['digits.tgz', gzipSync(tar)]]));
    expect((await importFiles(new Map([['upload', packedAgain]]))).digest).toBe(plain.digest);
  });

  it('lists every broken picture at once', async () => {
    const pictures = new Map<string, string | Uint8Array>(await makePictures({ '': 3 }));
    pictures.set('flat/broken.png', 'not a picture');
    pictures.set('tall/cut.png', (await makePicture(0, 1)).subarray(0, 60));
    await expect(importFiles(pictures)).rejects.toMatchObject({
      ...format,
      details: { issues: [{ path: 'flat/broken.png' }, { path: 'tall/cut.png' }] },
    });
  });

  it.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['only other files', { 'a/notes.txt': 'x' }],
    ['pictures without label folders', { '1.png': 'x', '2.png': 'x' }],
    ['pictures at different depths', { 'train/a/1.png': 'x', 'train/2.png': 'x', 'test/a/3.png': 'x' }],
    ['pictures in a kind that is not read', { 'a/1.bmp': 'x', 'b/2.bmp': 'x' }],
  ])('refuses %s and says what is accepted', async (_what, files) => {
    await expect(importFiles(new Map(Object.entries(files)))).rejects.toMatchObject({
      ...format,
      details: { hint: expect.stringMatching(/JPEG, PNG or WebP/) },
    });
  });

  it('refuses a single label', async () => {
    await expect(
      importFiles(
        new Map([
          ['only/1.png', await makePicture(0, 0)],
          ['only/2.png', await makePicture(0, 1)],
        ]),
      ),
    ).rejects.toMatchObject(format);
  });

  it('needs exactly one of input and URL', async () => {
    await expect(bench.run(importTool, {}, {})).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(bench.run(importTool, { url: 'http://127.0.0.1/a' }, { archive: '/' })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});

describe('import of IDX files', () => {
  const images = (count: number, first = 0) =>
    idxOf(
      [count, 4, 3],
      Uint8Array.from({ length: count * 12 }, (_, i) => (i + first) % 256),
    );
  const labels = (count: number) =>
    idxOf(
      [count],
      Uint8Array.from({ length: count }, (_, i) => (i * 3) % 10),
    );

  it('makes PNG files with the same values, and holds a share back when there is one pair', async () => {
    const { info, manifest, dataDir } = await importFiles(
      new Map([
        ['t10k-images-idx3-ubyte.gz', gzipSync(images(40))],
        ['t10k-labels-idx1-ubyte.gz', gzipSync(labels(40))],
      ]),
    );
    expect(info).toMatchObject({ labels: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'], splits: { train: 30, test: 10 } });
    const entry = manifest.find((file) => file.path.endsWith('000007.png'));
    expect(entry).toMatchObject({ path: 'all/1/000007.png', label: 1 });
    const { data, info: size } = await sharp(join(dataDir, 'files', entry?.path ?? ''))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(size).toMatchObject({ width: 3, height: 4 });
    expect([...data].filter((_, i) => i % size.channels === 0)).toEqual(Array.from({ length: 12 }, (_, i) => (7 * 12 + i) % 256));
  });

  it('takes train and t10k as the two splits', async () => {
    const { info } = await importFiles(
      new Map([
        ['a/train-images.idx3-ubyte', images(20)],
        ['a/train-labels.idx1-ubyte', labels(20)],
        ['a/t10k-images-idx3-ubyte', images(10)],
        ['a/t10k-labels-idx1-ubyte', labels(10)],
      ]),
    );
    expect(info.splits).toEqual({ train: 20, test: 10 });
  });

  it.each([
    ['images without labels', new Map([['train-images-idx3-ubyte', images(3)]])],
    [
      'another number of labels',
      new Map([
        ['train-images-idx3-ubyte', images(3)],
        ['train-labels-idx1-ubyte', labels(4)],
      ]),
    ],
    [
      'a cut file',
      new Map([
        ['train-images-idx3-ubyte', images(3).subarray(0, 30)],
        ['train-labels-idx1-ubyte', labels(3)],
      ]),
    ],
    [
      'what is not gzip',
      new Map([
        ['train-images-idx3-ubyte.gz', images(3)],
        ['train-labels-idx1-ubyte', labels(3)],
      ]),
    ],
  ])('refuses %s', async (_what, files) => {
    await expect(importFiles(files)).rejects.toMatchObject(format);
  });

  it('reads or refuses any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const { shape, data } = decodeIdx(bytes, 'x');
          expect(data.length).toBe(shape.reduce((product, dim) => product * dim, 1));
        } catch (error) {
          expect(error).toMatchObject(format);
        }
      }),
    );
  });
});

describe('sortLabels', () => {
  it('orders numbers by value and names by code unit', () => {
    expect(sortLabels(['10', '9', '1'])).toEqual(['1', '9', '10']);
    expect(sortLabels(['b', 'a', 'B', '10'])).toEqual(['10', 'B', 'a', 'b']);
  });
});

describe('a hostile archive', () => {
  it('is refused as such', async () => {
    const folder = await bench.folder();
    await mkdir(join(folder, 'in'));
    await writeFile(join(folder, 'in', 'download'), await tarOf(new Map([['../evil.png', 'x']])));
    await expect(bench.run(importTool, {}, { archive: join(folder, 'in') })).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
  });
});
