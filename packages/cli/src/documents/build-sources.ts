import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { AppError, type Issue, packagePathSchema } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { parseDocuments } from '@selvedge/runtime/documents';
import type { Io } from '../io.ts';
import type { SourceText } from './read-sources.ts';

/** As large as the contract allows a source to be. */
const MAX_SOURCE_BYTES = 256 * 1024;

/** Texts of the C++ files that documents name in `build.sources`, by document file and by path as it stands there. */
export type BuildSources = ReadonlyMap<string, ReadonlyMap<string, string>>;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object with `sources`, in a document with kind and spec or in a bare pipeline file. */
function buildBlock(document: unknown): Record<string, unknown> | undefined {
  if (!isObject(document)) return undefined;
  const spec = isObject(document.spec) ? document.spec : document;
  return isObject(spec.build) ? spec.build : undefined;
}

function namedPaths(document: unknown): string[] {
  const sources = buildBlock(document)?.sources;
  return Array.isArray(sources) ? sources.filter((entry) => typeof entry === 'string') : [];
}

function pathsIn(source: SourceText): string[] {
  try {
    return parseDocuments(source.text, source.name).flatMap((located) => namedPaths(located.value));
  } catch (error) {
    if (error instanceof AppError) return []; // the check that follows tells it, with all other faults
    throw error;
  }
}

/**
 * Reads the files that `build.sources` names as paths, which are relative to the document's file.
 *
 * @throws AppError FILE_UNREADABLE with one issue per file.
 */
export async function readBuildSources(sources: readonly SourceText[], io: Io): Promise<BuildSources> {
  const read = new Map<string, Map<string, string>>();
  const issues: Issue[] = [];
  for (const source of sources) {
    const texts = new Map<string, string>();
    const folder = source.name === '<stdin>' ? io.cwd : join(isAbsolute(source.name) ? '' : io.cwd, dirname(source.name));
    for (const path of pathsIn(source)) {
      try {
        const file = isAbsolute(path) ? path : join(folder, path);
        if ((await stat(file)).size > MAX_SOURCE_BYTES)
          issues.push({ file: source.name, path: 'build.sources', message: `${path} is larger than 256 KiB` });
        else texts.set(path, await readFile(file, 'utf8'));
      } catch (error) {
        const code = systemErrorCode(error);
        if (code === undefined) throw error;
        issues.push({ file: source.name, path: 'build.sources', message: `${path} could not be read (${code})` });
      }
    }
    read.set(source.name, texts);
  }
  if (issues.length > 0) throw new AppError('FILE_UNREADABLE', { message: 'Not every file of build.sources could be read.', issues });
  return read;
}

/** The document with the texts in place of the paths. */
export function withBuildSources(document: unknown, texts: ReadonlyMap<string, string> | undefined): unknown {
  const build = buildBlock(document);
  if (texts === undefined || build === undefined || !Array.isArray(build.sources) || !isObject(document)) return document;
  const sources = build.sources.map((entry: unknown) => {
    const text = typeof entry === 'string' ? texts.get(entry) : undefined;
    if (typeof entry !== 'string' || text === undefined) return entry;
    const plain = entry.replace(/^\.\//, '');
    return { path: packagePathSchema.safeParse(plain).success ? plain : basename(plain), text };
  });
  const changed = { ...build, sources };
  return isObject(document.spec) ? { ...document, spec: { ...document.spec, build: changed } } : { ...document, build: changed };
}
