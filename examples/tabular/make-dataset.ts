/**
 * Makes the example dataset: readings of pumps, as a table with one line per minute of one pump.
 *
 *     npx tsx examples/tabular/make-dataset.ts --out DIR [--train 4000] [--test 1000] [--seed 1]
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Random, randomStream } from '../drawing/random.ts';
import { runScript } from '../run-script.ts';

export interface MakePumpsOptions {
  /** Folder to make; it must not exist yet. */
  readonly outDir: string;
  readonly train: number;
  readonly test: number;
  /** The same seed gives the same bytes. */
  readonly seed: number;
}

const STATES = ['ok', 'unbalanced', 'worn bearing', 'cavitating', 'blocked'] as const;
/** Most minutes are without a fault. */
const SHARE_OK = 0.5;
const COLUMNS = [
  'pump',
  'speed_rpm',
  'current_a',
  'flow_lpm',
  'pressure_bar',
  'vibration_rms',
  'vibration_1x',
  'kurtosis',
  'temperature_c',
];

/** What each fault changes, as factors on what a pump without one would show. */
const EFFECTS: Readonly<Record<(typeof STATES)[number], Partial<Readings>>> = {
  ok: {},
  unbalanced: { vibration: 1.9, once: 3, current: 1.05 },
  'worn bearing': { vibration: 1.5, kurtosis: 2.1, temperature: 1.2, current: 1.1 },
  cavitating: { vibration: 2.1, kurtosis: 1.25, flow: 0.8, pressure: 0.8 },
  blocked: { flow: 0.5, pressure: 1.35, current: 0.85, temperature: 1.12 },
};

interface Readings {
  readonly current: number;
  readonly flow: number;
  readonly pressure: number;
  readonly vibration: number;
  readonly once: number;
  readonly kurtosis: number;
  readonly temperature: number;
}

function readingsOf(random: Random, speed: number, severity: number, effects: Partial<Readings>): Readings {
  const load = speed / 2900;
  const reading = (usual: number, spread: number, effect = 1): number =>
    Math.max(0, usual * (1 + severity * (effect - 1)) * (1 + spread * random.normal()));
  return {
    current: reading(1.5 + 6 * load ** 2, 0.04, effects.current),
    flow: reading(110 * load, 0.05, effects.flow),
    pressure: reading(4.2 * load ** 2, 0.05, effects.pressure),
    vibration: reading(1.1 * load ** 1.5, 0.13, effects.vibration),
    once: reading(0.4 * load ** 2, 0.18, effects.once),
    kurtosis: reading(3, 0.09, effects.kurtosis),
    temperature: reading(22 + 28 * load, 0.05, effects.temperature),
  };
}

/** One line of the table: `pump` is the kind of pump, the last column what is wrong with it. */
function lineOf(random: Random): string {
  const state = random.unit() < SHARE_OK ? 'ok' : (STATES[1 + random.below(STATES.length - 1)] ?? 'ok');
  const isLarge = random.unit() < 0.4;
  const speed = Math.round(random.between(1400, 2950));
  const { current, flow, pressure, vibration, once, kurtosis, temperature } = readingsOf(
    random,
    speed,
    random.between(0.45, 1.2),
    EFFECTS[state],
  );
  const size = isLarge ? 2.2 : 1;
  const numbers = [current * size, flow * size, pressure, vibration, once, kurtosis, temperature];
  return [isLarge ? 'large' : 'small', speed, ...numbers.map((value) => value.toFixed(3)), state].join(',');
}

/** Writes `train.csv` and `test.csv`. */
export async function makePumps({ outDir, seed, ...counts }: MakePumpsOptions): Promise<void> {
  await mkdir(outDir);
  for (const [key, split] of (['train', 'test'] as const).entries()) {
    const lines = Array.from({ length: counts[split] }, (_, index) => lineOf(randomStream(seed, 11, key, index)));
    await writeFile(join(outDir, `${split}.csv`), `${[[...COLUMNS, 'state'].join(','), ...lines].join('\n')}\n`);
  }
}

await runScript(import.meta.url, { train: 4000, test: 1000, seed: 1 }, async ({ out, ...numbers }) => {
  await makePumps({ outDir: resolve(out), ...numbers });
  return `${out}: ${numbers.train} lines to train on, ${numbers.test} to test on`;
});
