import { readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { AppError, type Issue } from '@selvedge/contract';
import { readBounded, systemErrorCode } from '@selvedge/runtime';
import type { Io } from '../io.ts';

/** Larger files are refused: documents are written by people. */
const MAX_DOCUMENT_BYTES = 10 * 1024 * 1024;
const DOCUMENT_FILE = /\.(ya?ml|jsonc?)$/i;

export interface SourceText {
  /** As the user named it; `<stdin>` for `-`. */
  readonly name: string;
  readonly text: string;
}

async function readStdin(io: Io): Promise<string> {
  return (await readBounded(io.stdin, MAX_DOCUMENT_BYTES, 'The document on stdin is larger than 10 MiB.')).toString('utf8');
}

async function expand(name: string, io: Io): Promise<string[]> {
  const path = isAbsolute(name) ? name : join(io.cwd, name);
  if (!(await stat(path)).isDirectory()) return [name];
  const names = (await readdir(path)).filter((entry) => DOCUMENT_FILE.test(entry)).sort();
  if (names.length === 0) {
    throw new AppError('FILE_UNREADABLE', { message: `The folder ${name} holds no .yaml, .yml, .json or .jsonc file.` });
  }
  return names.map((entry) => join(name, entry));
}

async function readOne(name: string, io: Io): Promise<string> {
  const path = isAbsolute(name) ? name : join(io.cwd, name);
  if ((await stat(path)).size > MAX_DOCUMENT_BYTES) throw new AppError('PAYLOAD_TOO_LARGE', { message: `${name} is larger than 10 MiB.` });
  return await readFile(path, 'utf8');
}

function unreadable(name: string, error: unknown): Issue {
  if (error instanceof AppError) return { file: name, path: '', message: error.message };
  const code = systemErrorCode(error);
  const message = code === 'ENOENT' ? 'no such file or folder' : `could not be read (${code ?? String(error)})`;
  return { file: name, path: '', message };
}

/**
 * Reads the files that `-f` names: files, folders (their YAML and JSON files, not deeper), `-` for stdin.
 *
 * @throws AppError FILE_UNREADABLE with one issue per file.
 */
export async function readSources(names: readonly string[], io: Io): Promise<SourceText[]> {
  const sources: SourceText[] = [];
  const issues: Issue[] = [];
  for (const name of names) {
    if (name === '-') {
      sources.push({ name: '<stdin>', text: await readStdin(io) });
      continue;
    }
    try {
      for (const file of await expand(name, io)) sources.push({ name: file, text: await readOne(file, io) });
    } catch (error) {
      issues.push(unreadable(name, error));
    }
  }
  if (issues.length > 0) throw new AppError('FILE_UNREADABLE', { message: 'Not everything that was named could be read.', issues });
  return sources;
}
