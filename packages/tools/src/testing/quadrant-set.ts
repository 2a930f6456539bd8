import { createRandom } from '@selvedge/graph/train';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';

const QUADRANT_LABELS = ['left', 'right', 'top', 'bottom'];
const EDGE = 8;

/** Whether a place is in the bright half of a class. */
function isBright(label: number, at: number): boolean {
  const [row, column] = [Math.floor(at / EDGE), at % EDGE];
  const place = label < 2 ? column : row;
  return label % 2 === 0 ? place < EDGE / 2 : place >= EDGE / 2;
}

/** Writes pictures of 1 x 8 x 8 in noise, bright in one half, which is their class; no two splits share a picture. */
export async function writeQuadrantSet(folder: string, counts: Readonly<Record<string, number>>): Promise<string> {
  const range = { black: [0], white: [1] };
  const writer = new TensorSetWriter(folder, { labels: QUADRANT_LABELS, sampleShape: [1, EDGE, EDGE], layout: 'CHW', range });
  for (const [at, [split, count]] of Object.entries(counts).entries()) {
    const random = createRandom(at + 1);
    await writer.writeSplit(split, count, async (add) => {
      for (let i = 0; i < count; i += 1) {
        const label = i % QUADRANT_LABELS.length;
        const x = Float32Array.from({ length: EDGE * EDGE }, (_, place) => random.uniform() + (isBright(label, place) ? 0.5 : 0));
        await add(x, BigInt64Array.of(BigInt(label)));
      }
    });
  }
  await writer.writeInfo();
  return folder;
}
