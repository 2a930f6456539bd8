import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, normalize, relative, resolve } from 'node:path';
import { AppError, BUILT_IN_TOOLS, nameSchema, type ProjectToolEntry, projectFileSchema, STEPS_WITHOUT_TOOL } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import { locateIssues, parseDocuments } from '@selvedge/runtime/documents';
import { PROJECT_FILE } from '@selvedge/runtime/project';
import { isMap, isSeq, parseDocument } from 'yaml';
import { TEMPLATES } from './templates.ts';

export interface NewTool {
  /** Relative to the project's folder. */
  readonly files: readonly string[];
  /** Whether selvedge.yaml got a line. */
  readonly listed: boolean;
}

/**
 * Makes a working tool in `tools/NAME` and lists it in selvedge.yaml; what else is in that file stays as it is written.
 *
 * @throws AppError INPUT_INVALID for a name that is none or a project file that is not valid; CONFLICT when the folder is there.
 */
export async function newTool(folder: string, name: string, lang: 'py' | 'ts'): Promise<NewTool> {
  const checked = nameSchema.max(63).safeParse(name);
  if (!checked.success)
    throw new AppError('INPUT_INVALID', { message: `"${name}" cannot be a tool's name: ${checked.error.issues[0]?.message}.` });
  if ([...BUILT_IN_TOOLS, ...STEPS_WITHOUT_TOOL].some((taken) => taken === name))
    throw new AppError('INPUT_INVALID', { message: `"${name}" is the name of a tool or step that is there already; choose another one.` });
  const project = await addLine(join(folder, PROJECT_FILE), `./tools/${name}`);
  const target = join(folder, 'tools', name);
  await mkdir(join(folder, 'tools'), { recursive: true });
  try {
    await mkdir(target);
  } catch (cause) {
    if (systemErrorCode(cause) !== 'EEXIST') throw cause;
    throw new AppError('CONFLICT', { message: `${target} is there already.`, hint: 'Choose another name.' }, { cause });
  }
  const files: string[] = [];
  for (const [file, text] of Object.entries(TEMPLATES[lang])) {
    await writeFile(join(target, file), text.replaceAll('NAME', name));
    files.push(relative(folder, join(target, file)));
  }
  if (project !== undefined) await writeFile(join(folder, PROJECT_FILE), project);
  return { files, listed: project !== undefined };
}

/** The text of the project file with the tool in it; undefined when it is there already. */
async function addLine(path: string, tool: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw error;
  });
  if (text.trim() === '') return `tools:\n  - path: ${tool}\n`;
  const [located] = parseDocuments(text, PROJECT_FILE);
  const parsed = projectFileSchema.safeParse(located?.value ?? {});
  if (!parsed.success) {
    const issues = located === undefined ? [] : locateIssues(located, PROJECT_FILE, parsed.error);
    throw new AppError('INPUT_INVALID', { message: `${path} is not valid.`, issues });
  }
  const name = basename(tool);
  for (const entry of parsed.data.tools) {
    if (entry.path !== undefined && normalize(entry.path) === normalize(tool) && (entry.name ?? name) === name) return undefined;
    if (nameOf(entry) !== name) continue;
    throw new AppError('CONFLICT', { message: `${path} has a tool "${name}" already.`, hint: 'Choose another name.' });
  }
  const document = parseDocument(text);
  const tools = isMap(document.contents) ? document.get('tools') : undefined;
  if (isSeq(tools)) tools.add(document.createNode({ path: tool }));
  else document.set('tools', [{ path: tool }]);
  // No folding: long lines stay as the author wrote them.
  return document.toString({ lineWidth: 0 });
}

/** As the server names it. */
function nameOf({ name, path, dockerfile }: ProjectToolEntry): string | undefined {
  if (name !== undefined) return name;
  if (path !== undefined) return basename(path);
  if (dockerfile === undefined) return undefined;
  return basename(basename(dockerfile) === 'Dockerfile' ? dirname(resolve('/', dockerfile)) : dockerfile);
}
