import { readFile } from 'node:fs/promises';
import {
  AppError,
  GOLDEN_SET_PAYLOAD_TYPE,
  type GoldenSet,
  goldenEnvelopeSchema,
  goldenSetSchema,
  inferResultSchema,
} from '@selvedge/contract';
import { verifyEnvelope } from '@selvedge/runtime/package';
import { packageAuthorities, readIdentity } from '../adapters/disk/identity-folder.ts';
import { askLocal } from '../adapters/process/local-http.ts';
import type { GoldenResult } from '../ports/trial-means.ts';

const ANSWER_TIMEOUT_MS = 30_000;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // refused by the schema that follows
  }
}

/** @throws AppError SIGNATURE_INVALID (user) when it is not the server's; INPUT_INVALID (user) when it is not a golden set. */
async function readGoldenSet(file: string, caPem: string): Promise<GoldenSet> {
  const invalid = (what: string) => new AppError('INPUT_INVALID', { message: `The golden set ${what}.` });
  const envelope = goldenEnvelopeSchema.safeParse(parseJson(await readFile(file, 'utf8')));
  if (!envelope.success) throw invalid(`is not an envelope of type ${GOLDEN_SET_PAYLOAD_TYPE}`);
  const { payload } = verifyEnvelope(envelope.data, caPem);
  const golden = goldenSetSchema.safeParse(parseJson(payload.toString('utf8')));
  if (!golden.success) throw invalid('has a form that this agent does not know');
  return golden.data;
}

async function isRight(port: number, sample: GoldenSet['samples'][number]): Promise<boolean> {
  const { contentType, bodyBase64, label } = sample;
  const body = Buffer.from(bodyBase64, 'base64');
  let answer: Awaited<ReturnType<typeof askLocal>>;
  try {
    answer = await askLocal(port, { method: 'POST', path: '/v1/infer', contentType, body, timeoutMs: ANSWER_TIMEOUT_MS });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('WORKLOAD_FAILED', { message: `The model server did not answer the golden set: ${reason}.` }, { cause });
  }
  const result = inferResultSchema.safeParse(parseJson(answer.text));
  // A version that refuses a sample answers it wrongly.
  if (answer.status !== 200 || !result.success) return false;
  const { top } = result.data.result;
  return typeof top === 'object' && top !== null && 'label' in top && top.label === label;
}

/**
 * Asks a golden set of the versions on these ports, sample by sample. A command of its own, which `run` starts as a short-lived process: so
 * the long-lived one never holds the set.
 *
 * @throws AppError SIGNATURE_INVALID, INPUT_INVALID (user); WORKLOAD_FAILED (operational) when the version on trial does not answer.
 */
export async function askGolden(dir: string, file: string, port: number, previousPort: number | null): Promise<GoldenResult> {
  const stored = await readIdentity(dir);
  if (stored === undefined) throw new AppError('CONFLICT', { message: `${dir} has not joined a server.` });
  const { samples } = await readGoldenSet(file, packageAuthorities(stored));
  let right = 0;
  let previousRight = 0;
  let isCompared = previousPort !== null;
  for (const sample of samples) {
    if (await isRight(port, sample)) right += 1;
    if (!isCompared || previousPort === null) continue;
    try {
      if (await isRight(previousPort, sample)) previousRight += 1;
    } catch {
      isCompared = false; // the version of before ended meanwhile: there is nothing to compare with
    }
  }
  const all = samples.length;
  return { samples: all, accuracy: right / all, previousAccuracy: isCompared ? previousRight / all : null };
}
