import { stabilityIndex, type TrialCheck, type TrialGates } from '@selvedge/contract';
import { quantile, type Traffic, total } from './histogram.ts';

/** What is known of a version on trial and of the one before it. */
export interface TrialEvidence {
  /** Unwanted ends of its process. */
  readonly crashes: number;
  /** Of the version on trial, since it got traffic, a copy or a share of it. */
  readonly candidate: Traffic;
  /** Of the version of before on this device; null: not known. */
  readonly previous: Traffic | null;
  /** Resident memory of the process, MiB: at the end of the warm-up (null before it), and now. */
  readonly memory: { readonly readings: number; readonly nowMiB: number | null; readonly warmMiB: number | null };
  /** The highest of the device since the trial began; null where there is no sensor. */
  readonly temperature: { readonly readings: number; readonly highestC: number | null };
  /** Inputs that both versions saw, and on how many they gave the same result; null when it is not compared. */
  readonly agreement: { readonly compared: number; readonly same: number } | null;
  readonly golden: { readonly samples: number; readonly accuracy: number; readonly previousAccuracy: number | null } | null;
}

export interface TrialVerdict {
  readonly outcome: 'undecided' | 'passed' | 'failed';
  readonly checks: TrialCheck[];
}

/** Requests without which a gate is not taken as broken before the trial is over: one slow answer among three is no percentile. */
const EARLY_REQUESTS = 20;
/** Requests that a 95th percentile needs. */
const PERCENTILE_REQUESTS = 20;
/** Confidences on both sides that a comparison of their spread needs: the index of few samples is large by chance. */
const SPREAD_SAMPLES = 50;
/** Readings of memory that growth is judged by. */
const MEMORY_READINGS = 3;

interface Measured {
  value: number | null;
  baseline?: number | null;
  samples: number;
  /** With fewer, nothing is decided. */
  needed: number;
  /** With fewer, it is not taken as broken before the trial is over. */
  neededEarly?: number;
  /** A value below the bar breaks the gate, not one above. */
  isLeast?: boolean;
}
type Measure = (evidence: TrialEvidence, minRequests: number) => Measured;

const p95 = (traffic: Traffic | null): number | null => {
  const latency = traffic?.latencyMs ?? null;
  return latency === null || total(latency.counts) < PERCENTILE_REQUESTS ? null : quantile(latency, 0.95);
};
const answered = (traffic: Traffic): number => total(traffic.latencyMs?.counts ?? []);
const difference = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a - b);

const MEASURES: Record<keyof TrialGates, Measure> = {
  crashes: ({ crashes }) => ({ value: crashes, samples: crashes, needed: 0 }),
  errorRate: ({ candidate: { requests, errors } }, minRequests) => ({
    value: requests === 0 ? null : errors / requests,
    samples: requests,
    needed: Math.max(1, minRequests),
    neededEarly: Math.max(EARLY_REQUESTS, minRequests),
  }),
  p95Ms: ({ candidate }, minRequests) => ({
    value: p95(candidate),
    samples: answered(candidate),
    needed: Math.max(PERCENTILE_REQUESTS, minRequests),
  }),
  p95Ratio: ({ candidate, previous }, minRequests) => {
    const [now, before] = [p95(candidate), p95(previous)];
    const value = now === null || before === null || before === 0 ? null : now / before;
    return { value, baseline: before, samples: answered(candidate), needed: Math.max(PERCENTILE_REQUESTS, minRequests) };
  },
  rssMiB: ({ memory }) => ({ value: memory.nowMiB, samples: memory.readings, needed: 1 }),
  rssGrowthMiB: ({ memory }) => ({
    value: difference(memory.nowMiB, memory.warmMiB),
    baseline: memory.warmMiB,
    samples: memory.readings,
    needed: MEMORY_READINGS,
  }),
  temperatureC: ({ temperature }) => ({ value: temperature.highestC, samples: temperature.readings, needed: 1 }),
  confidencePsi: ({ candidate, previous }, minRequests) => {
    const [before, now] = [previous?.confidence ?? [], candidate.confidence ?? []];
    const isEnough = total(before) >= SPREAD_SAMPLES && total(now) >= SPREAD_SAMPLES;
    return { value: isEnough ? stabilityIndex(before, now) : null, samples: total(now), needed: Math.max(SPREAD_SAMPLES, minRequests) };
  },
  agreement: ({ agreement }, minRequests) => ({
    value: agreement === null || agreement.compared === 0 ? null : agreement.same / agreement.compared,
    samples: agreement?.compared ?? 0,
    needed: Math.max(1, minRequests),
    neededEarly: Math.max(EARLY_REQUESTS, minRequests),
    isLeast: true,
  }),
  goldenAccuracy: ({ golden }) => ({ value: golden?.accuracy ?? null, samples: golden?.samples ?? 0, needed: 1, isLeast: true }),
  goldenAccuracyDrop: ({ golden }) => ({
    value: difference(golden?.previousAccuracy ?? null, golden?.accuracy ?? null),
    baseline: golden?.previousAccuracy ?? null,
    samples: golden?.samples ?? 0,
    needed: 1,
  }),
};

/** Shares are made by division and differences: a bar is not missed by the last bit of it. */
const SLACK = 1e-9;

function checkGate(gate: keyof TrialGates, bar: number, measured: Measured, isOver: boolean): TrialCheck {
  const { value, baseline = null, samples, needed, neededEarly = needed, isLeast = false } = measured;
  const isKept = value !== null && (isLeast ? value >= bar - SLACK : value <= bar + SLACK);
  const isKnown = value !== null && samples >= (isKept || isOver ? needed : neededEarly);
  return { gate, value, baseline, bar, passed: isKnown ? isKept : null, samples: Math.round(samples) };
}

/**
 * Judges a version by what is known of it. A gate that is broken fails it at once; only when the trial is over has it passed, also
 * with gates that nothing is known for.
 *
 * @param minRequests - gates by traffic are undecided with fewer.
 */
export function judgeTrial(gates: TrialGates, evidence: TrialEvidence, minRequests: number, isOver: boolean): TrialVerdict {
  const bars = { crashes: 0, ...gates };
  const checks = keysOf(MEASURES).flatMap((gate) => {
    const bar = bars[gate];
    return bar === undefined ? [] : [checkGate(gate, bar, MEASURES[gate](evidence, minRequests), isOver)];
  });
  if (checks.some((check) => check.passed === false)) return { outcome: 'failed', checks };
  return { outcome: isOver ? 'passed' : 'undecided', checks };
}

function keysOf(measures: Record<keyof TrialGates, Measure>): (keyof TrialGates)[] {
  const isGate = (name: string): name is keyof TrialGates => name in measures;
  return Object.keys(measures).filter(isGate);
}

const text = (value: number | null) => (value === null ? '?' : String(Number(value.toPrecision(4))));

/** The broken gates with their numbers, for people. */
export function describeBroken(checks: readonly TrialCheck[]): string {
  return checks
    .filter((check) => check.passed === false)
    .map(({ gate, value, baseline, bar, samples }) => {
      const against = baseline === null ? '' : `, ${text(baseline)} before`;
      return `${gate} is ${text(value)}, the bar is ${text(bar)} (${samples} samples${against})`;
    })
    .join('; ');
}
