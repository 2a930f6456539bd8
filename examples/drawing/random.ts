/** A repeatable stream of random numbers. */
export interface Random {
  /** 0 <= value < 1. */
  unit(): number;
  /** lo <= value < hi. */
  between(lo: number, hi: number): number;
  /** A whole number, 0 <= value < count. */
  below(count: number): number;
  /** Mean 0, standard deviation 1; bounded by 3.5, from the sum of four bytes. */
  normal(): number;
}

/** Standard deviation of the sum of four independent bytes: sqrt(4 * (256 ** 2 - 1) / 12). */
const FOUR_BYTES_DEVIATION = Math.sqrt((256 ** 2 - 1) / 3);
const FOUR_BYTES_MEAN = 4 * 127.5;

/** Mixes 32 bits so that neighbouring inputs give unrelated outputs (two rounds of xor-shift and odd multiplier). */
function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x7feb_352d);
  bits = Math.imul(bits ^ (bits >>> 15), 0x846c_a68b);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/**
 * A stream that depends on all `keys` (whole numbers): each picture has a stream of its own, so that pictures can be made in
 * any order and the test split shares nothing with the training split.
 */
export function randomStream(...keys: readonly number[]): Random {
  let state = keys.reduce((hash, key) => mix(hash ^ mix(key + 0x9e37_79b9)), 0x5eed);
  const bits = (): number => {
    state = (state + 0x9e37_79b9) >>> 0;
    return mix(state);
  };
  const unit = (): number => bits() / 0x1_0000_0000;
  return {
    unit,
    between: (lo, hi) => lo + unit() * (hi - lo),
    below: (count) => Math.floor(unit() * count),
    normal: () => {
      const four = bits();
      const sum = (four & 255) + ((four >>> 8) & 255) + ((four >>> 16) & 255) + (four >>> 24);
      return (sum - FOUR_BYTES_MEAN) / FOUR_BYTES_DEVIATION;
    },
  };
}
