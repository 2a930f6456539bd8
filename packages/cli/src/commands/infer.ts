import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, type Client, toAppError, toProblem } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import type { Command } from 'commander';
import * as z from 'zod';
import { pictureType } from '../data/picture-type.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { formatNumber } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';

type Answer = Awaited<ReturnType<Client['infer']>>;
type Outcome = { file: string; answer: Answer } | { file: string; error: AppError };

const MAX_PICTURE_BYTES = 64 * 1024 * 1024;
/** Faults of one picture; after any other the rest would fail alike. */
const PER_FILE_CODES: readonly string[] = [
  'FILE_UNREADABLE',
  'PAYLOAD_TOO_LARGE',
  'IMAGE_UNREADABLE',
  'UNSUPPORTED_MEDIA',
  'DEVICE_TIMEOUT',
];

/** What the usual post-processing chains leave; anything else is shown as JSON. */
const topSchema = z.object({ top: z.object({ label: z.string(), score: z.number() }) });
const boxesSchema = z.object({ boxes: z.array(z.object({ label: z.string().optional(), score: z.number() })) });
/** What a model without post-processing leaves. */
const tensorSchema = z.object({ tensor: z.object({ shape: z.array(z.number()), values: z.array(z.number()) }) });

function summarise(result: Record<string, unknown>): { label: string; score: string } {
  const top = topSchema.safeParse(result);
  if (top.success) return { label: top.data.top.label, score: formatNumber(top.data.top.score) };
  const boxes = boxesSchema.safeParse(result);
  if (boxes.success) {
    const [first] = boxes.data.boxes;
    const count = boxes.data.boxes.length;
    const label = first?.label === undefined ? '' : `, best: ${first.label}`;
    return { label: `${count} ${count === 1 ? 'box' : 'boxes'}${label}`, score: first === undefined ? '-' : formatNumber(first.score) };
  }
  const raw = tensorSchema.safeParse(result);
  if (raw.success) {
    const { shape, values } = raw.data.tensor;
    return { label: `[${shape.join(', ')}] ${values.slice(0, 4).map(formatNumber).join(' ')} …`, score: '-' };
  }
  return { label: JSON.stringify(result).slice(0, 60), score: '-' };
}

async function readPicture(path: string): Promise<Buffer> {
  try {
    if ((await stat(path)).size > MAX_PICTURE_BYTES)
      throw new AppError('PAYLOAD_TOO_LARGE', { message: 'The file is larger than 64 MiB.' });
    return await readFile(path);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === undefined) throw error;
    const reason = code === 'ENOENT' ? 'There is no such file.' : `The file could not be read (${code}).`;
    throw new AppError('FILE_UNREADABLE', { message: reason }, { cause: error });
  }
}

async function inferOne(session: Session, model: string, file: string, device: string | undefined): Promise<Outcome> {
  try {
    const content = await readPicture(resolve(session.io.cwd, file));
    const contentType = pictureType(content);
    if (contentType === undefined) throw new AppError('IMAGE_UNREADABLE', { message: 'The file is not a picture in a known form.' });
    const answer = await session.client.infer({
      params: { name: model },
      query: device === undefined ? {} : { device },
      upload: content,
      contentType,
      signal: session.io.signal,
    });
    return { file, answer };
  } catch (error) {
    session.io.signal.throwIfAborted();
    const known = toAppError(error);
    if (!PER_FILE_CODES.includes(known.code)) throw error;
    return { file, error: known };
  }
}

function outcomeTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((one) => {
    if ('error' in one) return [one.file, `error: ${one.error.code}`, '-', '-', '-', '-'];
    const { label, score } = summarise(one.answer.infer.result);
    const { infer, device, roundTripMs } = one.answer;
    return [
      one.file,
      label,
      score,
      `${device} (${infer.model}:${infer.version})`,
      `${infer.latencyMs.toFixed(1)} ms`,
      `${roundTripMs.toFixed(1)} ms`,
    ];
  });
  return renderTable(['FILE', 'LABEL', 'SCORE', 'DEVICE', 'LATENCY', 'ROUND TRIP'], rows);
}

function outcomeJson(one: Outcome): object {
  return 'error' in one ? { file: one.file, error: toProblem(one.error) } : { file: one.file, ...one.answer };
}

export function registerInfer(command: Command, io: Io): void {
  command
    .argument('<model>', 'name of an InferenceModel, or of a model that one serves')
    .argument('<file...>', 'pictures')
    .option('--device <name>', 'ask this device (default: those that serve the model take turns)')
    .action(async (model: string, files: string[], options: { device?: string }, called: Command) => {
      const session = await openSession(called, io);
      const line = session.progress();
      const outcomes: Outcome[] = [];
      for (const file of files) {
        if (files.length > 1)
          line.update(`infer ${outcomes.length + 1} of ${files.length}`, `infer ${Math.floor((outcomes.length * 10) / files.length)}`);
        outcomes.push(await inferOne(session, model, file, options.device));
      }
      line.clear();
      await session.result({ items: outcomes.map(outcomeJson) }, () => outcomeTable(outcomes));
      const failed = outcomes.flatMap((one) => ('error' in one ? [one] : []));
      const [first] = failed;
      if (first === undefined) return;
      throw new AppError(first.error.code, {
        message: `${failed.length} of ${files.length} pictures got no answer.`,
        issues: failed.map(({ file, error }) => ({ file, path: '', message: error.message })),
      });
    });
  finishLeaf(command, { examples: ['selvedge infer digits seven.png', 'selvedge infer digits test/*/*.jpg --device edge-1 -o json'] });
}
