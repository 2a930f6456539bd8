import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { AppError } from '@selvedge/contract';
import * as z from 'zod';
import type { BestEpoch } from '../checkpoint-files.ts';

const READ_BYTES = 256 * 1024;
const MAX_LINE_CHARACTERS = 64 * 1024;
/** As the kit names metrics. */
const METRIC_NAME = /^[a-z0-9][a-z0-9_-]*(\/[a-z0-9][a-z0-9_-]*)*$/;

const positionSchema = z.looseObject({
  epoch: z.int().min(0).optional(),
  step: z.int().min(0).optional(),
  progress: z.number().min(0).max(1).optional(),
  message: z.string().max(4096).optional(),
  /** The weights of this epoch are those of model.onnx. */
  kept: z.boolean().optional(),
});
const POSITION_FIELDS = Object.keys(positionSchema.shape);

export interface FeedOptions {
  readonly path: string;
  /** That are wanted; for the progress. */
  readonly epochs: number;
  log(text: string): void;
  progress(fraction: number, message: string): void;
  metric(name: string, step: number, value: number): void;
}

/**
 * Reads the metrics that a script appends to a file as lines of JSON, while it does so.
 *
 * A line that is none is told in the log and left out: it is not worth the training.
 */
export class MetricsFeed {
  readonly #options: FeedOptions;
  readonly #file: number;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  #lines = 0;
  #kept: BestEpoch | undefined;
  #last: BestEpoch | undefined;

  /** Creates the file. */
  constructor(options: FeedOptions) {
    this.#options = options;
    writeFileSync(options.path, '');
    this.#file = openSync(options.path, 'r');
  }

  /** The epoch whose weights the model has: the last that was reported as kept, else the last one. */
  get best(): BestEpoch {
    return this.#kept ?? this.#last ?? { epoch: 0, metrics: {} };
  }

  get epochs(): number {
    return this.#last?.epoch ?? 0;
  }

  /** Takes what has been written since. @throws AppError TRAINING_DIVERGED (operational) for a value that is not finite. */
  read(): void {
    const buffer = Buffer.alloc(READ_BYTES);
    for (let count = -1; count !== 0; ) {
      count = readSync(this.#file, buffer, 0, buffer.length, null);
      const lines = (this.#rest + this.#decoder.write(buffer.subarray(0, count))).split('\n');
      this.#rest = (lines.pop() ?? '').slice(0, MAX_LINE_CHARACTERS + 1);
      for (const line of lines) this.#take(line);
    }
  }

  /** Takes the rest, also a last line without its end. */
  finish(): void {
    this.read();
    if (this.#rest.trim() !== '') this.#take(this.#rest);
    this.#rest = '';
  }

  close(): void {
    closeSync(this.#file);
  }

  #take(line: string): void {
    this.#lines += 1;
    if (line.trim() === '') return;
    const parsed = line.length > MAX_LINE_CHARACTERS ? undefined : positionSchema.safeParse(parseJson(line));
    if (parsed?.success !== true) {
      this.#options.log(`metrics, line ${this.#lines}: not an object with numbers, like {"epoch": 1, "train/loss": 0.5}; left out`);
      return;
    }
    this.#show(parsed.data);
  }

  #show(line: z.output<typeof positionSchema>): void {
    const { epoch, step, kept } = line;
    const { log, metric, epochs } = this.#options;
    const at = step ?? epoch ?? this.#lines;
    const metrics: Record<string, number> = {};
    for (const [name, value] of Object.entries(line)) {
      if (POSITION_FIELDS.includes(name)) continue;
      if (value === null) throw diverged(name, epoch, step);
      if (typeof value !== 'number' || name.length > 128 || !METRIC_NAME.test(name)) {
        log(
          `metrics, line ${this.#lines}: ${JSON.stringify(name.slice(0, 128))} is no metric (a number by a name like "train/loss"); left out`,
        );
        continue;
      }
      metrics[name] = value;
      metric(name, at, value);
    }
    this.#showProgress(line);
    if (epoch === undefined || step !== undefined) return;
    log(
      `epoch ${epoch}/${epochs}: ${Object.entries(metrics)
        .map(([name, value]) => `${name} ${value.toFixed(4)}`)
        .join(', ')}`,
    );
    this.#last = { epoch, metrics };
    if (kept === true) this.#kept = this.#last;
  }

  #showProgress({ epoch, step, progress, message }: z.output<typeof positionSchema>): void {
    const { epochs } = this.#options;
    if (progress === undefined && message === undefined && epoch === undefined) return;
    // A step within an epoch: the epochs before it are done.
    const done = epoch === undefined ? 0 : (step === undefined ? epoch : epoch - 1) / epochs;
    const text = message ?? (epoch === undefined ? 'Training' : `Epoch ${epoch} of ${epochs}${step === undefined ? ' done' : ''}`);
    this.#options.progress(Math.min(1, Math.max(0, progress ?? done)), text);
  }
}

/** Undefined for what is none. Python writes NaN and Infinity, which JSON has not: null stands for them. */
function parseJson(line: string): unknown {
  for (const text of [line, line.replaceAll(/(:\s*)(?:NaN|-?Infinity)(?=\s*[,}])/g, '$1null')]) {
    try {
      return JSON.parse(text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return undefined;
}

function diverged(name: string, epoch: number | undefined, step: number | undefined): AppError {
  const where = [epoch === undefined ? [] : [`epoch ${epoch}`], step === undefined ? [] : [`step ${step}`]].flat().join(', ');
  const text = where === '' ? '' : `${where[0]?.toUpperCase()}${where.slice(1)}: `;
  return new AppError('TRAINING_DIVERGED', {
    message: `${text}${name} is not a finite number.`,
    hint: 'Lower the learning rate, bound the gradients, or look for values in the data that are not finite.',
    data: { metric: name, ...(epoch === undefined ? {} : { epoch }), ...(step === undefined ? {} : { step }) },
  });
}
