import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError, toAppError } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { classOf, confidenceOf } from '../domain/compare-results.ts';
import { type ErrorForm, readBody, sendBytes, sendError, sendJson, sendText } from './http-messages.ts';
import type { ModelMetrics } from './metrics.ts';
import type { Predictor } from './predictor.ts';
import { BINARY_EXTENSION, BinaryTensors, HEADER_LENGTH, splitBody, tensorBytes } from './v2-binary.ts';
import { type InferenceRequest, inferenceRequestSchema, readTensor, v2Type, writeBinaryTensor, writeTensor } from './v2-tensors.ts';

export interface ModelRoutesOptions {
  model: string;
  version: string;
  serverVersion: string;
  metrics: ModelMetrics;
  /** undefined while the model is loading. */
  predictor: () => Predictor | undefined;
  log: Logger;
}

const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'application/octet-stream'];

function parseRequest(body: Buffer): InferenceRequest {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new AppError('INPUT_INVALID', { message: 'The body is not valid JSON.' }, { cause });
  }
  const parsed = inferenceRequestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AppError('INPUT_INVALID', { message: `The request is not valid: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}` });
}

/**
 * The HTTP interface of a model server: the Open Inference Protocol v2 (REST, tensors in JSON or in binary), `POST /v1/infer` with a
 * picture, /health and /metrics.
 *
 * @see https://github.com/kserve/open-inference-protocol inference_rest.md
 */
export class ModelRoutes {
  readonly #options: ModelRoutesOptions;

  constructor(options: ModelRoutesOptions) {
    this.#options = options;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedAt = performance.now();
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const form: ErrorForm = path.startsWith('/v2') ? 'protocol' : 'problem';
    const isInference = request.method === 'POST';
    try {
      await this.#route(request, response, path, startedAt);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.kind === 'bug') this.#options.log.error('a request failed', { path: path.slice(0, 200), ...describeError(error) });
      sendError(request, response, error, form);
    }
    if (isInference) this.#options.metrics.observe(response.statusCode, (performance.now() - startedAt) / 1000);
  }

  async #route(request: IncomingMessage, response: ServerResponse, path: string, startedAt: number): Promise<void> {
    const { method } = request;
    const get = method === 'GET' || method === 'HEAD';
    if (path === '/v1/infer') {
      if (method !== 'POST') throw this.#notAllowed(response, 'POST');
      await this.#inferImage(request, response, startedAt);
      return;
    }
    const infer = this.#modelPath(path, '/infer');
    if (infer) {
      if (method !== 'POST') throw this.#notAllowed(response, 'POST');
      await this.#inferTensors(request, response);
      return;
    }
    if (!get && this.#isKnown(path)) throw this.#notAllowed(response, 'GET');
    if (path === '/v2')
      sendJson(response, 200, { name: 'selvedge-model-server', version: this.#options.serverVersion, extensions: [BINARY_EXTENSION] });
    else if (path === '/v2/health/live') sendJson(response, 200, { live: true });
    else if (path === '/v2/health/ready' || this.#modelPath(path, '/ready')) this.#sendReady(response);
    else if (this.#modelPath(path, '')) this.#sendModel(response);
    else if (path === '/health') this.#sendHealth(response);
    else if (path === '/metrics') sendText(response, 200, 'text/plain; version=0.0.4; charset=utf-8', this.#options.metrics.text());
    else
      throw new AppError('NOT_FOUND', {
        message: `There is nothing at ${path.slice(0, 200)}; this server has the model "${this.#options.model}".`,
      });
  }

  #isKnown(path: string): boolean {
    return (
      ['/v2', '/v2/health/live', '/v2/health/ready', '/health', '/metrics'].includes(path) ||
      this.#modelPath(path, '') ||
      this.#modelPath(path, '/ready')
    );
  }

  /** Whether the path is our model's, with or without our version. */
  #modelPath(path: string, suffix: string): boolean {
    const base = `/v2/models/${encodeURIComponent(this.#options.model)}`;
    return path === `${base}${suffix}` || path === `${base}/versions/${encodeURIComponent(this.#options.version)}${suffix}`;
  }

  #notAllowed(response: ServerResponse, allow: string): AppError {
    response.setHeader('allow', allow);
    return new AppError('INPUT_INVALID', { message: `Only ${allow} is answered here.` });
  }

  #need(): Predictor {
    const predictor = this.#options.predictor();
    if (predictor === undefined) throw new AppError('WORKLOAD_NOT_SERVING', { message: 'The model is still being loaded.' });
    return predictor;
  }

  #sendReady(response: ServerResponse): void {
    const ready = this.#options.predictor() !== undefined;
    if (ready) sendJson(response, 200, { ready, name: this.#options.model });
    else sendJson(response, 503, { ready, error: 'the model is still being loaded' });
  }

  #sendHealth(response: ServerResponse): void {
    const ready = this.#options.predictor() !== undefined;
    const { model, version } = this.#options;
    sendJson(response, ready ? 200 : 503, { status: ready ? 'ok' : 'starting', model, version });
  }

  #sendModel(response: ServerResponse): void {
    const { model, version } = this.#options;
    const predictor = this.#need();
    const describe = (specs: Predictor['inputs']) =>
      specs.map(({ name, dataType, shape }) => ({ name, datatype: v2Type(dataType) ?? dataType, shape: shape.map((edge) => edge ?? -1) }));
    sendJson(response, 200, {
      name: model,
      versions: [version],
      platform: 'onnx_onnxruntime',
      inputs: describe(predictor.inputs),
      outputs: describe(predictor.outputs),
    });
  }

