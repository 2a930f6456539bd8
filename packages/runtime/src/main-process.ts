import { AppError, EXIT, toAppError, toProblem } from '@selvedge/contract';

/** Set for supervised children: they end when their parent's end of stdin closes, also when it was killed with -9. */
export const EXIT_WITH_PARENT_ENV = 'SELVEDGE_EXIT_WITH_PARENT';

/** Text of an error for a person: what failed, each fault with its place, what to do next. */
export function formatError(error: AppError): string {
  const place = (issue: { file?: string; line?: number; column?: number }) =>
    issue.file === undefined ? '' : `${issue.file}${issue.line === undefined ? '' : `:${issue.line}:${issue.column ?? 1}`}: `;
  const lines = [`error: ${error.message}`];
  for (const issue of error.details.issues ?? [])
    lines.push(`  ${place(issue)}${issue.path === '' ? '' : `${issue.path}: `}${issue.message}`);
  if (error.details.hint !== undefined) lines.push(`hint: ${error.details.hint}`);
  if (error.kind === 'bug' && error.cause instanceof Error && error.cause.stack !== undefined) lines.push(error.cause.stack);
  return lines.join('\n');
}

/** Set to `json` by a caller that reads our stderr: an error is then one line of problem JSON. */
export const ERROR_FORMAT_ENV = 'SELVEDGE_ERROR_FORMAT';

function printedError(error: AppError): string {
  if (process.env[ERROR_FORMAT_ENV] !== 'json') return formatError(error);
  // What a problem hides from a remote caller is no secret on this machine.
  return JSON.stringify({ ...toProblem(error), detail: error.message });
}

/**
 * Runs a program: SIGINT and SIGTERM abort the signal, a second one ends the process at once. An AppError is printed and
 * becomes its exit code; anything else is a bug and exits with 1.
 */
export async function runMain(main: (signal: AbortSignal) => Promise<number | undefined>): Promise<void> {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort(new AppError('INTERRUPTED', { message: 'Interrupted.' }));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    process.exitCode = (await main(controller.signal)) ?? EXIT.ok;
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code !== 'INTERRUPTED') process.stderr.write(`${printedError(error)}\n`);
    process.exitCode = error.exitCode;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

/** Calls back once when the parent is gone; does nothing in a process that was not started by a SupervisedProcess. */
export function exitWithParent(onGone: () => void): void {
  if (process.env[EXIT_WITH_PARENT_ENV] !== '1') return;
  process.stdin.on('end', onGone);
  process.stdin.on('error', onGone);
  process.stdin.resume();
  // Waiting for the parent must not keep a process alive that has nothing else to do.
  if ('unref' in process.stdin && typeof process.stdin.unref === 'function') process.stdin.unref();
}
