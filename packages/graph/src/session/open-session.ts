import { AppError, type TensorSpec, tensorSpecSchema } from '@selvedge/contract';
import type { TensorData } from '../onnx/model.ts';

/** A tensor with its values: `{ type, dims, data }`, row by row. */
export type Tensor = TensorData;

export interface SessionOptions {
  /** Threads that one run may use; default 1. */
  readonly threads?: number;
}

/** A loaded model. One run at a time is quickest; `close` frees the native memory. */
export interface Session {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /**
   * Runs the model once. It computes on the calling thread, so it holds up the event loop for as long.
   *
   * @param feeds - one tensor per input, by name.
   * @param into - tensors of the right size to write outputs into, by name; saves an allocation per run. Must not be
   *   among the feeds.
   * @returns every output, by name; those of `into` are the same objects.
   * @throws AppError SHAPE_MISMATCH when feeds are missing, unknown or of the wrong shape or type.
   */
  run(feeds: Readonly<Record<string, Tensor>>, into?: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

type Ort = typeof import('onnxruntime-node');
type OrtSession = import('onnxruntime-node').InferenceSession;
type OrtTensor = import('onnxruntime-node').Tensor;

async function loadOrt(): Promise<Ort> {
  try {
    return await import('onnxruntime-node');
  } catch (cause) {
    throw new AppError(
      'SETUP_INCOMPLETE',
      {
        message: 'ONNX Runtime could not be loaded.',
        hint: 'Install the package onnxruntime-node for this platform (glibc 2.28 or later).',
      },
      { cause },
    );
  }
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/**
 * x86 without VNNI adds pairs of int8 products in 16 bits, which overflow: with this ONNX Runtime takes a kernel that keeps the result right.
 * It fails on models in which nodes share a quantised weight, and says so; those are loaded without it, as they were before it was known.
 * On other processors it changes nothing.
 */
const PRECISE_INT8 = { session: { x64quantprecision: '1' } };
const FATAL_ONLY = 4;

async function create(ort: Ort, model: Uint8Array | string, threads: number): Promise<OrtSession> {
  const options: import('onnxruntime-node').InferenceSession.SessionOptions = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Warnings about optimisations that do not apply would end up on the tool's log.
    logSeverityLevel: 3,
  };
  const load = (more: typeof options) =>
    typeof model === 'string'
      ? ort.InferenceSession.create(model, { ...options, ...more })
      : ort.InferenceSession.create(model, { ...options, ...more });
  try {
    return await load({ logSeverityLevel: FATAL_ONLY, extra: PRECISE_INT8 }).catch(() => load({}));
  } catch (cause) {
    const what = typeof model === 'string' ? `"${model}"` : 'the model';
    throw new AppError('MODEL_INVALID', { message: `ONNX Runtime cannot load ${what}: ${textOf(cause)}` }, { cause });
  }
}

type Metadata = OrtSession['inputMetadata'][number];

function specOf(metadata: Metadata): TensorSpec {
  const shape = metadata.isTensor ? metadata.shape.map((dim) => (typeof dim === 'number' && dim >= 0 ? dim : null)) : null;
  const parsed = tensorSpecSchema.safeParse({ name: metadata.name, dataType: metadata.isTensor ? metadata.type : 'none', shape });
  if (!parsed.success)
    throw new AppError(
      'OP_UNSUPPORTED',
      { message: `"${metadata.name}" has an element type that cannot be fed or fetched here.` },
      { cause: parsed.error },
    );
  return parsed.data;
}

const showShape = (shape: readonly (number | null)[]): string => `[${shape.map((size) => size ?? '?').join(', ')}]`;

/** Checked here because ONNX Runtime answers only with text. */
function checkFeeds(inputs: readonly TensorSpec[], feeds: Readonly<Record<string, Tensor>>): void {
  for (const input of inputs) {
    const feed = Object.hasOwn(feeds, input.name) ? feeds[input.name] : undefined;
    const fits = feed && feed.dims.length === input.shape.length && input.shape.every((size, i) => size === null || size === feed.dims[i]);
    if (!feed || !fits || feed.type !== input.dataType) {
      const given = feed ? `${feed.type} ${showShape(feed.dims)}` : 'nothing';
      throw new AppError('SHAPE_MISMATCH', {
        message: `The input "${input.name}" takes ${input.dataType} ${showShape(input.shape)}, but was given ${given}.`,
      });
    }
  }
  const names = new Set(inputs.map((input) => input.name));
  const unknown = Object.keys(feeds).filter((name) => !names.has(name));
  if (unknown.length > 0)
    throw new AppError('SHAPE_MISMATCH', { message: `The model has no input "${unknown.join('", "')}"; it has ${[...names].join(', ')}.` });
}

class OrtBackedSession implements Session {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  private readonly ort: Ort;
  private readonly session: OrtSession;
  /** The native view of a tensor is made once: training feeds the same objects again and again. */
  private readonly views = new WeakMap<Tensor, OrtTensor>();
  private closed = false;

  constructor(ort: Ort, session: OrtSession) {
    this.ort = ort;
    this.session = session;
    this.inputs = session.inputMetadata.map(specOf);
    this.outputs = session.outputMetadata.map(specOf);
  }

  async run(feeds: Readonly<Record<string, Tensor>>, into: Readonly<Record<string, Tensor>> = {}): Promise<Record<string, Tensor>> {
    if (this.closed) throw new AppError('CONFLICT', { message: 'The model session is closed.' });
    checkFeeds(this.inputs, feeds);
    const fetches: Record<string, OrtTensor | null> = {};
    for (const { name } of this.outputs) fetches[name] = into[name] ? this.viewOf(into[name]) : null;
    const views = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, this.viewOf(tensor)]));
    let results: Awaited<ReturnType<OrtSession['run']>>;
    try {
      results = await this.session.run(views, fetches);
    } catch (cause) {
      throw new AppError('SHAPE_MISMATCH', { message: `ONNX Runtime could not run the model: ${textOf(cause)}` }, { cause });
    }
    return Object.fromEntries(this.outputs.map(({ name }) => [name, into[name] ?? tensorOf(results[name])]));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.session.release();
  }

  private viewOf(tensor: Tensor): OrtTensor {
    const known = this.views.get(tensor);
    if (known) return known;
    const view = new this.ort.Tensor(tensor.type as 'float32', tensor.data as Float32Array, tensor.dims);
    this.views.set(tensor, view);
    return view;
  }
}

function tensorOf(result: OrtTensor | undefined): Tensor {
  if (!result) throw new AppError('INTERNAL', { message: 'ONNX Runtime left out an output.' });
  return { type: result.type, dims: result.dims, data: result.data } as Tensor;
}

/**
 * Loads a model into ONNX Runtime (CPU), which itself is loaded at the first call.
 *
 * @param model - the bytes of an ONNX model, or the path of its file.
 * @throws AppError MODEL_INVALID when ONNX Runtime refuses the model; OP_UNSUPPORTED when an input or output has an
 *   element type outside TensorSpec; SETUP_INCOMPLETE when ONNX Runtime is not installed.
 */
export async function openSession(model: Uint8Array | string, options: SessionOptions = {}): Promise<Session> {
  const ort = await loadOrt();
  const session = await create(ort, model, options.threads ?? 1);
  return new OrtBackedSession(ort, session);
}
