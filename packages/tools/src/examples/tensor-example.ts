import type { TensorSet } from '@selvedge/contract';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';
import { zipExample } from './zip-example.ts';

const LABELS = ['low', 'high'];

/**
 * A small set of tensors of two classes: values below 0.5 and above it.
 *
 * @param splits - samples per split.
 */
export function tensorExample(
  layout: TensorSet['layout'],
  sampleShape: readonly number[],
  splits: Readonly<Record<string, number>>,
): Promise<{ file: string; base64: string }> {
  const length = sampleShape.reduce((product, size) => product * size, 1);
  return zipExample('tensors.zip', async (folder) => {
    const writer = new TensorSetWriter(folder, { labels: LABELS, sampleShape: [...sampleShape], layout });
    try {
      for (const [split, count] of Object.entries(splits)) {
        await writer.writeSplit(split, count, async (add) => {
          for (let sample = 0; sample < count; sample += 1) {
            const label = sample % 2;
            const values = Float32Array.from({ length }, (_, at) => 0.5 * label + ((sample * 7 + at * 3) % 10) / 25);
            await add(values, BigInt64Array.of(BigInt(label)));
          }
        });
      }
      await writer.writeInfo();
    } finally {
      await writer.release();
    }
  });
}
