import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type DatasetFile, datasetFileSchema, datasetInfoSchema, datasetReportSchema, tableSchema } from '@selvedge/contract';
import { sha256File } from '@selvedge/runtime';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { ZipFile } from 'yazl';
import { encodeNpyHeader, openNpy } from '../npy/index.ts';
import { ToolBench } from '../testing/run-tool.ts';
import { makePicture, writeTree } from '../testing/sample-data.ts';
import { importTool } from './import-tool.ts';

const bench = new ToolBench();
afterAll(() => bench.end());
type Files = Record<string, string | Uint8Array>;

async function importFrom(folder: string, parameters: object = {}, cacheDir?: string) {
  const { dataDir, log } = await bench.run(importTool, parameters, { archive: folder }, cacheDir === undefined ? {} : { cacheDir });
  const json = async (file: string): Promise<unknown> => JSON.parse(await readFile(join(dataDir, file), 'utf8'));
  const info = datasetInfoSchema.parse(await json('dataset.json'));
  const report = datasetReportSchema.parse(await json('report.json'));
  const lines = (await readFile(join(dataDir, 'manifest.jsonl'), 'utf8')).trim().split('\n');
  const manifest: DatasetFile[] = lines.map((line) => datasetFileSchema.parse(JSON.parse(line)));
  for (const file of manifest) expect(await sha256File(join(dataDir, 'files', file.path))).toBe(file.sha256);
  return { info, report, manifest, log, dataDir, byPath: new Map(manifest.map((file) => [file.path, file])) };
}

async function importFiles(files: Files, parameters: object = {}) {
  const folder = await bench.folder();
  await writeTree(folder, new Map(Object.entries(files)));
  return importFrom(folder, parameters);
}

const picture = (width: number, height: number, shade: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: shade, g: 9, b: 40 } } })
    .png()
    .toBuffer();

/** What an import fails of, as the user sees it. */
async function failure(
  work: Promise<unknown>,
): Promise<{ code: string; details: { hint?: string; issues?: { path: string; message: string }[] } }> {
  return work.then(
    () => {
      throw new Error('the import did not fail');
    },
    (error) => error,
  );
}

describe('COCO', () => {
  const coco = (images: object[], annotations: object[]) =>
    JSON.stringify({
      images,
      annotations,
      categories: [
        { id: 7, name: 'pear' },
        { id: 3, name: 'apple' },
      ],
    });

  it('reads boxes in pixels, splits by the name of the file, and pictures without objects', async () => {
    const { info, byPath, report, log } = await importFiles({
      'annotations/instances_train2017.json': coco(
        [
          { id: 1, file_name: 'a.png' },
          { id: 2, file_name: 'b.png' },
        ],
        [
          { image_id: 1, category_id: 7, bbox: [2.5, 3, 4, 5] },
          { image_id: 1, category_id: 3, bbox: [18, 0, 10, 10] },
          { image_id: 1, category_id: 3, bbox: [0, 0, 20, 10], iscrowd: 1 },
        ],
      ),
      'annotations/instances_val2017.json': coco([{ id: 1, file_name: 'a.png' }], [{ image_id: 1, category_id: 3, bbox: [0, 0, 1, 1] }]),
      'train2017/a.png': await picture(20, 10, 1),
      'train2017/b.png': await picture(20, 10, 2),
      'val2017/a.png': await picture(20, 10, 3),
    });
    expect(info).toMatchObject({ type: 'object-detection', labels: ['apple', 'pear'], splits: { train: 2, validation: 1 } });
    // The second box is cut at the edge of the picture; crowds are no objects.
    expect(byPath.get('train2017/a.png')?.boxes).toEqual([
      { label: 1, x: 2.5, y: 3, width: 4, height: 5 },
      { label: 0, x: 18, y: 0, width: 2, height: 10 },
    ]);
    expect(byPath.get('train2017/b.png')).toMatchObject({ split: 'train', boxes: [] });
    expect(byPath.get('train2017/b.png')?.label).toBeUndefined();
    expect(report.balance).toEqual([
      { label: 'apple', splits: { train: 1, validation: 1 } },
      { label: 'pear', splits: { train: 1 } },
    ]);
    expect(log[0]).toContain('COCO JSON');
  });

  it('names every fault of every file, and imports without them only when told so', async () => {
    const files: Files = {
      'train.json': coco(
        [
          { id: 1, file_name: 'gone.png' },
          { id: 2, file_name: 'b.png' },
          { id: 3, file_name: 'c.png' },
          { id: 4, file_name: 'd.png' },
        ],
        [
          { image_id: 2, category_id: 99, bbox: [0, 0, 1, 1] },
          { image_id: 3, category_id: 3, bbox: [50, 50, 1, 1] },
          { image_id: 4, category_id: 3, bbox: [0, 0, 5, 5] },
          { image_id: 77, category_id: 3, bbox: [0, 0, 5, 5] },
        ],
      ),
      'b.png': await picture(8, 8, 1),
      'c.png': await picture(8, 8, 2),
      'd.png': await picture(8, 8, 3),
    };
    const { code, details } = await failure(importFiles(files));
    expect(code).toBe('DATASET_FORMAT');
    expect(details.issues?.map(({ path }) => path)).toEqual([
      'c.png',
      'train.json: annotations[0]',
      'train.json: annotations[3]',
      'train.json: gone.png',
    ]);
    const { manifest, report } = await importFiles(files, { options: { skipBroken: true } });
    expect(manifest.map(({ path }) => path)).toEqual(['d.png']);
    expect(report.broken).toMatchObject({
      count: 4,
      files: [{ path: 'c.png', message: expect.stringContaining('outside the picture') }, {}, {}, {}],
    });
  });
});

