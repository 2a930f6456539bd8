import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AppError, toAppError } from '@selvedge/contract';
import { confidenceOf, sameResult } from '../domain/compare-results.ts';
import type { ProxyCounts } from '../domain/proxy-counts.ts';
import { readBody, sendError, sendJson } from '../model-server/http-messages.ts';
import { ArmCounts } from './arm-counts.ts';
import { isForCandidate } from './choose-arm.ts';
import { type Answer, Forwarder } from './forward.ts';

export interface TrialProxyOptions {
  mode: 'shadow' | 'split';
  /** Of the requests that the version on trial answers, with mode `split`. */
  share: number;
  seed: string;
  /** Loopback port of the version on trial. */
  port: number;
  previousPort: number;
}

/** The version of before may take as long as it would without us. */
const PREVIOUS_TIMEOUT_MS = 60_000;
/** After this the version on trial has failed a request; the other one answers it then. */
const CANDIDATE_TIMEOUT_MS = 5000;
const SHADOW_TIMEOUT_MS = 30_000;
/** Copies under way; with more, requests are not copied: a slow version must not fill our memory. */
const MAX_COPIES = 4;

type Result = Record<string, unknown>;

function isObject(value: unknown): value is Result {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the answer says of the input; undefined when it is not JSON: tensors in binary are not compared. */
function resultOf(answer: Answer): Result | undefined {
  if (!(answer.headers['content-type'] ?? '').startsWith('application/json')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(answer.body.toString('utf8'));
  } catch {
    return undefined; // counted as an answer, compared with nothing
  }
  if (!isObject(value)) return undefined;
  if (isObject(value.result)) return value.result;
  return Array.isArray(value.outputs) ? { outputs: value.outputs } : undefined;
}

/** Stands before two versions while one is on trial. Whatever becomes of that one, a request is answered as by the other alone. */
export class TrialProxy {
  readonly #options: TrialProxyOptions;
  readonly #forwarder = new Forwarder();
  readonly #previous = new ArmCounts();
  readonly #candidate = new ArmCounts();
  #number = 0;
  #copies = 0;
  #compared = 0;
  #same = 0;
  #skipped = 0;

  constructor(options: TrialProxyOptions) {
    this.#options = options;
  }

  counts(): ProxyCounts {
    const { mode } = this.#options;
    const compared = mode === 'shadow' ? { compared: this.#compared, same: this.#same } : { compared: 0, same: 0 };
    return { previous: this.#previous.traffic(), candidate: this.#candidate.traffic(), ...compared, skipped: this.#skipped };
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (request.method === 'GET' && path === '/trial') return sendJson(response, 200, this.counts());
    try {
      const body = await readBody(request);
      // Only what names no version can be answered by either.
      const isForBoth = request.method === 'POST' && (path === '/v1/infer' || /^\/v2\/models\/[^/]+\/infer$/.test(path));
      if (!isForBoth) this.#send(response, await this.#forwarder.ask(this.#options.previousPort, request, body, PREVIOUS_TIMEOUT_MS));
      else if (this.#options.mode === 'shadow') await this.#shadow(request, response, body);
      else await this.#split(request, response, body);
    } catch (thrown) {
      const error: AppError = toAppError(thrown);
      sendError(request, response, error, path.startsWith('/v2') ? 'protocol' : 'problem');
    }
  }

  close(): void {
    this.#forwarder.close();
  }

  async #shadow(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
    const answer = await this.#ask(this.#previous, this.#options.previousPort, request, body, PREVIOUS_TIMEOUT_MS);
    this.#send(response, answer);
    if (this.#copies >= MAX_COPIES) {
      this.#skipped += 1;
      return;
    }
    // Not awaited: the client has its answer.
    void this.#copy(request, body, answer);
  }

  async #copy(request: IncomingMessage, body: Buffer, answer: Answer): Promise<void> {
    this.#copies += 1;
    try {
      const copy = await this.#ask(this.#candidate, this.#options.port, request, body, SHADOW_TIMEOUT_MS);
      const [result, other] = [resultOf(answer), resultOf(copy)];
      // A request that the version of before refuses, or fails, says nothing of the other.
      if (answer.status !== 200 || copy.status >= 500 || copy.status === 429) return;
      if (result === undefined || (copy.status === 200 && other === undefined)) return;
      this.#compared += 1;
      if (copy.status === 200 && other !== undefined && sameResult(result, other)) this.#same += 1;
    } catch {
      // Counted as an error of its arm.
    } finally {
      this.#copies -= 1;
    }
  }

  async #split(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
    const { seed, share, port, previousPort } = this.#options;
    this.#number += 1;
    if (isForCandidate(seed, this.#number, share)) {
      try {
        const answer = await this.#ask(this.#candidate, port, request, body, CANDIDATE_TIMEOUT_MS);
        if (answer.status < 500) return this.#send(response, answer);
      } catch {
        // Counted as an error of its arm; an inference may be repeated, so the other version answers.
      }
    }
    this.#send(response, await this.#ask(this.#previous, previousPort, request, body, PREVIOUS_TIMEOUT_MS));
  }

  async #ask(arm: ArmCounts, port: number, request: IncomingMessage, body: Buffer, timeoutMs: number): Promise<Answer> {
    const startedAt = performance.now();
    let answer: Answer;
    try {
      answer = await this.#forwarder.ask(port, request, body, timeoutMs);
    } catch (error) {
      arm.failed();
      throw error;
    }
    const result = answer.status < 400 ? resultOf(answer) : undefined;
    if (answer.status >= 500) arm.failed();
    else if (answer.status >= 400) arm.refused();
    else arm.answered(performance.now() - startedAt, result === undefined ? null : confidenceOf(result));
    return answer;
  }

  #send(response: ServerResponse, answer: Answer): void {
    response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
    response.end(answer.body);
  }
}
