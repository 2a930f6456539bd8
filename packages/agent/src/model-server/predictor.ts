import { AppError, type GoldenSample, type InferResult, type PackageManifest } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { applyPostproc, type ModelOutput, preprocessImage } from '@selvedge/graph/ops';
import type { Session, Tensor } from '@selvedge/graph/session';
import { SerialRunner } from '@selvedge/runtime';

/** Requests that may wait for the model. */
const MAX_QUEUED = 32;

function floatData(tensor: Tensor, what: string): Float32Array {
  if (tensor.type === 'float32') return tensor.data;
  throw new AppError('SHAPE_MISMATCH', { message: `${what} is ${tensor.type}; pre- and post-processing work on float32.` });
}

/**
 * One loaded model with the pre- and post-processing of its package. Runs one inference at a time: a model computes on
 * all the threads that it is given, so two at once would only slow each other down.
 */
export class Predictor {
  readonly manifest: PackageManifest;
  readonly #session: Session;
  readonly #runner = new SerialRunner();
  #queued = 0;

  constructor(manifest: PackageManifest, session: Session) {
    this.manifest = manifest;
    this.#session = session;
  }

  get inputs() {
    return this.#session.inputs;
  }
  get outputs() {
    return this.#session.outputs;
  }

  /** Takes a place in the queue. @throws AppError RATE_LIMITED (operational) when it is full. */
  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#queued >= MAX_QUEUED)
      throw new AppError('RATE_LIMITED', { message: `${MAX_QUEUED} requests wait already.`, hint: 'Try again in a moment.' });
    this.#queued += 1;
    try {
      return await this.#runner.run(work);
    } finally {
      this.#queued -= 1;
    }
  }

  /**
   * Runs the bare model.
   * @throws AppError SHAPE_MISMATCH (user), RATE_LIMITED (operational).
   */
  run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    return this.#exclusive(() => this.#session.run(feeds));
  }

  /**
   * From an encoded picture to the result.
   * @throws AppError IMAGE_UNREADABLE, PREPROC_INVALID, SHAPE_MISMATCH (user), RATE_LIMITED (operational).
   */
  infer(body: Uint8Array, startedAtMs: number): Promise<InferResult> {
    return this.#exclusive(async () => {
      const { model, version, preproc, postproc, labels } = this.manifest;
      const image = await decodeImage(body);
      const [input] = this.inputs;
      if (input === undefined) throw new AppError('SHAPE_MISMATCH', { message: 'The model has no input.' });
      const { shape, data } = preprocessImage(image, preproc);
      const results = await this.#session.run({ [input.name]: { type: 'float32', dims: [1, ...shape], data } });
      const outputs: ModelOutput[] = this.outputs.map(({ name }) => {
        const tensor = results[name];
        if (tensor === undefined) throw new AppError('INTERNAL', { message: `The output "${name}" is missing.` });
        return { shape: tensor.dims, data: floatData(tensor, `The output "${name}"`) };
      });
      const result: InferResult['result'] = { ...applyPostproc(outputs, postproc, labels) };
      return { model, version, latencyMs: performance.now() - startedAtMs, result };
    });
  }

  /**
   * Runs the golden sample, which also warms the model up.
   * @returns the largest absolute difference; 0 without a golden sample.
   * @throws AppError WORKLOAD_FAILED (operational) when it is out of tolerance.
   */
  async selfTest(golden: GoldenSample | null): Promise<number> {
    if (golden === null) return 0;
    const { input, output, tolerance } = golden;
    const results = await this.run({ [input.name]: { type: 'float32', dims: input.shape, data: Float32Array.from(input.data) } });
    const tensor = results[output.name];
    const values = tensor === undefined ? undefined : floatData(tensor, `The output "${output.name}"`);
    if (values === undefined || values.length !== output.data.length) {
      throw new AppError('WORKLOAD_FAILED', { message: `The self-test expects ${output.data.length} values of "${output.name}".` });
    }
    let worst = 0;
    for (const [index, expected] of output.data.entries()) {
      const difference = Math.abs((values[index] ?? Number.NaN) - expected);
      // A NaN anywhere must fail the test, and no comparison with NaN is true.
      if (!(difference <= worst)) worst = difference;
      if (Number.isNaN(worst)) break;
    }
    if (!(worst <= tolerance)) {
      throw new AppError('WORKLOAD_FAILED', {
        message: `The self-test is off by ${worst}; ${tolerance} is allowed. The model computes wrong values on this device.`,
      });
    }
    return worst;
  }
}