describe('YOLO', () => {
  it.each([
    ['images/<split> and labels/<split>', ['images/train/', 'labels/train/'], ['images/val/', 'labels/val/']],
    ['<split>/images and <split>/labels', ['train/images/', 'train/labels/'], ['valid/images/', 'valid/labels/']],
  ])('reads %s', async (_what, [images = '', labels = ''], [otherImages = '', otherLabels = '']) => {
    const { info, byPath } = await importFiles({
      'data.yaml': 'train: images/train\nnames: {0: apple, 1: pear}\n',
      [`${images}a.png`]: await picture(40, 20, 1),
      [`${labels}a.txt`]: '1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.2 0.1 0.2 0.3\n',
      [`${otherImages}b.png`]: await picture(40, 20, 2),
      [`${otherLabels}b.txt`]: '',
    });
    expect(info).toMatchObject({ type: 'object-detection', labels: ['apple', 'pear'], splits: { train: 1, validation: 1 } });
    expect(byPath.get(`${images}a.png`)?.boxes).toEqual([
      { label: 1, x: 15, y: 5, width: 10, height: 10 },
      { label: 0, x: 4, y: 2, width: 4, height: 4 },
    ]);
  });

  it('names the file and the line of what is wrong', async () => {
    const { details } = await failure(
      importFiles({
        'classes.txt': 'apple\npear\n',
        'images/a.png': await picture(8, 8, 1),
        'labels/a.txt': '0 0.5 0.5 0.1 0.1\n5 0.5 0.5 0.1 0.1\n',
        'images/b.png': await picture(8, 8, 2),
        'labels/b.txt': '0 0.5 x 0.1 0.1\n',
        'labels/stray.txt': '0 0.5 0.5 0.1 0.1\n',
      }),
    );
    expect(details.issues).toMatchObject([
      { path: 'labels/a.txt', message: expect.stringContaining('line 2 has the class 5') },
      { path: 'labels/b.txt', message: expect.stringContaining('line 1') },
      { path: 'labels/stray.txt', message: 'has no picture' },
    ]);
  });
});

