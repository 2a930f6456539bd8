import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError, ERRORS, toProblem } from '@selvedge/contract';

/** Largest request body, in bytes. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/**
 * Reads a body of bounded size.
 *
 * @throws AppError PAYLOAD_TOO_LARGE (user), as early as it can be known; INPUT_INVALID (user) when the client breaks off.
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = new AppError('PAYLOAD_TOO_LARGE', { message: `A request body may have ${MAX_BODY_BYTES} bytes.` });
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const bytes: Buffer = chunk;
      size += bytes.length;
      if (size > MAX_BODY_BYTES) throw tooLarge;
      chunks.push(bytes);
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('INPUT_INVALID', { message: 'The request ended before its body was complete.' }, { cause });
  }
  return Buffer.concat(chunks, size);
}

export function sendText(response: ServerResponse, status: number, contentType: string, text: string): void {
  sendBytes(response, status, contentType, Buffer.from(text));
}

export function sendBytes(response: ServerResponse, status: number, contentType: string, body: Buffer): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': body.length });
  response.end(body);
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, status, 'application/json', JSON.stringify(value));
}

/** `protocol`: {"error": text}, as the Open Inference Protocol wants it. `problem`: RFC 9457, with our error code. */
export type ErrorForm = 'protocol' | 'problem';

export function sendError(request: IncomingMessage, response: ServerResponse, error: AppError, form: ErrorForm): void {
  if (response.headersSent || response.destroyed) return;
  const status = error.code === 'SHAPE_MISMATCH' ? 400 : error.httpStatus;
  if (ERRORS[error.code].retryable || status === 429) response.setHeader('retry-after', '1');
  // Of a body that was not read to its end, the rest would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  const message = error.kind === 'bug' ? 'internal error' : error.message;
  if (form === 'protocol') sendJson(response, status, { error: message });
  else sendText(response, status, 'application/problem+json', JSON.stringify({ ...toProblem(error), status }));
}
