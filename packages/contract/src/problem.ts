import * as z from 'zod';
import { AppError, ERRORS, isErrorCode } from './errors.ts';

export const issueSchema = z.object({
  path: z.string(),
  message: z.string(),
  file: z.string().optional(),
  line: z.int().optional(),
  column: z.int().optional(),
});

/** RFC 9457 problem details: the body of every error response (application/problem+json). */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  kind: z.enum(['user', 'operational', 'bug']),
  retryable: z.boolean(),
  hint: z.string().optional(),
  issues: z.array(issueSchema).optional(),
  data: z.record(z.string(), z.unknown()).optional(),
  requestId: z.string().optional(),
});
export type Problem = z.infer<typeof problemSchema>;

/** A bug's message stays on the server: the caller gets the title and the request id to find it in the log. */
export function toProblem(error: AppError, requestId?: string): Problem {
  const { kind, httpStatus, retryable, title } = ERRORS[error.code];
  const { message, hint, issues, data } = error.details;
  return {
    type: `https://selvedge.dev/errors/${error.code}`,
    title,
    status: httpStatus,
    detail: kind === 'bug' ? title : message,
    code: error.code,
    kind,
    retryable,
    ...(hint === undefined ? {} : { hint }),
    ...(issues === undefined ? {} : { issues }),
    ...(data === undefined ? {} : { data }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** The inverse of `toProblem`; a code this side does not know (a newer server) becomes INTERNAL with the text kept. */
export function fromProblem(problem: Problem): AppError {
  const code = isErrorCode(problem.code) ? problem.code : 'INTERNAL';
  const { hint, issues, data } = problem;
  return new AppError(code, {
    message: problem.detail,
    ...(hint === undefined ? {} : { hint }),
    ...(issues === undefined
      ? {}
      : {
          issues: issues.map(({ path, message, file, line, column }) => ({
            path,
            message,
            ...(file === undefined ? {} : { file }),
            ...(line === undefined ? {} : { line }),
            ...(column === undefined ? {} : { column }),
          })),
        }),
    ...(data === undefined ? {} : { data }),
  });
}

/** `["spec", "resize", 0]` as `spec.resize[0]`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`),
    '',
  );
}

interface Fault {
  path: PropertyKey[];
  message: string;
}

/** All faults of a failed zod parse; an unknown field is named by its own path. */
export function faultsOf(error: { issues: readonly z.core.$ZodIssue[] }): Fault[] {
  return error.issues.flatMap((issue): Fault[] => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: [...issue.path, key], message: 'unknown field' }));
    // A key's own faults say what a key must be; "Invalid key in record" does not.
    if (issue.code === 'invalid_key')
      return [{ path: issue.path, message: issue.issues.map((one) => one.message).join('; ') || issue.message }];
    const meant = issue.code === 'invalid_union' ? meantOf(issue.errors) : undefined;
    if (meant !== undefined) return faultsOf({ issues: meant }).map(({ path, message }) => ({ path: [...issue.path, ...path], message }));
    return [{ path: issue.path, message: issue.message }];
  });
}

/** Of several forms that something may have, the one that is right but for what is inside of its fields, if it is the only one. */
function meantOf(forms: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | undefined {
  const [meant, ...others] = forms.filter((issues) => issues.every(({ path }) => path.length > 0));
  return others.length === 0 ? meant : undefined;
}

/** As `faultsOf`, with paths as text. */
export function issuesOf(error: z.ZodError): { path: string; message: string }[] {
  return faultsOf(error).map(({ path, message }) => ({ path: formatPath(path), message }));
}