describe('Pascal VOC', () => {
  const xml = (name: string, box: number[], label = 'dog &amp; cat') =>
    `<annotation><filename>${name}</filename><object><name>${label}</name><bndbox><xmin>${box[0]}</xmin><ymin>${box[1]}</ymin><xmax>${box[2]}</xmax><ymax>${box[3]}</ymax></bndbox></object></annotation>`;

  it('reads boxes that count from one, and the lists of splits', async () => {
    const { info, byPath } = await importFiles({
      'VOC/Annotations/a.xml': xml('a.png', [1, 1, 10, 5]),
      'VOC/Annotations/b.xml': xml('b.png', [3, 2, 4, 4], 'bird'),
      'VOC/JPEGImages/a.png': await picture(10, 10, 1),
      'VOC/JPEGImages/b.png': await picture(10, 10, 2),
      'VOC/ImageSets/Main/train.txt': 'a\n',
      'VOC/ImageSets/Main/test.txt': 'b\n',
    });
    expect(info).toMatchObject({ labels: ['bird', 'dog & cat'], splits: { test: 1, train: 1 } });
    expect(byPath.get('VOC/JPEGImages/a.png')).toMatchObject({ split: 'train', boxes: [{ label: 1, x: 0, y: 0, width: 10, height: 5 }] });
    expect(byPath.get('VOC/JPEGImages/b.png')?.boxes).toEqual([{ label: 0, x: 2, y: 1, width: 2, height: 3 }]);
  });

  it('refuses what is no XML, and entities of the file itself', async () => {
    const bomb = `<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>${xml('c.png', [1, 1, 2, 2], '&c;')}`;
    const { details } = await failure(
      importFiles({
        'a.xml': xml('a.png', [1, 1, 2, 2]),
        'a.png': await picture(8, 8, 1),
        'b.xml': '<annotation><object></annotation>',
        'b.png': await picture(8, 8, 2),
        'c.xml': bomb,
        'c.png': await picture(8, 8, 3),
      }),
    );
    expect(details.issues).toMatchObject([
      { path: 'b.xml', message: expect.stringContaining('is not XML') },
      { path: 'c.xml', message: expect.stringContaining('document type') },
    ]);
  });
});

