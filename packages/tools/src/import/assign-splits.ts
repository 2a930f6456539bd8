import { posix } from 'node:path';
import type { ImportOptions, Resplit } from '@selvedge/contract';
import { divide } from '../sampling/divide.ts';
import { chooseHoldOut } from '../sampling/hold-out.ts';
import type { PictureSource, SourceSample, TableSource } from './source-sample.ts';

export interface SplitChoice {
  readonly testShare: number;
  readonly seed: number;
  /** In place of what the source and the hold-out say. */
  readonly resplit?: Resplit | undefined;
}

export interface PlacedSample {
  readonly sample: SourceSample;
  readonly split: string;
  readonly group: string | undefined;
}

/**
 * The split of every picture, sorted by path.
 *
 * @param contentOf - digest of a sample that is known already: copies of one picture then stay together.
 */
export function assignPictureSplits(
  source: PictureSource,
  choice: SplitChoice,
  { groupBefore }: ImportOptions,
  contentOf: (path: string) => string | undefined,
): PlacedSample[] {
  const grouped = source.samples.map((sample) => ({ sample, group: sample.group ?? groupOf(sample.path, groupBefore) }));
  const indexOf = new Map(source.labels.map((label, index) => [label, index]));
  const byShares = (samples: typeof grouped, shares: Readonly<Record<string, number>>, seed: number) =>
    divide(
      samples.map(({ sample, group }) => ({
        group: group === undefined ? `content ${contentOf(sample.path) ?? sample.path}` : `group ${group}`,
        labels: labelsOf(sample).map((label) => indexOf.get(label) ?? 0),
      })),
      shares,
      seed,
    );
  if (choice.resplit !== undefined) {
    const splits = byShares(grouped, choice.resplit.shares, choice.resplit.seed);
    return sorted(grouped.map((one, at) => ({ ...one, split: splits[at] ?? '' })));
  }
  const undecided = grouped.filter(({ sample }) => sample.split === undefined);
  const held = new Set<string>();
  const isPlain = source.type === 'image-classification' && undecided.every(({ group }) => group === undefined);
  if (isPlain) {
    const candidates = undecided.map(({ sample }) => ({ key: sample.path, label: sample.label ?? '' }));
    for (const path of chooseHoldOut(candidates, choice.testShare, choice.seed)) held.add(path);
  } else if (choice.testShare > 0) {
    const splits = byShares(undecided, { train: 1 - choice.testShare, test: choice.testShare }, choice.seed);
    for (const [at, { sample }] of undecided.entries()) if (splits[at] === 'test') held.add(sample.path);
  }
  return sorted(grouped.map(({ sample, group }) => ({ sample, group, split: sample.split ?? (held.has(sample.path) ? 'test' : 'train') })));
}

/** The split of every row of a table. */
export function assignRowSplits(source: TableSource, { testShare, seed, resplit }: SplitChoice): string[] {
  const rows = Array.from(source.rowLabels, (label, row) => ({ row, label, split: source.splitOf(row) }));
  const samples = (some: typeof rows) => some.map(({ row, label }) => ({ group: String(row), labels: [label] }));
  if (resplit !== undefined) return divide(samples(rows), resplit.shares, resplit.seed);
  const undecided = rows.filter(({ split }) => split === undefined);
  const shares = testShare > 0 ? { train: 1 - testShare, test: testShare } : { train: 1 };
  const splits = divide(samples(undecided), shares, seed);
  const chosen = new Map(undecided.map(({ row }, at) => [row, splits[at] ?? 'train']));
  return rows.map(({ row, split }) => split ?? chosen.get(row) ?? 'train');
}

function labelsOf(sample: SourceSample): string[] {
  return sample.boxes?.map(({ label }) => label) ?? [sample.label ?? ''];
}

function groupOf(path: string, groupBefore: string | undefined): string | undefined {
  if (groupBefore === undefined) return undefined;
  const name = posix.basename(path);
  const at = name.indexOf(groupBefore);
  return at <= 0 ? undefined : name.slice(0, at);
}

function sorted(samples: PlacedSample[]): PlacedSample[] {
  return samples.sort((a, b) => (a.sample.path < b.sample.path ? -1 : 1));
}
