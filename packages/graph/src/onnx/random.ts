/** A stream of random numbers that depends on its seed alone. Not for secrets. */
export interface Random {
  /** Uniform in 0..2^32-1. */
  uint32(): number;
  /** Uniform in [0, 1), 32 bits of it. */
  uniform(): number;
  /** Standard normal (Box-Muller). */
  normal(): number;
}

const MASK_64 = 0xffff_ffff_ffff_ffffn;

/** SplitMix64 (Steele, Lea, Flood 2014), which the authors of xoshiro advise for filling its state. */
function splitmix64(seed: bigint): () => bigint {
  let state = seed & MASK_64;
  return () => {
    state = (state + 0x9e37_79b9_7f4a_7c15n) & MASK_64;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & MASK_64;
    z = ((z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn) & MASK_64;
    return z ^ (z >> 31n);
  };
}

const rotateLeft = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/**
 * xoshiro128** 1.1 by David Blackman and Sebastiano Vigna (2018): uniform in 0..2^32-1.
 *
 * @param a - with b, c and d the state; not all may be 0.
 * @see https://prng.di.unimi.it/xoshiro128starstar.c
 */
export function xoshiro128(a: number, b: number, c: number, d: number): () => number {
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotateLeft(d, 11);
    return result;
  };
}

/**
 * A stream of random numbers: xoshiro128** with its state filled by SplitMix64.
 *
 * @param keys - integers 0..2^53-1; the same keys in the same order give the same stream, e.g. `(seed, epoch)`.
 */
export function createRandom(...keys: readonly number[]): Random {
  let mixed = 0n;
  for (const key of keys) mixed = splitmix64(mixed ^ BigInt(key))();
  const fill = splitmix64(mixed);
  const [low, high] = [fill(), fill()];
  const half = (value: bigint): number => Number(value & 0xffff_ffffn) | 0;
  const uint32 = xoshiro128(half(low), half(low >> 32n), half(high), half(high >> 32n));
  let spare: number | undefined;

  const uniform = (): number => uint32() / 0x1_0000_0000;
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    // 1 - u lies in (0, 1], so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return { uint32, uniform, normal };
}

/** Shuffles in place (Fisher-Yates). */
export function shuffle(values: Int32Array | number[], random: Random): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1));
    const kept = values[i] ?? 0;
    values[i] = values[j] ?? 0;
    values[j] = kept;
  }
}