describe('CSV', () => {
  it('reads pictures with label, split and group', async () => {
    const { info, byPath } = await importFiles({
      'labels.csv': 'image,label,split,group\na.png,dog,train,p1\nb.png,cat,test,p2\nc.png,dog,test,p2\n',
      'images/a.png': await makePicture(0, 0),
      'images/b.png': await makePicture(0, 1),
      'images/c.png': await makePicture(0, 2),
    });
    expect(info).toMatchObject({ type: 'image-classification', labels: ['cat', 'dog'], splits: { test: 2, train: 1 } });
    expect(byPath.get('images/a.png')).toMatchObject({ label: 1, split: 'train', group: 'p1' });
  });

  it('reads a table: numbers as they are, categories as one feature per value', async () => {
    const lines = Array.from({ length: 40 }, (_, i) => `${i}.5;${i % 2 === 0 ? 'red' : 'blue'};${i % 4 === 0 ? 'yes' : 'no'}`);
    const { info, dataDir, report } = await importFiles({ 'data.csv': ['size;colour;target', ...lines].join('\r\n') }, { testShare: 0.2 });
    expect(info).toMatchObject({ type: 'tabular', labels: ['no', 'yes'], splits: { test: 8, train: 32 } });
    const table = tableSchema.parse(JSON.parse(await readFile(join(dataDir, 'files/table.json'), 'utf8')));
    expect(table).toMatchObject({ labelColumn: 'target', features: ['size', 'colour=blue', 'colour=red'] });
    const x = await openNpy(join(dataDir, 'files/train.x.npy'), 'float32');
    const y = await openNpy(join(dataDir, 'files/train.y.npy'), 'int64');
    const [rows, labels] = [await x.readAll(), await y.readAll()];
    await Promise.all([x.close(), y.close()]);
    for (const [row, label] of labels.entries()) {
      const [size = 0, blue, red] = rows.subarray(row * 3, row * 3 + 3);
      const i = Math.floor(size);
      expect([blue, red, label]).toEqual(i % 2 === 0 ? [0, 1, i % 4 === 0 ? 1n : 0n] : [1, 0, 0n]);
    }
    expect(report.balance).toEqual([
      { label: 'no', splits: { test: 6, train: 24 } },
      { label: 'yes', splits: { test: 2, train: 8 } },
    ]);
  });

  it('names the broken rows, and leaves them out when told so', async () => {
    const lines = Array.from({ length: 60 }, (_, i) => `${i},${i % 2},${i % 2 === 0 ? 'a' : 'b'}`);
    lines[3] = 'many,1,b';
    lines[5] = '5,1,';
    lines[7] = '7,1';
    const files = { 'data.csv': ['size,flag,label', ...lines].join('\n') };
    const { details } = await failure(importFiles(files));
    expect(details.issues).toEqual([
      expect.objectContaining({ path: 'data.csv: line 5', message: 'has "many" in "size", expected a number' }),
      expect.objectContaining({ path: 'data.csv: line 7', message: 'has no value in "label"' }),
      expect.objectContaining({ path: 'data.csv: line 9', message: 'has 2 cells, expected 3' }),
    ]);
    const { info } = await importFiles(files, { options: { skipBroken: true } });
    expect(Object.values(info.splits).reduce((sum, count) => sum + count, 0)).toBe(57);
  });

  it('refuses a column of names as a feature, and takes the table without it', async () => {
    const lines = Array.from({ length: 150 }, (_, i) => `name${i},${i},${i % 2 === 0 ? 'a' : 'b'}`);
    const files = { 'data.csv': ['id,size,label', ...lines].join('\n') };
    expect((await failure(importFiles(files))).details.hint).toContain('--ignore-column id');
    expect((await importFiles(files, { options: { ignoreColumns: ['id'] } })).info.type).toBe('tabular');
  });
});

describe('NPZ', () => {
  const npy = (descr: '<f4' | '<i8' | '|u1', shape: number[], data: Uint8Array) => {
    const header = encodeNpyHeader({ type: descr === '<i8' ? 'int64' : 'float32', shape }).toString('latin1');
    return Buffer.concat([Buffer.from(descr === '|u1' ? header.replace('<f4', '|u1') : header, 'latin1'), data]);
  };
  const npz = async (files: Record<string, Buffer>) => {
    const zip = new ZipFile();
    for (const [name, bytes] of Object.entries(files)) zip.addBuffer(bytes, name);
    zip.end();
    const parts: Buffer[] = [];
    for await (const part of zip.outputStream) parts.push(Buffer.from(part));
    return Buffer.concat(parts);
  };
  const labels = (values: number[]) => npy('<i8', [values.length], new Uint8Array(BigInt64Array.from(values, BigInt).buffer));

  it('makes pictures of uint8 [N, H, W, 3] with the same values', async () => {
    const pixels = Uint8Array.from({ length: 4 * 2 * 3 * 3 }, (_, i) => i * 3);
    const file = await npz({ 'x_train.npy': npy('|u1', [4, 2, 3, 3], pixels), 'y_train.npy': labels([0, 1, 0, 1]) });
    const { info, dataDir, manifest } = await importFiles({ 'digits.npz': file });
    expect(info).toMatchObject({ type: 'image-classification', labels: ['0', '1'], files: 4 });
    const raw = await sharp(join(dataDir, 'files', manifest.find(({ path }) => path.endsWith('000002.png'))?.path ?? ''))
      .raw()
      .toBuffer();
    expect([...raw]).toEqual([...pixels.subarray(36, 54)]);
  });

  it('makes a table of [N, F], with the splits of the names', async () => {
    const rows = (count: number) =>
      npy('<f4', [count, 2], new Uint8Array(Float32Array.from({ length: count * 2 }, (_, i) => i / 2).buffer));
    const file = await npz({
      'x_train.npy': rows(6),
      'y_train.npy': labels([0, 1, 2, 0, 1, 2]),
      'x_test.npy': rows(3),
      'y_test.npy': labels([2, 1, 0]),
    });
    const { info } = await importFiles({ 'table.npz': file });
    expect(info).toMatchObject({ type: 'tabular', labels: ['0', '1', '2'], splits: { train: 6, test: 3 } });
  });

  it('refuses x without y', async () => {
    const file = await npz({ 'x.npy': npy('|u1', [1, 2, 2], new Uint8Array(4)) });
    expect(await failure(importFiles({ 'a.npz': file }))).toMatchObject({ code: 'DATASET_FORMAT' });
  });
});

