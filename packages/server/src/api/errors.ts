import { AppError, type ErrorCode, issuesOf, toAppError, toProblem } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type { FastifyInstance, FastifyReply, FastifySchemaCompiler } from 'fastify';
import * as z from 'zod';

const MAX_SHOWN_ISSUES = 200;

/** Checks the parts of a request; all faults of a part are reported at once. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data: unknown) => {
    const parsed = schema.safeParse(data);
    if (parsed.success) return { value: parsed.data };
    const issues = issuesOf(parsed.error);
    const [first] = issues;
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
    const what = first === undefined ? 'is not valid' : `${first.path === '' ? '' : `${first.path}: `}${first.message}${more}`;
    return {
      error: new AppError('INPUT_INVALID', { message: `The request is not valid: ${what}.`, issues: issues.slice(0, MAX_SHOWN_ISSUES) }),
    };
  };

const FRAMEWORK_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'PAYLOAD_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'INPUT_INVALID',
  FST_ERR_CTP_INVALID_JSON_BODY: 'DOCUMENT_SYNTAX',
};

const frameworkErrorSchema = z.object({ code: z.string().optional(), statusCode: z.int().optional(), message: z.string() });

/** Anything thrown in a route in our own terms, errors of the framework (body too large, no JSON, bad URL) among them. */
export function appErrorOf(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const parsed = frameworkErrorSchema.safeParse(thrown);
  if (!parsed.success) return toAppError(thrown);
  const { code = '', statusCode = 500, message } = parsed.data;
  const known = FRAMEWORK_CODES[code];
  if (known !== undefined) return new AppError(known, { message }, { cause: thrown });
  if (statusCode >= 400 && statusCode < 500) return new AppError('INPUT_INVALID', { message }, { cause: thrown });
  return toAppError(thrown);
}

export function sendProblem(reply: FastifyReply, error: AppError): FastifyReply {
  const problem = toProblem(error, reply.request.id);
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

/** Every error leaves as problem details; what is our fault or the surroundings' is logged, once, with the request's id. */
export function handleErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = appErrorOf(thrown);
    const fields = { requestId: request.id, method: request.method, route: request.routeOptions.url, ...describeError(error) };
    if (error.kind === 'bug') log.error('request failed', fields);
    else if (error.kind === 'operational') log.warn('request failed', fields);
    else log.debug('request refused', fields);
    if (error.code === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer realm="selvedge"');
    return sendProblem(reply, error);
  });
}
