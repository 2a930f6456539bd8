import { createHash } from 'node:crypto';

const RANGE = 2 ** 32;

/**
 * Whether the version on trial answers a request. The same seed and number give the same choice; over many requests its share of them is
 * `share`.
 */
export function isForCandidate(seed: string, number: number, share: number): boolean {
  const hash = createHash('sha256').update(`${seed} ${number}`).digest();
  return hash.readUInt32BE(0) / RANGE < share;
}
