import { createHash } from 'node:crypto';

export interface Divisible {
  /** Samples of one group go to one split. */
  readonly group: string;
  /** Classes of the sample: one for classification, one per box for detection; may be empty. */
  readonly labels: readonly number[];
}

interface Group {
  readonly members: number[];
  readonly counts: Map<number, number>;
  rank: string;
}

/** Stands for samples without any class, and for classes that are whole in one group: they cannot be shared out. */
const NO_LABEL = -1;

/**
 * Divides samples into splits so that every split gets its share of every class, as closely as whole groups allow; a class
 * with at least as many samples as there are splits is in each of them, where no group is in the way. Classes that are whole
 * in one group (identities, where a person is a group) are shared out as wholes, each split getting its share of the samples.
 *
 * Greedy: groups are taken from the largest to the smallest, equals in the order of a digest of seed and name, each into the
 * split that lacks its classes most. The result follows from seed, groups and classes alone, not from the order of samples.
 *
 * @param shares - per split, adding up to 1.
 * @returns the split of every sample, in the order of `samples`.
 * @see Sechidis et al., "On the Stratification of Multi-label Data", 2011
 */
export function divide(samples: readonly Divisible[], shares: Readonly<Record<string, number>>, seed: number): string[] {
  const names = Object.keys(shares).sort();
  const totals = new Map<number, number>();
  const groups = gather(withoutWholeClasses(samples), totals, seed);
  const wanted = names.map(() => new Map<number, number>());
  for (const [label, total] of totals) {
    const parts = allot(
      total,
      names.map((name) => shares[name] ?? 0),
    );
    for (const [at, part] of parts.entries()) wanted[at]?.set(label, part);
  }
  const result = new Array<string>(samples.length);
  for (const group of groups) {
    let best = 0;
    let bestNeed = Number.NEGATIVE_INFINITY;
    for (const [at, missing] of wanted.entries()) {
      let need = 0;
      for (const [label, count] of group.counts) need += (count * (missing.get(label) ?? 0)) / (totals.get(label) ?? 1);
      if (need > bestNeed) [best, bestNeed] = [at, need];
    }
    for (const [label, count] of group.counts) wanted[best]?.set(label, (wanted[best]?.get(label) ?? 0) - count);
    for (const member of group.members) result[member] = names[best] ?? '';
  }
  return result;
}

function withoutWholeClasses(samples: readonly Divisible[]): readonly Divisible[] {
  const groupsOf = new Map<number, Set<string>>();
  const sizes = new Map<number, number>();
  for (const { group, labels } of samples) {
    for (const label of labels) {
      const groups = groupsOf.get(label) ?? new Set();
      groupsOf.set(label, groups.add(group));
      sizes.set(label, (sizes.get(label) ?? 0) + 1);
    }
  }
  const isWhole = (label: number) => (sizes.get(label) ?? 0) > 1 && groupsOf.get(label)?.size === 1;
  return samples.map((one) => (one.labels.some(isWhole) ? { ...one, labels: one.labels.filter((label) => !isWhole(label)) } : one));
}

function gather(samples: readonly Divisible[], totals: Map<number, number>, seed: number): Group[] {
  const groups = new Map<string, Group>();
  for (const [at, { group: name, labels }] of samples.entries()) {
    let group = groups.get(name);
    if (group === undefined) {
      group = { members: [], counts: new Map(), rank: createHash('sha256').update(`${seed}\0${name}`).digest('hex') };
      groups.set(name, group);
    }
    group.members.push(at);
    for (const label of labels.length === 0 ? [NO_LABEL] : labels) {
      group.counts.set(label, (group.counts.get(label) ?? 0) + 1);
      totals.set(label, (totals.get(label) ?? 0) + 1);
    }
  }
  return [...groups.values()].sort((a, b) => b.members.length - a.members.length || (a.rank < b.rank ? -1 : 1));
}

/** Whole numbers that add up to `total`, nearest to the shares; none is zero where there is enough for all. */
function allot(total: number, shares: readonly number[]): number[] {
  const parts = shares.map((share) => Math.floor(total * share));
  const rest = shares
    .map((share, at) => ({ at, rest: total * share - Math.floor(total * share) }))
    .sort((a, b) => b.rest - a.rest || a.at - b.at);
  const missing = total - parts.reduce((sum, part) => sum + part, 0);
  for (const { at } of rest.slice(0, missing)) parts[at] = (parts[at] ?? 0) + 1;
  if (total < shares.length) return parts;
  for (const [at, part] of parts.entries()) {
    if (part > 0) continue;
    const largest = parts.indexOf(Math.max(...parts));
    parts[largest] = (parts[largest] ?? 0) - 1;
    parts[at] = 1;
  }
  return parts;
}