describe('whatever the layout', () => {
  it('says what was recognised or seen, and takes the layout that is given', async () => {
    const files: Files = { 'data.csv': 'a,label\n1,x\n2,y\n' };
    expect((await importFiles(files)).log[0]).toContain('recognised CSV table');
    const { details } = await failure(importFiles(files, { options: { format: 'voc' } }));
    expect(details.hint).toContain('was to be read as voc; it holds 1 .csv');
  });

  it('reports copies, also across splits, and keeps each content once on disk', async () => {
    const [same, other] = [await makePicture(0, 0), await makePicture(0, 1)];
    const { report, dataDir } = await importFiles({ 'train/a/1.png': same, 'test/a/1.png': same, 'train/b/1.png': other });
    expect(report.duplicates).toMatchObject({
      files: 1,
      acrossSplits: 1,
      groups: [{ count: 2, paths: ['test/a/1.png', 'train/a/1.png'] }],
    });
    expect((await stat(join(dataDir, 'files/train/a/1.png'))).ino).toBe((await stat(join(dataDir, 'files/test/a/1.png'))).ino);
  });

  it('splits a dataset anew: seeded, stratified, groups and copies together', async () => {
    const files: Files = {};
    const copy = await makePicture(1, 999);
    for (let i = 0; i < 60; i += 1) files[`${i % 3 === 0 ? 'rare' : 'common'}/p${Math.floor(i / 6)}_${i}.png`] = await makePicture(0, i);
    files['rare/q1_copy.png'] = copy;
    files['rare/q2_copy.png'] = copy;
    const first = await importFiles(files, { options: { groupBefore: '_' } });
    const resplit = { shares: { train: 0.6, validation: 0.2, test: 0.2 }, seed: 3 };
    const again = await importFrom(first.dataDir, { resplit });
    const splitsOfGroup = new Map<string, Set<string>>();
    for (const { group = '', split } of again.manifest) splitsOfGroup.set(group, (splitsOfGroup.get(group) ?? new Set()).add(split));
    for (const splits of splitsOfGroup.values()) expect(splits.size).toBe(1);
    const plain = await importFrom((await importFiles(files)).dataDir, { resplit });
    expect(plain.info.splits).toEqual({ test: 13, train: 37, validation: 12 });
    for (const { splits } of plain.report.balance) expect(Object.keys(splits)).toEqual(['test', 'train', 'validation']);
    expect(plain.byPath.get('rare/q1_copy.png')?.split).toBe(plain.byPath.get('rare/q2_copy.png')?.split);
    const digest = (result: { dataDir: string }) => sha256File(join(result.dataDir, 'manifest.jsonl'));
    expect(await digest(await importFrom(first.dataDir, { resplit }))).toBe(await digest(again));
    expect(await digest(await importFrom(first.dataDir, { resplit: { ...resplit, seed: 4 } }))).not.toBe(await digest(again));
  });

  it('keeps a dataset in the standard form as it is', async () => {
    const first = await importFiles({ 'data.csv': 'a,label\n1,x\n2,y\n3,x\n4,y\n' });
    const second = await importFrom(first.dataDir);
    expect(second.manifest).toEqual(first.manifest);
    expect(second.info).toEqual(first.info);
  });
});
