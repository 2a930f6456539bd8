import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { weightHistogramsSchema } from '@selvedge/contract';
import { weightHistograms } from '../tensorboard/weight-histograms.ts';

/** Larger models are left without: they would be read as a whole once more. */
const MAX_MODEL_BYTES = 256 * 1024 * 1024;

/** Leaves `weights.json` beside the model: the histograms that TensorBoard is shown, for those who have the artifact alone. */
export async function writeWeights(dataDir: string, model: Uint8Array): Promise<void> {
  if (model.byteLength > MAX_MODEL_BYTES) return;
  const weights = weightHistograms(model).map(({ tag, histo: { min, max, num, sum, bucket } }) => ({
    name: tag.replace(/^weights\//, ''),
    count: num,
    min,
    max,
    mean: sum / num,
    buckets: bucket,
  }));
  const content = weightHistogramsSchema.parse({ formatVersion: 1, weights });
  await writeFile(join(dataDir, 'weights.json'), `${JSON.stringify(content)}\n`);
}
