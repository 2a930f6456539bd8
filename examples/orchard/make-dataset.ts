/**
 * Draws the example dataset: scenes of fruit, with their boxes in COCO's format.
 *
 *     npx tsx examples/orchard/make-dataset.ts --out DIR [--train 800] [--test 160] [--seed 1] [--side 128]
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { runScript } from '../run-script.ts';
import { FRUITS, renderScene } from './render-scene.ts';

export interface MakeOrchardOptions {
  /** Folder to make; it must not exist yet. */
  readonly outDir: string;
  readonly train: number;
  readonly test: number;
  /** The same seed gives the same bytes. */
  readonly seed: number;
  /** Height and width of a scene in pixels. */
  readonly side: number;
}

/** Writes `train/` and `test/`, each with pictures and an `annotations.json`. */
export async function makeOrchard({ outDir, seed, side, ...counts }: MakeOrchardOptions): Promise<void> {
  const categories = FRUITS.map((name, id) => ({ id, name }));
  await mkdir(outDir);
  for (const [key, split] of (['train', 'test'] as const).entries()) {
    await mkdir(join(outDir, split));
    const images: object[] = [];
    const annotations: object[] = [];
    for (let id = 0; id < counts[split]; id += 1) {
      const { width, height, data, fruits } = renderScene(side, seed, key, id);
      const name = `${String(id).padStart(5, '0')}.jpg`;
      await sharp(data, { raw: { width, height, channels: 3 } })
        .jpeg({ quality: 88 })
        .toFile(join(outDir, split, name));
      images.push({ id, file_name: name, width, height });
      for (const { kind, x, y, width: w, height: h } of fruits)
        annotations.push({ id: annotations.length, image_id: id, category_id: kind, bbox: [x, y, w, h], area: w * h, iscrowd: 0 });
    }
    await writeFile(join(outDir, split, 'annotations.json'), JSON.stringify({ images, annotations, categories }));
  }
}

await runScript(import.meta.url, { train: 800, test: 160, seed: 1, side: 128 }, async ({ out, ...numbers }) => {
  await makeOrchard({ outDir: resolve(out), ...numbers });
  return `${out}: ${numbers.train} scenes to train on, ${numbers.test} to test on`;
});
