import { createHash } from 'node:crypto';

export interface Candidate {
  /** Unique within the set. */
  readonly key: string;
  readonly label: string | number;
}

/**
 * Chooses which samples are kept aside: `share` of each class, rounded, so that rare classes are not forgotten; a class
 * with at least two samples gives at least one and keeps at least one.
 *
 * The choice follows from seed and keys alone (the order of their digests), not from the order of the samples, so that the
 * same data gives the same choice on every machine.
 *
 * @param share - 0..1; 0 chooses nothing.
 * @returns the keys of the chosen samples.
 */
export function chooseHoldOut(samples: Iterable<Candidate>, share: number, seed: number): Set<string> {
  const chosen = new Set<string>();
  if (share <= 0) return chosen;
  const classes = new Map<string | number, string[]>();
  for (const { key, label } of samples) {
    const keys = classes.get(label);
    if (keys === undefined) classes.set(label, [key]);
    else keys.push(key);
  }
  for (const keys of classes.values()) {
    const wanted = keys.length < 2 ? 0 : Math.min(keys.length - 1, Math.max(1, Math.round(keys.length * share)));
    const ordered = keys.map((key) => ({ key, rank: rankOf(key, seed) })).sort((a, b) => (a.rank < b.rank ? -1 : 1));
    for (const { key } of ordered.slice(0, wanted)) chosen.add(key);
  }
  return chosen;
}

function rankOf(key: string, seed: number): string {
  return createHash('sha256').update(`${seed}\0${key}`).digest('hex');
}
