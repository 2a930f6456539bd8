import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elementCount } from '../onnx/index.ts';
import { permutedIndices, stridesOf } from './fold/numbers.ts';
import { liesIn, memoryOrder, NHWC, permutationTo, reshaped, shapeOf, type TensorView, transposed, viewOf } from './tensor-view.ts';

/** Elements in the order that the model counts them, as positions in memory. */
function positions(view: TensorView): number[] {
  const strides = stridesOf(view.atoms);
  const order = view.axes.flat();
  return Array.from({ length: elementCount(view.atoms) }, (_, i) => {
    let rest = i;
    let position = 0;
    for (const atom of order.toReversed()) {
      const size = view.atoms[atom] ?? 1;
      position += (rest % size) * (strides[atom] ?? 0);
      rest = Math.floor(rest / size);
    }
    return position;
  });
}

const SHAPES = [[24], [4, 6], [6, 4], [2, 3, 4], [1, 24], [2, 1, 3, 4], [2, 2, 2, 3], [1, 4, 1, 6], [3, 8], [2, 2, 6, 1], [1, 2, 3, 2, 2]];

const step = fc.oneof(fc.record({ reshape: fc.constantFrom(...SHAPES) }), fc.record({ transpose: fc.integer({ min: 0, max: 1000 }) }));

function permutation(rank: number, seed: number): number[] {
  const rest = Array.from({ length: rank }, (_, i) => i);
  return Array.from({ length: rank }, (_, i) => rest.splice((seed + 7 * i) % rest.length, 1)[0] ?? 0);
}

describe('TensorView', () => {
  it('reads the same elements as transposing and reshaping the data would', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SHAPES), fc.array(step, { maxLength: 6 }), (start, steps) => {
        let view = viewOf(0, start);
        let data = Array.from({ length: 24 }, (_, i) => i);
        let shape = start;
        for (const one of steps) {
          if ('reshape' in one) {
            const next = reshaped(view, one.reshape);
            if (!next) continue;
            view = next;
            shape = one.reshape;
          } else {
            const perm = permutation(shape.length, one.transpose);
            const indices = permutedIndices(shape, perm);
            data = Array.from(indices, (at) => data[at] ?? -1);
            shape = perm.map((axis) => shape[axis] ?? 1);
            view = transposed(view, perm);
          }
          expect(shapeOf(view)).toEqual(shape);
          expect(positions(view)).toEqual(data);
        }
      }),
    );
  });

  it('says how memory must be permuted to lie in an order', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SHAPES), fc.nat(1000), fc.nat(1000), (shape, first, second) => {
        const order = permutation(shape.length, first);
        const view = viewOf(0, shape, order);
        const wanted = permutation(shape.length, second);
        const move = permutationTo(view, wanted);
        const memory = move ? Array.from(permutedIndices(move.dims, move.perm)) : Array.from({ length: 24 }, (_, i) => i);
        const there = viewOf(0, shape, wanted);
        expect(positions(there).map((at) => memory[at])).toEqual(positions(view));
      }),
    );
  });

  it('keeps a picture where it is when it is flattened, and knows that its dimensions are scattered', () => {
    const picture = viewOf(0, [1, 4, 3, 2], NHWC);
    const flat = reshaped(picture, [1, 24]);
    expect(flat?.atoms).toEqual([3, 2, 4]);
    expect(flat && memoryOrder(flat)).toBeUndefined();
  });

  it('says that only moving the data helps when a dimension is cut across', () => {
    expect(reshaped(viewOf(0, [4, 6]), [3, 8])).toBeUndefined();
    expect(reshaped(transposed(viewOf(0, [4, 6]), [1, 0]), [4, 6])).toBeUndefined();
  });

  it('does not count dimensions of one element', () => {
    expect(liesIn(viewOf(0, [1, 5, 1, 1], NHWC), [0, 1, 2, 3])).toBe(true);
    expect(memoryOrder(viewOf(0, [2, 3, 1, 1]))).toEqual(NHWC);
  });
});
