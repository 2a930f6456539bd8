import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, extname, relative, sep } from 'node:path';
import { AppError, type BuildOptions, type Issue } from '@selvedge/contract';
import { confinePath } from '@selvedge/runtime';
import type { SourceToCompile } from '@selvedge/toolchain';

const COMPILED = ['.cc', '.cpp', '.cxx', '.c'];
const HEADERS = ['.h', '.hpp', '.hh', '.inc'];
/** User code may throw; the runtime turns that into an error of the one picture. */
const USER_FLAGS = ['-fexceptions'];

/**
 * Writes the user's sources below a folder.
 *
 * @returns those to compile, in the order in which they were given: their steps run in that order.
 * @throws AppError INPUT_INVALID (user) for a file that is neither a source nor a header, or that comes twice.
 */
export async function writeUserSources(folder: string, sources: NonNullable<BuildOptions['sources']>): Promise<SourceToCompile[]> {
  const compiled: SourceToCompile[] = [];
  const seen = new Set<string>();
  for (const [index, { path, text }] of sources.entries()) {
    const refuse = (message: string) =>
      new AppError('INPUT_INVALID', { message: `${path} ${message}`, issues: [{ path: `build.sources[${index}].path`, message }] });
    if (seen.has(path)) throw refuse('is given twice');
    if (![...COMPILED, ...HEADERS].includes(extname(path))) throw refuse(`is neither a source (${COMPILED.join(', ')}) nor a header`);
    seen.add(path);
    const file = confinePath(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    if (COMPILED.includes(extname(path))) compiled.push({ path: file, flags: USER_FLAGS });
  }
  return compiled;
}

/** A compiler's error with the paths that the user gave, its place first in the message. */
export function explainUserError(error: unknown, folder: string): unknown {
  if (!(error instanceof AppError) || error.code !== 'BUILD_FAILED') return error;
  const ownPath = (file: string) => (file.startsWith(folder + sep) ? relative(folder, file) : file);
  const issues = (error.details.issues ?? []).map((issue): Issue => {
    if (issue.file === undefined) return issue;
    const file = ownPath(issue.file);
    return { ...issue, file, path: [file, issue.line, issue.column].filter((part) => part !== undefined).join(':') };
  });
  const first = issues[0];
  if (first === undefined) return error;
  return new AppError(
    'BUILD_FAILED',
    {
      ...error.details,
      message: `A source does not compile: ${first.path}: ${first.message}`,
      issues,
      hint: 'Mend the source; see the log for all errors.',
    },
    { cause: error },
  );
}
