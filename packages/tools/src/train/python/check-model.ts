import { readFile, stat } from 'node:fs/promises';
import { AppError, type TensorSet, type TensorSpec, type TrainingKind } from '@selvedge/contract';
import { readModel } from '@selvedge/graph/onnx';
import { openSession, type Session } from '@selvedge/graph/session';
import { systemErrorCode } from '@selvedge/runtime';
import { openSplit } from '../../tensor-set/tensor-set-reader.ts';
import { wantedOutput } from './describe-training.ts';

/** As large as a file of protobuf messages can be. */
const MAX_MODEL_BYTES = 2 * 1024 ** 3 - 1;
const TRIED_SAMPLES = 2;
const BOX_COLUMNS = 4;

export interface ModelCheck {
  readonly path: string;
  readonly info: TensorSet;
  /** Folder of the training set. */
  readonly folder: string;
  readonly kind: TrainingKind;
  readonly threads: number;
  /** What left it, for the messages. */
  readonly script: string;
}

export interface CheckedModel {
  readonly bytes: Uint8Array;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/**
 * Reads what a script has left and runs it on samples of the training set.
 *
 * @throws AppError STEP_FAILED (operational) when there is none; MODEL_INVALID (user) when it is no ONNX model, or answers with
 * values that are not finite; SHAPE_MISMATCH (user) when it does not take the samples or gives what the pipeline cannot use.
 */
export async function checkModel(check: ModelCheck): Promise<CheckedModel> {
  const bytes = await readModelFile(check);
  readModel(bytes);
  const session = await openSession(bytes, { threads: check.threads });
  try {
    checkInput(session, check);
    await checkOutput(session, check);
    return { bytes, inputs: session.inputs, outputs: session.outputs };
  } finally {
    await session.close();
  }
}

async function readModelFile({ path, script }: ModelCheck): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_MODEL_BYTES)
      throw new AppError('MODEL_INVALID', { message: `model.onnx has ${size} bytes; a model has at most 2 GiB.` });
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    throw new AppError(
      'STEP_FAILED',
      {
        message: `${script} ended without leaving model.onnx in its working folder.`,
        hint: 'Write the trained model to "model.onnx" in the working folder, which SELVEDGE_MODEL names too.',
      },
      { cause: error },
    );
  }
}

const show = (shape: readonly (number | null)[]) => `[${shape.map((edge) => edge ?? '?').join(', ')}]`;

function checkInput({ inputs }: Session, { info }: ModelCheck): void {
  const [input, ...others] = inputs;
  const [batch = 0, ...sample] = input?.shape ?? [];
  const fits = sample.length === info.sampleShape.length && sample.every((edge, i) => edge === null || edge === info.sampleShape[i]);
  if (input?.dataType === 'float32' && others.length === 0 && fits && (batch === null || batch === 1)) return;
  const given = inputs.map(({ name, dataType, shape }) => `"${name}" ${dataType} ${show(shape)}`).join(', ') || 'nothing';
  throw new AppError('SHAPE_MISMATCH', {
    message: `model.onnx takes ${given}; the samples are float32 ${show(info.sampleShape)}, so it must take float32 [N, ${info.sampleShape.join(', ')}] alone.`,
    hint: 'Export with a first dimension that is free (torch.onnx.export(..., dynamic_axes={"input": {0: "N"}})) or 1.',
  });
}

async function checkOutput(session: Session, { info, folder, kind }: ModelCheck): Promise<void> {
  const [input] = session.inputs;
  const [wanted] = session.outputs;
  const { x, count } = await someSamples(folder, info, input?.shape[0] ?? TRIED_SAMPLES);
  const feed = { type: 'float32' as const, dims: [count, ...info.sampleShape], data: x };
  const output = (await session.run({ [input?.name ?? '']: feed }))[wanted?.name ?? ''];
  const dims = output?.dims ?? [];
  if (output?.type !== 'float32' || !fitsKind(dims, count, kind, info.labels.length)) {
    throw new AppError('SHAPE_MISMATCH', {
      message: `model.onnx gives ${output?.type ?? 'nothing'} ${show(dims)} as "${wanted?.name ?? ''}" for ${count} sample(s); a model for ${kind} over ${info.labels.length} label(s) gives ${wantedOutput(kind, info.labels.length)}.`,
      hint: 'The labels are in the order of the file that SELVEDGE_TRAINING names. What a model is for may be said by train.learns.',
    });
  }
  const wrong = output.data.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0)
    throw new AppError('MODEL_INVALID', {
      message: `model.onnx answers a sample of the training set with ${output.data[wrong]}.`,
      hint: 'The weights have become useless in training: lower the learning rate, or keep an earlier epoch.',
    });
}

async function someSamples(folder: string, info: TensorSet, wanted: number): Promise<{ x: Float32Array; count: number }> {
  const reader = await openSplit(folder, info, 'train');
  try {
    const count = Math.min(wanted, reader.count);
    return { x: await reader.x.readRows(0, count), count };
  } finally {
    await reader.close();
  }
}

function fitsKind(dims: readonly number[], count: number, kind: TrainingKind, classes: number): boolean {
  if (dims[0] !== count) return false;
  if (kind === 'classification') return dims.length === 2 && dims[1] === classes;
  if (kind === 'detection') return dims.length === 3 && dims.slice(1).includes(BOX_COLUMNS + classes);
  return dims.length === 2;
}
