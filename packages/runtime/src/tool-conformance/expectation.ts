import { issuesOf, type Problem, problemSchema } from '@selvedge/contract';
import type * as z from 'zod';
import { expectThat, Mismatch } from '../mismatch.ts';
import type { Answer } from './connection.ts';

/** A check that has nothing to look at; `because` says why. */
export class NotApplicable extends Error {}

/** An answer for messages: its status and the beginning of its body. */
export function shown({ asked, status, body }: Answer): string {
  const text = body.subarray(0, 300).toString('utf8').replace(/\s+/g, ' ').trim();
  return `${asked} -> ${status}${text === '' ? '' : ` ${text}`}`;
}

export function expectStatus(answer: Answer, ...statuses: readonly number[]): void {
  expectThat(statuses.includes(answer.status), `status ${statuses.join(' or ')}`, shown(answer));
}

/** The JSON of a 2xx answer, checked by its schema. */
export function expectJson<S extends z.ZodType>(answer: Answer, schema: S, what: string): z.output<S> {
  expectThat(answer.status >= 200 && answer.status < 300, 'status 2xx', shown(answer));
  return parsed(answer, schema, what);
}

function parsed<S extends z.ZodType>(answer: Answer, schema: S, what: string): z.output<S> {
  const type = String(answer.headers['content-type'] ?? '');
  expectThat(/^application\/([a-z.-]+\+)?json/.test(type), `${what} with a content-type of JSON`, `${answer.asked} -> "${type}"`);
  let value: unknown;
  try {
    value = JSON.parse(answer.body.toString('utf8'));
  } catch {
    throw new Mismatch(`${what} as JSON`, shown(answer));
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = issuesOf(result.error).map(({ path, message }) => `${path === '' ? '(whole)' : path}: ${message}`);
  throw new Mismatch(what, `${answer.asked} -> ${faults.join('; ')}`);
}

/** An error as a problem document (RFC 9457) that says the same status as the answer. */
export function expectProblem(answer: Answer, ...statuses: readonly number[]): Problem {
  expectStatus(answer, ...statuses);
  const type = String(answer.headers['content-type'] ?? '');
  expectThat(type.startsWith('application/problem+json'), 'content-type application/problem+json', `${answer.asked} -> "${type}"`);
  const problem = parsed(answer, problemSchema, 'a problem document');
  expectThat(problem.status === answer.status, `"status": ${answer.status} in the problem document`, shown(answer));
  return problem;
}
