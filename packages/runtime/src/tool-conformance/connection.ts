import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { AppError } from '@selvedge/contract';
import { readBounded } from '../read-bounded.ts';

/** An answer of a tool, read to its end. */
export interface Answer {
  /** `GET /artifacts/x/status`, for messages. */
  readonly asked: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
}

/** Examples are small; an answer beyond this is not read on. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** Without a byte for so long a tool counts as not answering. A followed log may be quiet while the work goes on. */
const IDLE_MS = 120_000;

/**
 * Sends requests to a tool with the path exactly as it is written: `fetch` would resolve "..", and whether a tool does
 * that safely is what has to be found out.
 */
export class Connection {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor(options: { url: string; token?: string | undefined; signal?: AbortSignal | undefined }) {
    this.url = options.url.replace(/\/+$/, '');
    this.token = options.token;
    this.#signal = options.signal;
  }

  /** @throws AppError TOOL_UNAVAILABLE (operational) when there is no answer. */
  async ask(path: string, question: Question = {}): Promise<Answer> {
    const { method = 'GET', body } = question;
    const headers: Record<string, string> = { ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }) };
    Object.assign(headers, question.headers, body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) });
    const asked = `${method} ${path}`;
    try {
      const response = await this.#send(path, { method, headers }, body);
      const answer = await readBounded(response, MAX_ANSWER_BYTES, `${asked} answers with more than ${MAX_ANSWER_BYTES} bytes.`);
      return { asked, status: response.statusCode ?? 0, headers: response.headers, body: answer };
    } catch (cause) {
      this.#signal?.throwIfAborted();
      if (cause instanceof AppError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AppError('TOOL_UNAVAILABLE', { message: `${asked} at ${this.url} got no answer: ${reason}` }, { cause });
    }
  }

  json(path: string, method: string, value: unknown): Promise<Answer> {
    return this.ask(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
  }

  #send(path: string, options: RequestOptions, body: Buffer | string | undefined): Promise<IncomingMessage> {
    const base = new URL(this.url);
    const prefix = base.pathname === '/' ? '' : base.pathname;
    const send = base.protocol === 'https:' ? httpsRequest : httpRequest;
    const target = { hostname: base.hostname.replace(/^\[|\]$/g, ''), port: base.port, path: prefix + path };
    return new Promise((resolve, reject) => {
      const outgoing = send({ ...options, ...target, ...(this.#signal === undefined ? {} : { signal: this.#signal }) }, resolve);
      outgoing.on('error', reject);
      outgoing.setTimeout(IDLE_MS, () => outgoing.destroy(new Error(`no byte for ${IDLE_MS / 1000} s`)));
      outgoing.end(body);
    });
  }
}
