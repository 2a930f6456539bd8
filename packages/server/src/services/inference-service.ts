import { AppError, type InferenceModel, type InferResult, type inferResponseSchema, MAX_INFER_BODY_BYTES } from '@selvedge/contract';
import type * as z from 'zod';
import { type DeviceCommands, deviceOffline, unexpectedReply } from './device-commands.ts';
import type { FleetView } from './fleet-view.ts';

export interface InferRequest {
  /** An InferenceModel's name or, when there is none of that name, a Model's. */
  name: string;
  /** The device that must answer; without it, those that serve take turns. */
  device?: string;
  /** At most MAX_INFER_BODY_BYTES. */
  body: Uint8Array;
  contentType: string;
  signal?: AbortSignal;
}

export interface InferenceServiceOptions {
  view: FleetView;
  isOnline: (device: string) => boolean;
  commands: DeviceCommands;
  /** How long a device may take; default 30 s. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;

interface Candidate {
  device: string;
  workload: string;
}

/** Inference over the device channel: a command to a device, and its reply. */
export class InferenceService {
  readonly #options: InferenceServiceOptions;
  #turn = 0;

  constructor(options: InferenceServiceOptions) {
    this.#options = options;
  }

  /** See DevicePlane.infer. */
  async infer(request: InferRequest): Promise<z.output<typeof inferResponseSchema>> {
    if (request.body.byteLength > MAX_INFER_BODY_BYTES) {
      const hint = 'Send a smaller picture, or ask the device itself where it serves.';
      throw new AppError('PAYLOAD_TOO_LARGE', { message: `The body is larger than ${MAX_INFER_BODY_BYTES} bytes.`, hint });
    }
    const target = this.#choose(request);
    const startedAt = performance.now();
    const infer = await this.#ask(target, request);
    return { device: target.device, roundTripMs: performance.now() - startedAt, infer };
  }

  #choose({ name, device }: InferRequest): Candidate {
    const { view, isOnline } = this.#options;
    const models = this.#find(name);
    if (device !== undefined && !view.devices.has(device)) {
      throw new AppError('NOT_FOUND', { message: `There is no device "${device}".`, hint: '"selvedge device list" shows all devices.' });
    }
    const serving = models.flatMap((model) =>
      model.status.devices
        .filter((entry) => device === undefined || entry.device === device)
        .map((entry) => ({ device: entry.device, workload: model.metadata.name }))
        .filter((candidate) => this.#serves(candidate, model)),
    );
    const online = serving.filter((candidate) => isOnline(candidate.device));
    const chosen = online[this.#turn % Math.max(online.length, 1)];
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER;
    if (chosen !== undefined) return chosen;
    const [away] = serving;
    if (device !== undefined && !isOnline(device)) throw deviceOffline(device);
    if (away !== undefined) throw deviceOffline(away.device);
    throw new AppError('WORKLOAD_NOT_SERVING', {
      message: device === undefined ? `No device serves "${name}" now.` : `Device "${device}" does not serve "${name}" now.`,
      hint: `See "selvedge get inferencemodel ${models[0]?.metadata.name ?? name}".`,
    });
  }

  #find(name: string): InferenceModel[] {
    const { view } = this.#options;
    const named = view.inferenceModels.get(name);
    const models = named === undefined ? [...view.inferenceModels.values()].filter((model) => model.spec.modelName === name) : [named];
    if (models.length > 0) return models;
    throw new AppError('NOT_FOUND', {
      message: `No InferenceModel is named "${name}" or serves a model of that name.`,
      hint: 'Apply an InferenceModel first.',
    });
  }

  #serves({ device, workload }: Candidate, model: InferenceModel): boolean {
    const report = this.#options.view.devices
      .get(device)
      ?.status.workloads.find((entry) => entry.name === workload && entry.model === model.spec.modelName);
    return report !== undefined && report.servingVersion !== null;
  }

  async #ask({ device, workload }: Candidate, { body, contentType, signal }: InferRequest): Promise<InferResult> {
    const { commands, timeoutMs = TIMEOUT_MS } = this.#options;
    const bodyBase64 = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64');
    const command = { type: 'infer' as const, workload, contentType: contentType.slice(0, 128), bodyBase64 };
    const outcome = await commands.ask(device, command, { timeoutMs, signal });
    if ('infer' in outcome) return outcome.infer;
    throw unexpectedReply(device);
  }
}
