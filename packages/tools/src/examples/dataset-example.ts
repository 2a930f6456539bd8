import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DatasetFile, DatasetInfo } from '@selvedge/contract';
import { encodePng } from '../import/encode-png.ts';
import { zipExample } from './zip-example.ts';

const EDGE = 6;
const LABELS = ['dark', 'light'];
const SPLITS = { train: 4, test: 2 };

/** A dataset in the standard form: six pictures of two classes, some to train and some to test. */
export function datasetExample(): Promise<{ file: string; base64: string }> {
  return zipExample('dataset.zip', async (folder) => {
    const files: DatasetFile[] = [];
    for (const [split, count] of Object.entries(SPLITS)) {
      for (let index = 0; index < count; index += 1) {
        const label = index % 2;
        const pixels = Uint8Array.from({ length: EDGE * EDGE }, (_, at) => 160 * label + ((at * 5 + index * 11) % 60));
        const bytes = encodePng(pixels, { width: EDGE, height: EDGE, channels: 1 });
        const path = `${split}/${LABELS[label]}/${index}.png`;
        await mkdir(dirname(join(folder, 'files', path)), { recursive: true });
        await writeFile(join(folder, 'files', path), bytes);
        files.push({ path, sha256: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length, split, label });
      }
    }
    files.sort((a, b) => (a.path < b.path ? -1 : 1));
    const info: DatasetInfo = {
      formatVersion: 1,
      type: 'image-classification',
      labels: LABELS,
      splits: SPLITS,
      files: files.length,
      sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    };
    await writeFile(join(folder, 'dataset.json'), JSON.stringify(info));
    await writeFile(join(folder, 'manifest.jsonl'), files.map((file) => `${JSON.stringify(file)}\n`).join(''));
  });
}
