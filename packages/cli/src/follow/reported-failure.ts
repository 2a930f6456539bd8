import { type ErrorCode, type Failure, isErrorCode } from '@selvedge/contract';

interface ReportedFailure {
  readonly code: ErrorCode;
  /** The code is in it, for whoever looks it up. */
  readonly reason: string;
  readonly hint?: string;
}

/**
 * What a piece of work on the server failed of, ready to be thrown here.
 *
 * @param fallbackCode - for work of an older server, which keeps no code, and for codes of a newer one.
 * @param message - the status's message, for the same cases; may be empty.
 */
export function reportedFailure(failure: Failure | null | undefined, fallbackCode: ErrorCode, message: string): ReportedFailure {
  if (failure == null) return { code: fallbackCode, reason: message || 'no reason was given' };
  return {
    code: isErrorCode(failure.code) ? failure.code : fallbackCode,
    reason: `${failure.message} (${failure.code})`,
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
  };
}
