import { Readable } from 'node:stream';
import { AppError } from '@selvedge/contract';
import type { FastifyRequest } from 'fastify';

/**
 * Gives the body of a route that takes a stream to `work`. Whatever becomes of the body, the connection stays, so that
 * a refusal in the middle of an upload still reaches the client.
 */
export async function withBody<T>(request: FastifyRequest, work: (body: Readable) => Promise<T>): Promise<T> {
  const { body } = request;
  if (!(body instanceof Readable)) {
    throw new AppError('INPUT_INVALID', { message: 'The request has no body.', hint: 'Send the content with a Content-Type header.' });
  }
  try {
    return await work(Readable.from(body.iterator({ destroyOnReturn: false }), { objectMode: false }));
  } finally {
    body.resume(); // what is left unread would keep the client from reading the answer
  }
}
