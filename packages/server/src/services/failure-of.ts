import type { AppError, Failure } from '@selvedge/contract';

/** What is kept of an error in the status of the work that failed of it. */
export function failureOf({ code, message, details }: AppError): Failure {
  return { code, message, ...(details.hint === undefined ? {} : { hint: details.hint }) };
}
