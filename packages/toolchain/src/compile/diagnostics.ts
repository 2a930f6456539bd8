import { AppError, type Issue } from '@selvedge/contract';

const LINE = /^(?:In file included from )?(.+?):(\d+):(?:(\d+):)? (fatal error|error): (.*)$/;
const MAX_ISSUES = 20;
const MAX_TEXT = 16_000;

/** The errors of a compiler's output, with file, line and column. */
export function parseDiagnostics(output: string): Issue[] {
  const issues: Issue[] = [];
  for (const line of output.split('\n')) {
    const match = LINE.exec(line);
    if (match === null || issues.length === MAX_ISSUES) continue;
    const [, file = '', at = '1', column, , message = ''] = match;
    issues.push({ path: '', message, file, line: Number(at), ...(column === undefined ? {} : { column: Number(column) }) });
  }
  return issues;
}

/** BUILD_FAILED with what the compiler said: the errors as issues, all of it as `data.diagnostics`. */
export function buildFailed(what: string, output: string): AppError {
  const issues = parseDiagnostics(output);
  const first =
    issues[0]?.message ??
    output
      .split('\n')
      .find((line) => /error/i.test(line))
      ?.trim() ??
    'the program ended without a message';
  return new AppError('BUILD_FAILED', {
    message: `${what}: ${first.slice(0, 500)}`,
    ...(issues.length === 0 ? {} : { issues }),
    data: { diagnostics: output.slice(0, MAX_TEXT) },
  });
}
