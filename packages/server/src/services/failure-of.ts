import type { AppError, Failure } from '@selvedge/contract';

/** What is kept of an error in the status of the work that failed of it. */
export function failureOf({ code, message, details }: AppError): Failure {
  const issues = details.issues?.slice(0, 1000).map((issue) => ({ path: issue.path, message: issue.message }));
  return {
    code,
    message,
    ...(details.hint === undefined ? {} : { hint: details.hint }),
    ...(issues === undefined ? {} : { issues }),
  };
}
