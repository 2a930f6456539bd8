/**
 * Draws the example dataset: people before street cameras, in one folder per person. Nobody of the test split is in the
 * training split.
 *
 *     npx tsx examples/reid/make-dataset.ts --out DIR [--train 120] [--test 40] [--pictures 10] [--seed 1]
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { runScript } from '../run-script.ts';
import { renderPerson } from './render-person.ts';

export interface MakeReidOptions {
  /** Folder to make; it must not exist yet. */
  readonly outDir: string;
  /** People to learn from. */
  readonly train: number;
  /** Other people, to find again. */
  readonly test: number;
  /** Pictures of each. */
  readonly pictures: number;
  /** The same seed gives the same bytes. */
  readonly seed: number;
}

/** Writes `train/PERSON/` and `test/PERSON/`. */
export async function makeReid({ outDir, train, test, pictures, seed }: MakeReidOptions): Promise<void> {
  await mkdir(outDir);
  for (let identity = 0; identity < train + test; identity += 1) {
    const folder = join(outDir, identity < train ? 'train' : 'test', `person-${String(identity).padStart(4, '0')}`);
    await mkdir(folder, { recursive: true });
    for (let index = 0; index < pictures; index += 1) {
      const { width, height, data } = renderPerson(seed, identity, index);
      await sharp(data, { raw: { width, height, channels: 3 } })
        .jpeg({ quality: 88 })
        .toFile(join(folder, `${index}.jpg`));
    }
  }
}

await runScript(import.meta.url, { train: 120, test: 40, pictures: 10, seed: 1 }, async ({ out, ...numbers }) => {
  await makeReid({ outDir: resolve(out), ...numbers });
  return `${out}: ${numbers.train} people to learn from, ${numbers.test} others to find, ${numbers.pictures} pictures of each`;
});
