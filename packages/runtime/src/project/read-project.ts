import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  AppError,
  BUILT_IN_TOOLS,
  type Issue,
  nameSchema,
  type ProjectToolEntry,
  projectFileSchema,
  STEPS_WITHOUT_TOOL,
  TOOL_FILES,
} from '@selvedge/contract';
import { type LocatedDocument, locateIssues, parseDocuments } from '../located-document.ts';
import { systemErrorCode } from '../system-error.ts';

/** A tool that runs in a container. */
export type ContainedTool = { readonly name: string } & (
  | { readonly kind: 'image'; readonly image: string }
  | { readonly kind: 'dockerfile'; readonly dockerfile: string }
);

/** A tool that the server starts. */
export type LocalTool = ContainedTool | { readonly name: string; readonly kind: 'process'; readonly file: string };

/** A tool that somebody else runs; a built-in one of this name is then not started. */
export interface RemoteTool {
  readonly name: string;
  readonly kind: 'remote';
  readonly url: string;
}

/** A tool of a project, its paths absolute. */
export type ProjectTool = LocalTool | RemoteTool;

/** Name of a project's file. */
export const PROJECT_FILE = 'selvedge.yaml';

/**
 * Reads the project's file.
 *
 * @param path - absolute; `isOptional`: an absent one has no tools.
 * @throws AppError DOCUMENT_SYNTAX, INPUT_INVALID, FILE_UNREADABLE (user) with every fault, its file and line.
 */
export async function readProject(path: string, options: { isOptional: boolean }): Promise<ProjectTool[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code === 'ENOENT' && options.isOptional) return [];
    throw new AppError('FILE_UNREADABLE', { message: `The project file ${path} could not be read (${code ?? 'unknown'}).` }, { cause });
  }
  const [document, ...more] = parseDocuments(text, path);
  if (document === undefined) return [];
  const refuse = (issues: Issue[]) => new AppError('INPUT_INVALID', { message: `The project file ${path} is not valid.`, issues });
  if (more.length > 0) throw refuse([{ path: '', message: 'must hold one document', file: path }]);
  const parsed = projectFileSchema.safeParse(document.value);
  if (!parsed.success) throw refuse(locateIssues(document, path, parsed.error));
  const issues: Issue[] = [];
  const names = new Set<string>(STEPS_WITHOUT_TOOL);
  const tools = parsed.data.tools.flatMap((entry, index) => {
    try {
      const tool = resolveTool(entry, dirname(path));
      const isBuiltIn = BUILT_IN_TOOLS.some((name) => name === tool.name) && tool.kind !== 'remote';
      if (isBuiltIn || names.has(tool.name)) throw new Error(`the name "${tool.name}" is taken by another tool`);
      names.add(tool.name);
      return [tool];
    } catch (error) {
      issues.push(issueAt(document, path, index, error instanceof Error ? error.message : String(error)));
      return [];
    }
  });
  if (issues.length > 0) throw refuse(issues);
  return tools;
}

function issueAt(document: LocatedDocument, file: string, index: number, message: string): Issue {
  return { path: `tools[${index}]`, message, file, ...document.locate(['tools', index]) };
}

function resolveTool({ name, path, dockerfile, image, url }: ProjectToolEntry, base: string): ProjectTool {
  if (url !== undefined) return { name: name ?? '', kind: 'remote', url: new URL(url).origin };
  if (image !== undefined) return { name: name ?? '', kind: 'image', image };
  if (dockerfile !== undefined) {
    const given = resolve(base, dockerfile);
    const file = existsSync(given) && statSync(given).isDirectory() ? join(given, 'Dockerfile') : given;
    if (!existsSync(file)) throw new Error(`there is no ${file}`);
    return { name: checkedName(name ?? basename(dirname(file))), kind: 'dockerfile', dockerfile: file };
  }
  return { name: checkedName(name ?? basename(resolve(base, path ?? ''))), kind: 'process', file: findToolFile(resolve(base, path ?? '')) };
}

function checkedName(name: string): string {
  if (!nameSchema.max(63).safeParse(name).success) throw new Error(`"${name}" cannot be a tool's name; give one with "name"`);
  return name;
}

/** The file of a tool's folder that is run. @throws Error when there is none. */
export function findToolFile(folder: string): string {
  const found = TOOL_FILES.map((name) => join(folder, name)).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`${folder} has none of ${TOOL_FILES.join(', ')}`);
  return found;
}
