import { type DriftSubject, type ResultSummary, type SettledDrift, stabilityIndex } from '@selvedge/contract';
import * as z from 'zod';

const CONFIDENCE_BINS = 10;
/** Classes that are told apart; the others are one. */
const MAX_CLASSES = 100;
/** Names that a pool takes up, from devices that may say anything. */
const MAX_NAMES = 1000;
/** The index of two samples of the same spread is about (bins - 1) × 2 / samples: with as many per bin it is 0.04. */
const SAMPLES_PER_CLASS = 50;
/** Of what a run says of its cause. */
const MAX_DETAIL = 1024;
/** Versions whose last firing is remembered. */
const MAX_FIRED = 10;

const counted = z.number().min(0);
const distributionSchema = z.object({
  fromIso: z.string(),
  untilIso: z.string(),
  devices: z.int().min(0),
  confidence: z.array(counted).length(CONFIDENCE_BINS),
  classes: z.array(z.tuple([z.string(), counted])).max(MAX_CLASSES),
  /** Answers of all other classes. */
  otherClasses: counted,
});
/** What devices answered in a time, together. */
export type Distribution = z.infer<typeof distributionSchema>;

const cursorSchema = z.object({
  /** What the rest was found by: with another window or selection it is void. */
  by: z.string(),
  /** `MODEL:VERSION` that is watched. */
  version: z.string(),
  /** When the version's first answers are from, once that is known. */
  firstAt: z.string().nullable(),
  /** The first window of the version, kept because its results will not be. */
  reference: distributionSchema.nullable(),
  /** When it fired last, by version. */
  fired: z.array(z.tuple([z.string(), z.string()])).max(MAX_FIRED),
});
/** Where watching for drift stands. */
export type DriftCursor = z.infer<typeof cursorSchema>;

/** What was stored, or undefined when that is of another trigger; @param version - that most answers come from now. */
export function driftCursor(
  stored: string | null,
  { inferenceModel, selector, reference, referenceS, minSamples }: SettledDrift,
  version: string,
) {
  const by = JSON.stringify([inferenceModel, selector ?? null, reference, referenceS, minSamples]);
  const known = stored === null ? undefined : readCursor(stored);
  if (known?.by === by && known.version === version) return known;
  return { by, version, firstAt: null, reference: null, fired: known?.by === by ? known.fired : [] } satisfies DriftCursor;
}

function readCursor(text: string): DriftCursor | undefined {
  try {
    return cursorSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // watching begins anew
  }
}

/** The version fired less than its cooldown ago. */
export function isCooling({ fired, version }: DriftCursor, { cooldownS }: SettledDrift, nowMs: number): boolean {
  const last = fired.find(([name]) => name === version)?.[1];
  return last !== undefined && nowMs - Date.parse(last) < cooldownS * 1000;
}

export function withFired(cursor: DriftCursor, nowIso: string): DriftCursor {
  const others = cursor.fired.filter(([name]) => name !== cursor.version);
  return { ...cursor, fired: [[cursor.version, nowIso] satisfies [string, string], ...others].slice(0, MAX_FIRED) };
}

/** Adds up what devices have answered. */
export class ResultPool {
  readonly #confidence = new Array<number>(CONFIDENCE_BINS).fill(0);
  readonly #classes = new Map<string, number>();
  readonly #devices = new Set<string>();
  #otherClasses = 0;

  add(device: string, { confidence, classes }: Pick<ResultSummary, 'confidence' | 'classes'>): void {
    this.#devices.add(device);
    for (const [bin, count] of (confidence ?? []).entries()) this.#confidence[bin] = (this.#confidence[bin] ?? 0) + count;
    for (const [name, count] of classes ?? []) {
      if (this.#classes.size < MAX_NAMES || this.#classes.has(name)) this.#classes.set(name, (this.#classes.get(name) ?? 0) + count);
      else this.#otherClasses += count;
    }
  }

  get samples(): number {
    return total(this.#confidence) + total([...this.#classes.values()]);
  }

  /** @param like - whose classes are told apart; without it the most frequent ones. */
  distribution(fromIso: string, untilIso: string, like?: Distribution): Distribution {
    const names = like?.classes.map(([name]) => name) ?? [...this.#classes].sort(([, a], [, b]) => b - a).map(([name]) => name);
    const classes = names.slice(0, MAX_CLASSES).map((name): [string, number] => [name, this.#classes.get(name) ?? 0]);
    const all = total([...this.#classes.values()]) + this.#otherClasses;
    const otherClasses = all - total(classes.map(([, count]) => count));
    return { fromIso, untilIso, devices: this.#devices.size, confidence: [...this.#confidence], classes, otherClasses };
  }
}

export interface DriftFinding {
  readonly of: DriftSubject;
  /** null: there are too few answers on one side. */
  readonly psi: number | null;
  readonly referenceSamples: number;
  readonly samples: number;
}

/** @param current - with the classes of the reference. */
export function compareDrift(reference: Distribution, current: Distribution, { of, minSamples }: SettledDrift): DriftFinding[] {
  return of.map((subject) => {
    const [before, now] = [binsOf(reference, subject), binsOf(current, subject)];
    const needed = subject === 'classes' ? Math.max(minSamples, SAMPLES_PER_CLASS * before.length) : minSamples;
    const [referenceSamples, samples] = [total(before), total(now)];
    const isEnough = Math.min(referenceSamples, samples) >= needed;
    return { of: subject, psi: isEnough ? stabilityIndex(before, now) : null, referenceSamples, samples };
  });
}

/** Whether anything can be compared with it. */
export function isReference(distribution: Distribution, { of, minSamples }: SettledDrift): boolean {
  return of.some((subject) => total(binsOf(distribution, subject)) >= minSamples);
}

function binsOf({ confidence, classes, otherClasses }: Distribution, subject: DriftSubject): number[] {
  return subject === 'confidence' ? confidence : [...classes.map(([, count]) => count), otherClasses];
}

/** What a run says of why it began; null when nothing has drifted. */
export function driftEvent(
  version: string,
  reference: Distribution,
  current: Distribution,
  settled: SettledDrift,
): { detail: string; findings: DriftFinding[] } | null {
  const findings = compareDrift(reference, current, settled).filter(({ psi }) => psi !== null && psi > settled.psi);
  if (findings.length === 0) return null;
  const named = { confidence: 'confidences', classes: 'classes' } as const;
  const said = findings.map(
    ({ of, psi, samples, referenceSamples }) =>
      `${named[of]} psi ${psi?.toFixed(3)} above ${settled.psi} (${samples} samples against ${referenceSamples})`,
  );
  const window = ({ fromIso, untilIso, devices }: Distribution) =>
    `${fromIso} to ${untilIso}, ${devices} ${devices === 1 ? 'device' : 'devices'}`;
  const detail = `drift of ${version} in "${settled.inferenceModel}": ${said.join(', ')}; ${window(current)}, against ${window(reference)}`;
  return { detail: detail.slice(0, MAX_DETAIL), findings };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
