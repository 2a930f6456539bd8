import { AppError, type ErrorCode } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { FastifyInstance } from 'fastify';
import { appErrorOf } from '../errors.ts';

/** MLflow's code and HTTP status for ours; what is not here is an internal error, which its client tries again. */
const CODES: Partial<Record<ErrorCode, readonly [code: string, status: number]>> = {
  NOT_FOUND: ['RESOURCE_DOES_NOT_EXIST', 404],
  CONFLICT: ['RESOURCE_ALREADY_EXISTS', 400],
  INPUT_INVALID: ['INVALID_PARAMETER_VALUE', 400],
  DOCUMENT_SYNTAX: ['INVALID_PARAMETER_VALUE', 400],
  UNSUPPORTED_MEDIA: ['INVALID_PARAMETER_VALUE', 400],
  PAYLOAD_TOO_LARGE: ['INVALID_PARAMETER_VALUE', 413],
  UNAUTHENTICATED: ['UNAUTHENTICATED', 401],
  FORBIDDEN: ['PERMISSION_DENIED', 403],
  RATE_LIMITED: ['REQUEST_LIMIT_EXCEEDED', 429],
};

/** Errors below the prefix in the form that MLflow's client reads: `{ error_code, message }`. */
export function answerInMlflowsForm(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = appErrorOf(thrown);
    const [code, status] = CODES[error.code] ?? ['INTERNAL_ERROR', error.httpStatus];
    const fields = { requestId: request.id, method: request.method, route: request.routeOptions.url, ...describeError(error) };
    if (error.kind === 'bug') log.error('request failed', fields);
    const { message, hint } = error.details;
    if (error.code === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer realm="selvedge"');
    return reply
      .code(status)
      .type('application/json')
      .send(JSON.stringify({ error_code: code, message: hint === undefined ? message : `${message} ${hint}` }));
  });
  app.setNotFoundHandler((request, reply) => {
    const message = `Selvedge does not have ${request.method} ${request.url.split('?')[0]} of MLflow's API.`;
    return reply
      .code(404)
      .type('application/json')
      .send(JSON.stringify({ error_code: 'ENDPOINT_NOT_FOUND', message }));
  });
}

/** @throws AppError INPUT_INVALID when the message names no run. */
export function runIdOf({ run_id, run_uuid }: { run_id?: string | undefined; run_uuid?: string | undefined }): string {
  const id = run_id ?? run_uuid;
  if (id === undefined) throw new AppError('INPUT_INVALID', { message: "Missing value for required parameter 'run_id'." });
  return id;
}
