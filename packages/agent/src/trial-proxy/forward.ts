import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { AppError } from '@selvedge/contract';
import { readBounded } from '@selvedge/runtime';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** Largest answer of a version, bytes. */
const MAX_ANSWER_BYTES = 64 * 2 ** 20;
/** Headers that belong to a body and are passed on with it. */
const PASSED_ON = ['content-type', 'accept', 'retry-after', 'allow', 'cache-control', 'inference-header-content-length'];

function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    PASSED_ON.flatMap((name) => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value] as const] : [];
    }),
  );
}

/** Asks the versions on their ports, on kept connections. */
export class Forwarder {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 16 });

  /**
   * @param timeoutMs - for the whole answer.
   * @throws AppError WORKLOAD_FAILED (operational) when there is none.
   */
  async ask(port: number, incoming: IncomingMessage, body: Buffer, timeoutMs: number): Promise<Answer> {
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await this.#send(port, incoming, body, signal);
      const text = await readBounded(response, MAX_ANSWER_BYTES, 'The answer of the model server is too large.');
      return { status: response.statusCode ?? 0, headers: passedOn(response.headers), body: text };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AppError('WORKLOAD_FAILED', { message: `The model server did not answer: ${reason}` }, { cause });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(port: number, incoming: IncomingMessage, body: Buffer, signal: AbortSignal): Promise<IncomingMessage> {
    const { method = 'GET', url = '/', headers } = incoming;
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port,
          method,
          path: url,
          agent: this.#agent,
          signal,
          headers: { ...passedOn(headers), ...(body.length > 0 || method === 'POST' ? { 'content-length': body.length } : {}) },
        },
        resolve,
      );
      call.on('error', (error) => {
        // A kept connection that the other end has just closed: the request was not begun, and may be sent again.
        const wasClosed = call.reusedSocket && 'code' in error && error.code === 'ECONNRESET' && !signal.aborted;
        if (wasClosed) this.#send(port, incoming, body, signal).then(resolve, reject);
        else reject(error);
      });
      call.end(body);
    });
  }
}