  async #inferImage(request: IncomingMessage, response: ServerResponse, startedAt: number): Promise<void> {
    const type = (request.headers['content-type'] ?? 'application/octet-stream').split(';', 1)[0]?.trim().toLowerCase() ?? '';
    if (!IMAGE_TYPES.includes(type)) {
      throw new AppError('UNSUPPORTED_MEDIA', {
        message: `A body of type "${type.slice(0, 100)}" is not read here; send one of ${IMAGE_TYPES.join(', ')}.`,
      });
    }
    const predictor = this.#need();
    const answer = await predictor.infer(await readBody(request), startedAt);
    const confidence = confidenceOf(answer.result);
    if (confidence !== null) this.#options.metrics.observeConfidence(confidence);
    const label = classOf(answer.result);
    if (label !== null) this.#options.metrics.observeClass(label);
    sendJson(response, 200, answer);
  }

  async #inferTensors(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const predictor = this.#need();
    const { [HEADER_LENGTH]: headerLength } = request.headers;
    const { json, tensors } = splitBody(await readBody(request), typeof headerLength === 'string' ? headerLength : undefined);
    const { id, inputs, outputs, parameters } = parseRequest(json);
    const binary = new BinaryTensors(tensors);
    const feeds = Object.fromEntries(inputs.map((input) => [input.name, readTensor(input, binary)]));
    binary.finish();
    const wanted: NonNullable<InferenceRequest['outputs']> =
      outputs === undefined || outputs.length === 0 ? predictor.outputs.map(({ name }) => ({ name })) : outputs;
    const unknown = wanted.find(({ name }) => !predictor.outputs.some((output) => output.name === name));
    if (unknown !== undefined) throw new AppError('INPUT_INVALID', { message: `The model has no output "${unknown.name}".` });
    const results = await predictor.run(feeds);
    const behind: Buffer[] = [];
    const written = wanted.flatMap(({ name, parameters: own }): object[] => {
      const tensor = results[name];
      if (tensor === undefined) return [];
      if (!(own?.binary_data ?? parameters?.binary_data_output ?? false)) return [writeTensor(name, tensor)];
      behind.push(tensorBytes(tensor));
      return [writeBinaryTensor(name, tensor)];
    });
    const { model, version } = this.#options;
    const answer = { model_name: model, model_version: version, ...(id === undefined ? {} : { id }), outputs: written };
    if (behind.length === 0) return sendJson(response, 200, answer);
    const header = Buffer.from(JSON.stringify(answer));
    response.setHeader(HEADER_LENGTH, header.length);
    sendBytes(response, 200, 'application/octet-stream', Buffer.concat([header, ...behind]));
  }
}
