import type { Hyperparams, SweepChild, SweepParameter, SweepSpec } from '@selvedge/contract';

export type Draw = Record<string, number | string>;
const DEFAULT_PARALLEL = 2;
const DEFAULT_FACTOR = 3;

/** One run that a sweep wants: `index` from 1 is its identity. */
export interface WantedChild {
  readonly index: number;
  readonly parameters: Draw;
}

export interface SweepPlan {
  /** Runs to begin now. */
  readonly start: readonly WantedChild[];
  readonly isDone: boolean;
  readonly best: { run: string; value: number } | null;
  /** 0..1. */
  readonly progress: number;
  readonly total: number;
}

/** Numbers of 0..1 from a seed (mulberry32): the same on every machine, so that a sweep goes on after a restart. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function drawOf(parameter: SweepParameter, random: () => number): number | string {
  const share = random();
  if (Array.isArray(parameter)) return parameter[Math.floor(share * parameter.length)] ?? parameter[0] ?? 0;
  const { min, max, log, integer } = parameter;
  const value = log === true ? Math.exp(Math.log(min) + share * (Math.log(max) - Math.log(min))) : min + share * (max - min);
  const rounded = integer === true ? Math.round(value) : Number(value.toPrecision(6));
  return Math.min(max, Math.max(min, rounded));
}

/** All that is tried first: the points of the grid, or the draws. The same sweep always gives the same. */
export function drawsOf(sweep: SweepSpec): Draw[] {
  const parameters = Object.entries(sweep.parameters);
  if (sweep.method !== 'grid') {
    const random = seeded(sweep.seed ?? 0);
    return Array.from({ length: sweep.runs ?? 1 }, () =>
      Object.fromEntries(parameters.map(([name, values]) => [name, drawOf(values, random)])),
    );
  }
  let points: Draw[] = [{}];
  const limit = sweep.runs ?? Number.POSITIVE_INFINITY;
  for (const [name, values] of parameters.toReversed())
    points = (Array.isArray(values) ? values : []).flatMap((value) => points.map((point) => ({ [name]: value, ...point })));
  return points.slice(0, limit);
}

/** Epochs and number of runs of each round of a halving. */
export function roundsOf(sweep: SweepSpec, epochs: number): { epochs: number; runs: number }[] {
  const { factor = DEFAULT_FACTOR, minEpochs = 1, runs = 1 } = sweep;
  const rounds: { epochs: number; runs: number }[] = [];
  let first = 0; // how often both runs and epochs can be divided
  while (Math.floor(runs / factor ** (first + 1)) >= 1 && Math.floor(epochs / factor ** (first + 1)) >= Math.max(1, minEpochs)) first += 1;
  for (let round = 0; round <= first; round += 1)
    rounds.push({ epochs: Math.round(epochs / factor ** (first - round)), runs: Math.floor(runs / factor ** round) });
  return rounds;
}

const isFinished = (child: SweepChild): boolean => child.phase === 'Succeeded' || child.phase === 'Failed' || child.phase === 'Cancelled';

/** The best first, those without a value last; the earlier of equals first. */
function ranked(sweep: SweepSpec, children: readonly SweepChild[]): SweepChild[] {
  const sign = sweep.goal === 'minimize' ? -1 : 1;
  const score = (child: SweepChild) => (child.value === null ? Number.NEGATIVE_INFINITY : sign * child.value);
  return [...children].sort((a, b) => (score(a) === score(b) ? 0 : score(b) - score(a)));
}

/** Everything that is known now to be wanted, and of how many runs in all; the later rounds of a halving follow from the earlier. */
function wantedNow(sweep: SweepSpec, epochs: number, children: readonly SweepChild[]): { wanted: Draw[]; total: number; last: number } {
  const draws = drawsOf(sweep);
  if (sweep.method !== 'halving') return { wanted: draws, total: draws.length, last: 0 };
  const rounds = roundsOf(sweep, epochs);
  const total = rounds.reduce((sum, round) => sum + round.runs, 0);
  const wanted: Draw[] = [];
  let candidates = draws;
  let last = 0;
  for (const round of rounds) {
    last = wanted.length;
    wanted.push(...candidates.slice(0, round.runs).map((draw) => ({ ...draw, epochs: round.epochs })));
    const made = children.slice(last, wanted.length);
    if (made.length < round.runs || !made.every(isFinished)) break;
    candidates = ranked(sweep, made).map(({ parameters }) => parameters);
  }
  return { wanted, total, last };
}

/**
 * What a sweep does next.
 * @param children - its runs in the order of their index, from 1 without a gap.
 */
export function planSweep(sweep: SweepSpec, hyperparams: Pick<Hyperparams, 'epochs'>, children: readonly SweepChild[]): SweepPlan {
  const { wanted, total, last } = wantedNow(sweep, hyperparams.epochs, children);
  const active = children.filter((child) => !isFinished(child)).length;
  const free = Math.max(0, (sweep.parallel ?? DEFAULT_PARALLEL) - active);
  const start = wanted
    .slice(children.length, children.length + free)
    .map((parameters, at) => ({ index: children.length + at + 1, parameters }));
  // runs of full length are compared with one another; the short ones count only when none of those has a value
  const withValue = (some: readonly SweepChild[]) => ranked(sweep, some).find((child) => child.value !== null);
  const found = withValue(children.slice(last)) ?? withValue(children);
  return {
    start,
    isDone: active === 0 && children.length >= wanted.length,
    best: found === undefined || found.value === null ? null : { run: found.run, value: found.value },
    progress: total === 0 ? 1 : children.filter(isFinished).length / total,
    total,
  };
}
