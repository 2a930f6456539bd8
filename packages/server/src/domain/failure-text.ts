import type { Failure } from '@selvedge/contract';

/** A failure in one line, for the message of a step or a run. */
export function failureText({ code, message, hint }: Failure): string {
  return `${message} (${code})${hint === undefined ? '' : ` ${hint}`}`;
}
