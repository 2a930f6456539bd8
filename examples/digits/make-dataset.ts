/**
 * Renders the example dataset: pictures of the digits 0 to 9 in labelled folders.
 *
 *     npx tsx examples/digits/make-dataset.ts --out DIR [--train 3000] [--test 600] [--seed 1]
 */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { AppError, toAppError } from '@selvedge/contract';
import sharp from 'sharp';
import { randomStream } from '../drawing/random.ts';
import { renderDigit } from './render-digit.ts';

export interface MakeDigitsOptions {
  /** Folder to make; it must not exist yet, or be empty. */
  readonly outDir: string;
  /** Pictures to train on; default 3000. */
  readonly train?: number;
  /** Pictures to test on; default 600. */
  readonly test?: number;
  /** The same seed gives the same bytes; default 1. */
  readonly seed?: number;
  /** Called after each picture. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the work between two pictures. */
  readonly signal?: AbortSignal;
}

export interface MadeDigits {
  readonly outDir: string;
  readonly train: number;
  readonly test: number;
}

const DIGITS = 10;
/** Each split has random streams of its own. */
const SPLITS = [
  { name: 'train', key: 1 },
  { name: 'test', key: 2 },
] as const;
const PNG_SHARE = 0.3;
/** Encoding runs in a pool of threads; a few pictures at a time keep it busy. */
const CONCURRENT_PICTURES = 8;
const MAX_PICTURES = 1_000_000;

interface Job {
  readonly split: string;
  readonly splitKey: number;
  readonly index: number;
}

async function writePicture(folder: string, job: Job, seed: number): Promise<void> {
  const random = randomStream(seed, job.splitKey, job.index);
  const label = job.index % DIGITS;
  const { width, height, data } = renderDigit(label, random);
  const isPng = random.unit() < PNG_SHARE;
  const quality = 70 + random.below(26);
  const picture = sharp(data, { raw: { width, height, channels: 3 } });
  const bytes = await (isPng ? picture.png() : picture.jpeg({ quality })).toBuffer();
  const name = `${String(job.index).padStart(6, '0')}.${isPng ? 'png' : 'jpg'}`;
  await writeFile(join(folder, job.split, String(label), name), bytes);
}

/** Runs a few jobs at a time; after the first failure none is begun, and those under way are awaited. */
async function inParallel(jobs: readonly Job[], run: (job: Job) => Promise<void>): Promise<void> {
  const queue = jobs.values();
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (const job of queue) {
      if (failures.length > 0) return;
      await run(job).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_PICTURES }, work));
  if (failures.length > 0) throw failures[0];
}

async function isFree(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).length === 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true;
    throw error;
  }
}

/**
 * Renders the pictures into `outDir/train/<digit>/` and `outDir/test/<digit>/`, JPEG and PNG mixed, as many of each digit
 * as of any other (to within one). Everything is written to `outDir.partial` and renamed at the end, so a folder that exists is complete.
 *
 * @throws AppError CONFLICT (user) when outDir exists and is not empty.
 * @throws AppError INPUT_INVALID (user) when a count or the seed is not a whole number in range.
 * @throws the signal's reason when it is aborted.
 */
export async function makeDigits(options: MakeDigitsOptions): Promise<MadeDigits> {
  const { onProgress, signal } = options;
  const outDir = resolve(options.outDir);
  const counts = { train: options.train ?? 3000, test: options.test ?? 600 };
  const seed = options.seed ?? 1;
  for (const [name, value] of Object.entries({ ...counts, seed })) {
    if (!Number.isInteger(value) || value < 0 || value > MAX_PICTURES) {
      throw new AppError('INPUT_INVALID', { message: `${name} must be a whole number from 0 to ${MAX_PICTURES}, not ${value}` });
    }
  }
  if (!(await isFree(outDir))) {
    throw new AppError('CONFLICT', { message: `${outDir} exists and is not empty`, hint: 'Remove it, or choose another folder.' });
  }
  const partial = `${outDir}.partial`;
  await rm(partial, { recursive: true, force: true });
  const jobs: Job[] = [];
  for (const { name, key } of SPLITS) {
    for (let digit = 0; digit < DIGITS; digit++) await mkdir(join(partial, name, String(digit)), { recursive: true });
    for (let index = 0; index < counts[name]; index++) jobs.push({ split: name, splitKey: key, index });
  }
  let done = 0;
  await inParallel(jobs, async (job) => {
    signal?.throwIfAborted();
    await writePicture(partial, job, seed);
    onProgress?.(++done, jobs.length);
  });
  await mkdir(dirname(outDir), { recursive: true });
  await rename(partial, outDir);
  return { outDir, ...counts };
}

const USAGE = 'Usage: tsx examples/digits/make-dataset.ts --out DIR [--train 3000] [--test 600] [--seed 1]';

function readOptions(argv: readonly string[]): { out?: string; train?: string; test?: string; seed?: string } {
  try {
    const string = { type: 'string' } as const;
    return parseArgs({ args: [...argv], options: { out: string, train: string, test: string, seed: string } }).values;
  } catch (error) {
    throw new AppError('USAGE', { message: error instanceof Error ? error.message : String(error), hint: USAGE }, { cause: error });
  }
}

async function main(argv: readonly string[]): Promise<void> {
  const values = readOptions(argv);
  if (values.out === undefined) throw new AppError('USAGE', { message: '--out is missing.', hint: USAGE });
  const made = await makeDigits({
    outDir: values.out,
    train: Number(values.train ?? 3000),
    test: Number(values.test ?? 600),
    seed: Number(values.seed ?? 1),
    onProgress: (done, total) => {
      if (done % 500 === 0 || done === total) process.stdout.write(`${done} of ${total} pictures\n`);
    },
  });
  process.stdout.write(`${made.outDir}: ${made.train} pictures to train on, ${made.test} to test on\n`);
}

const startedDirectly = process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href;
if (startedDirectly) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    const failure = toAppError(error);
    process.stderr.write(`${failure.message}${failure.details.hint ? ` ${failure.details.hint}` : ''}\n`);
    process.exitCode = failure.exitCode;
  }
}
