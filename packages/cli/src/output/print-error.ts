import { AppError, type ErrorDetails, toAppError, toProblem } from '@selvedge/contract';
import { formatError } from '@selvedge/runtime';
import type { Io } from '../io.ts';

const DEFAULT_HINTS: Readonly<Record<string, string>> = {
  UNAUTHENTICATED:
    'Pass the API token with --token or SELVEDGE_TOKEN, or name the data folder of the server with --data (its admin-token is used for a server on this machine).',
  INTERNAL: 'Set SELVEDGE_DEBUG=1 to see where it happened, and report it.',
};

function isSchemaError(error: unknown): boolean {
  return error instanceof Error && (error.name === 'ZodError' || error.name === '$ZodError');
}

/** Anything thrown by a command as an AppError that a person can act on. */
export function explain(thrown: unknown, io: Io): AppError {
  if (io.signal.aborted && !(thrown instanceof AppError && thrown.code === 'INTERRUPTED'))
    return new AppError('INTERRUPTED', { message: 'Interrupted.' }, { cause: thrown });
  if (isSchemaError(thrown)) {
    return new AppError(
      'INTERNAL',
      {
        message: 'The answer of the server does not have the form that this selvedge knows.',
        hint: 'Compare "selvedge version": server and command line must be of one version.',
      },
      { cause: thrown },
    );
  }
  const error = toAppError(thrown);
  const hint = error.details.hint ?? DEFAULT_HINTS[error.code];
  return hint === undefined ? error : new AppError(error.code, { ...error.details, hint }, { cause: error.cause });
}

/** Faults shown as text; a binary file taken for YAML has hundreds. Problem JSON holds them all. */
const MAX_SHOWN_FAULTS = 50;

/** The details as a person wants them: a single fault that the message tells already is not told again, and a flood is cut. */
function readable({ issues, ...details }: ErrorDetails): ErrorDetails {
  const [only] = issues ?? [];
  const isTold = issues?.length === 1 && only?.file === undefined && details.message.includes(only?.message ?? '');
  if (issues === undefined || isTold) return details;
  const hidden = issues.length - MAX_SHOWN_FAULTS;
  const rest = hidden > 0 ? [{ path: '', message: `… and ${hidden} more` }] : [];
  return { ...details, issues: [...issues.slice(0, MAX_SHOWN_FAULTS), ...rest] };
}

/** Prints an error on stderr, as text or as problem JSON on one line (progress may stand above it), and returns the exit code. */
export function printError(error: AppError, io: Io, asJson: boolean): number {
  if (asJson) {
    // The text of a bug stays on a server; here it is the user's own machine.
    io.stderr.write(`${JSON.stringify({ ...toProblem(error), detail: error.message, exitCode: error.exitCode })}\n`);
    return error.exitCode;
  }
  const cause = io.env.SELVEDGE_DEBUG === '1' ? error.cause : undefined;
  io.stderr.write(`${formatError(new AppError(error.code, readable(error.details)))}\n`);
  if (cause instanceof Error && cause.stack !== undefined) io.stderr.write(`${cause.stack}\n`);
  return error.exitCode;
}
