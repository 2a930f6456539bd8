import { randomUUID } from 'node:crypto';
import {
  AppError,
  type Command,
  DEVICE_CHANNEL_VERSION,
  type InferenceModel,
  type InferResult,
  type inferResponseSchema,
  isErrorCode,
  MAX_INFER_BODY_BYTES,
  type Reply,
} from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import type * as z from 'zod';
import type { PublishToDevice } from './deployment-controller.ts';
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
  publish: PublishToDevice;
  log: Logger;
  clock: () => Date;
  /** How long a device may take; default 30 s. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;
const MAX_PENDING = 1_000;

interface Pending {
  device: string;
  settle(outcome: InferResult | AppError): void;
}

interface Candidate {
  device: string;
  workload: string;
}

/** Inference over the device channel: a command to a device, and its reply. */
export class InferenceService {
  readonly #options: InferenceServiceOptions;
  readonly #pending = new Map<string, Pending>();
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
    if (this.#pending.size >= MAX_PENDING)
      throw new AppError('RATE_LIMITED', { message: `${MAX_PENDING} inferences are waiting for devices already.` });
    const target = this.#choose(request);
    const startedAt = performance.now();
    const infer = await this.#ask(target, request);
    return { device: target.device, roundTripMs: performance.now() - startedAt, infer };
  }

  /** A reply that nobody waits for, or that comes from another device than was asked, is dropped. */
  takeReply(device: string, reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined || pending.device !== device) return;
    const { outcome } = reply;
    pending.settle(outcome.ok ? outcome.infer : deviceError(device, outcome.error));
  }

  /** Whoever waits for this device need not wait any longer. */
  deviceWentOffline(device: string): void {
    for (const pending of this.#pending.values()) if (pending.device === device) pending.settle(offline(device));
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
    if (device !== undefined && !isOnline(device)) throw offline(device);
    if (away !== undefined) throw offline(away.device);
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

  #ask({ device, workload }: Candidate, request: InferRequest): Promise<InferResult> {
    const { clock, publish, timeoutMs = TIMEOUT_MS } = this.#options;
    const { signal } = request;
    if (signal?.aborted === true) return Promise.reject(interrupted());
    const command: Command = {
      v: DEVICE_CHANNEL_VERSION,
      id: randomUUID(),
      expiresAt: new Date(clock().getTime() + timeoutMs).toISOString(),
      type: 'infer',
      workload,
      contentType: request.contentType.slice(0, 128),
      bodyBase64: Buffer.from(request.body.buffer, request.body.byteOffset, request.body.byteLength).toString('base64'),
    };
    return new Promise((resolve, reject) => {
      const settle = (outcome: InferResult | AppError) => {
        if (!this.#pending.delete(command.id)) return;
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        if (outcome instanceof AppError) reject(outcome);
        else resolve(outcome);
      };
      const abort = () => settle(interrupted());
      const timer = setTimeout(() => {
        settle(
          new AppError('DEVICE_TIMEOUT', { message: `Device "${device}" did not answer within ${timeoutMs / 1000} s.`, data: { device } }),
        );
      }, timeoutMs);
      signal?.addEventListener('abort', abort, { once: true });
      this.#pending.set(command.id, { device, settle });
      publish(device, 'commands', JSON.stringify(command), { retain: false }).catch((cause: unknown) => {
        settle(new AppError('DEVICE_OFFLINE', { message: `Device "${device}" could not be reached.` }, { cause }));
      });
    });
  }
}

/** What the device says went wrong; a code that this version does not know counts as a failed workload. */
function deviceError(device: string, { code, message }: { code: string; message: string }): AppError {
  return new AppError(isErrorCode(code) ? code : 'WORKLOAD_FAILED', { message, data: { device } });
}

function offline(device: string): AppError {
  return new AppError('DEVICE_OFFLINE', {
    message: `Device "${device}" is not connected.`,
    hint: `"selvedge device show ${device}" tells since when; its agent connects again by itself once it runs.`,
    data: { device },
  });
}

function interrupted(): AppError {
  return new AppError('INTERRUPTED', { message: 'The caller gave up.' });
}
