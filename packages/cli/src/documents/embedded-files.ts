import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { AppError, type Issue, packagePathSchema } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { parseDocuments } from '@selvedge/runtime/documents';
import type { Io } from '../io.ts';
import type { SourceText } from './read-sources.ts';

/** As large as the contract allows a file in a document to be. */
const MAX_FILE_BYTES = 256 * 1024;

/** Texts of the files that documents name by path, by document file and by path as it stands there. */
export type EmbeddedFiles = ReadonlyMap<string, ReadonlyMap<string, string>>;

type Block = Record<string, unknown>;
/** What is put in place of a path; `place` is where it stands in the document. */
type Replace = (path: string, place: string) => unknown;

function isObject(value: unknown): value is Block {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function inBuild(build: Block, replace: Replace, place: string): Block {
  return 'sources' in build ? { ...build, sources: inList(build.sources, replace, `${place}.sources`) } : build;
}

function inTrain(train: Block, replace: Replace, place: string): Block {
  return {
    ...train,
    ...('script' in train ? { script: inEntry(train.script, replace, `${place}.script`) } : {}),
    ...('files' in train ? { files: inList(train.files, replace, `${place}.files`) } : {}),
  };
}

function inEntry(entry: unknown, replace: Replace, place: string): unknown {
  return typeof entry === 'string' ? replace(entry, place) : entry;
}

function inList(list: unknown, replace: Replace, place: string): unknown {
  return Array.isArray(list) ? list.map((entry: unknown) => inEntry(entry, replace, place)) : list;
}

function inStep(step: unknown, replace: Replace, place: string): unknown {
  if (!isObject(step) || !isObject(step.parameters) || !isObject(step.parameters.train)) return step;
  const train = inTrain(step.parameters.train, replace, `${place}.parameters.train`);
  return { ...step, parameters: { ...step.parameters, train } };
}

/** A pipeline with every path of a file of its own replaced: `build.sources`, and script and files of trainings. */
function inPipeline(spec: Block, replace: Replace): Block {
  const { build, train, steps } = spec;
  return {
    ...spec,
    ...(isObject(build) ? { build: inBuild(build, replace, 'build') } : {}),
    ...(isObject(train) ? { train: inTrain(train, replace, 'train') } : {}),
    ...(Array.isArray(steps) ? { steps: steps.map((step: unknown, at) => inStep(step, replace, `steps[${at}]`)) } : {}),
  };
}

/** The same for a document with kind and spec, or a bare pipeline file. */
function inDocument(document: unknown, replace: Replace): unknown {
  if (!isObject(document)) return document;
  return isObject(document.spec) ? { ...document, spec: inPipeline(document.spec, replace) } : inPipeline(document, replace);
}

/** Every path that a source names, and where the first mention of it stands. */
function pathsIn(source: SourceText): Map<string, string> {
  const paths = new Map<string, string>();
  try {
    for (const { value } of parseDocuments(source.text, source.name)) {
      inDocument(value, (path, place) => {
        if (!paths.has(path)) paths.set(path, place);
        return path;
      });
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error; // else the check that follows tells it, with all other faults
  }
  return paths;
}

/**
 * Reads the files that documents name as paths (`build.sources`, `train.script`, `train.files`), which are relative to the
 * document's file.
 *
 * @throws AppError FILE_UNREADABLE with one issue per file.
 */
export async function readEmbeddedFiles(sources: readonly SourceText[], io: Io): Promise<EmbeddedFiles> {
  const read = new Map<string, Map<string, string>>();
  const issues: Issue[] = [];
  for (const source of sources) {
    const texts = new Map<string, string>();
    const folder = source.name === '<stdin>' ? io.cwd : join(isAbsolute(source.name) ? '' : io.cwd, dirname(source.name));
    for (const [path, place] of pathsIn(source)) {
      try {
        const file = isAbsolute(path) ? path : join(folder, path);
        if ((await stat(file)).size > MAX_FILE_BYTES)
          issues.push({ file: source.name, path: place, message: `${path} is larger than 256 KiB` });
        else texts.set(path, await readFile(file, 'utf8'));
      } catch (error) {
        const code = systemErrorCode(error);
        if (code === undefined) throw error;
        issues.push({ file: source.name, path: place, message: `${path} could not be read (${code})` });
      }
    }
    read.set(source.name, texts);
  }
  if (issues.length > 0) {
    const [first] = issues;
    throw new AppError('FILE_UNREADABLE', {
      message: `Not every file that a document names could be read: ${first?.path ?? ''}: ${first?.message ?? ''}.`,
      issues,
    });
  }
  return read;
}

/** The document with `{ path, text }` in place of the paths. */
export function withEmbeddedFiles(document: unknown, texts: ReadonlyMap<string, string> | undefined): unknown {
  if (texts === undefined || texts.size === 0) return document;
  return inDocument(document, (path) => {
    const text = texts.get(path);
    if (text === undefined) return path;
    const plain = path.replace(/^\.\//, '');
    return { path: packagePathSchema.safeParse(plain).success ? plain : basename(plain), text };
  });
}
