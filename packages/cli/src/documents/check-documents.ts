import { basename, dirname, extname, resolve } from 'node:path';
import {
  type AnyDocument,
  API_VERSION,
  AppError,
  anyDocumentSchema,
  findKind,
  type Issue,
  KIND_NAMES,
  KINDS,
  nameSchema,
  pipelineSpecSchema,
} from '@selvedge/contract';
import { type LocatedDocument, locateIssues, parseDocuments } from '@selvedge/runtime/documents';
import { type EmbeddedFiles, withEmbeddedFiles } from './embedded-files.ts';
import type { SourceText } from './read-sources.ts';

const APPLICABLE = KIND_NAMES.filter((kind) => KINDS[kind].document !== null);
const PIPELINE_BLOCKS = ['dataset', 'model', 'preproc', 'postproc'];

/** A checked document and where it came from, so that faults the server finds can be located too. */
export interface CheckedDocument {
  readonly document: AnyDocument;
  readonly file: string;
  readonly located: LocatedDocument;
  /** True for a bare pipeline file: paths below `spec` are the file's own. */
  readonly isBarePipeline: boolean;
}

interface Checked {
  readonly documents: CheckedDocument[];
  readonly issues: Issue[];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A file in the four-block form carries no kind and no name. */
function isBarePipeline(value: Record<string, unknown>): boolean {
  return !('kind' in value) && !('apiVersion' in value) && PIPELINE_BLOCKS.some((block) => block in value);
}

/** Name of a bare pipeline: the file's stem, or the folder's name for a file called `pipeline`. */
function nameFromFile(file: string): string {
  const stem = basename(file, extname(file));
  return stem === 'pipeline' ? basename(dirname(resolve(file))) : stem;
}

function checkBarePipeline(located: LocatedDocument, file: string, wishedName: string | undefined): Checked {
  const spec = pipelineSpecSchema.safeParse(located.value);
  const issues = spec.success ? [] : locateIssues(located, file, spec.error);
  const name = nameSchema.safeParse(wishedName ?? (file === '<stdin>' ? undefined : nameFromFile(file)));
  if (!name.success) {
    issues.unshift({
      path: '',
      message: 'a pipeline file carries no name and its file name does not give a valid one: add --name NAME',
      file,
    });
  }
  if (!spec.success || !name.success) return { documents: [], issues };
  const document: AnyDocument = { apiVersion: API_VERSION, kind: 'Pipeline', metadata: { name: name.data }, spec: spec.data };
  return { documents: [{ document, file, located, isBarePipeline: true }], issues };
}

function kindIssue(kind: unknown): string | undefined {
  if (kind === undefined) return `is missing; one of ${APPLICABLE.join(', ')}`;
  if (typeof kind !== 'string') return 'must be text';
  if (APPLICABLE.some((known) => known === kind)) return undefined;
  const known = findKind(kind);
  if (known !== undefined && known !== kind) return `"${kind}" must be written "${known}"`;
  if (known !== undefined) return `a ${known} is made by the server and cannot be applied`;
  return `unknown kind "${kind}"; one of ${APPLICABLE.join(', ')}`;
}

function checkOne(located: LocatedDocument, file: string, wishedName: string | undefined): Checked {
  const { value } = located;
  if (!isObject(value)) return { documents: [], issues: [{ path: '', message: 'must be an object', file, ...located.locate([]) }] };
  if (isBarePipeline(value)) return checkBarePipeline(located, file, wishedName);
  const wrongKind = kindIssue(value.kind);
  if (wrongKind !== undefined) return { documents: [], issues: [{ path: 'kind', message: wrongKind, file, ...located.locate(['kind']) }] };
  const parsed = anyDocumentSchema.safeParse(value);
  if (!parsed.success) return { documents: [], issues: locateIssues(located, file, parsed.error) };
  return { documents: [{ document: parsed.data, file, located, isBarePipeline: false }], issues: [] };
}

function checkSource(source: SourceText, wishedName: string | undefined, embedded: EmbeddedFiles | undefined): Checked {
  let located: LocatedDocument[];
  try {
    located = parseDocuments(source.text, source.name).map((document) => ({
      ...document,
      value: withEmbeddedFiles(document.value, embedded?.get(source.name)),
    }));
  } catch (error) {
    if (error instanceof AppError && error.code === 'DOCUMENT_SYNTAX') return { documents: [], issues: error.details.issues ?? [] };
    throw error;
  }
  if (located.length === 0) return { documents: [], issues: [{ path: '', message: 'the file holds no document', file: source.name }] };
  const checked = located.map((document) => checkOne(document, source.name, wishedName));
  return { documents: checked.flatMap((one) => one.documents), issues: checked.flatMap((one) => one.issues) };
}

function duplicateIssues(documents: readonly CheckedDocument[]): Issue[] {
  const seen = new Map<string, CheckedDocument>();
  const issues: Issue[] = [];
  for (const one of documents) {
    const key = `${one.document.kind} "${one.document.metadata.name}"`;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, one);
    else {
      const { line } = first.located.locate([]);
      issues.push({
        path: '',
        message: `${key} is given twice (first in ${first.file}:${line})`,
        file: one.file,
        ...one.located.locate([]),
      });
    }
  }
  return issues;
}

/**
 * Parses and checks all documents of all sources against the contract.
 *
 * @param wishedName - `--name`, for the one bare pipeline file among them.
 * @param embedded - texts of the files that documents name as paths.
 * @throws AppError INPUT_INVALID with every fault of every file, located; USAGE when `--name` fits none or several.
 */
export function checkDocuments(sources: readonly SourceText[], wishedName?: string, embedded?: EmbeddedFiles): CheckedDocument[] {
  const checked = sources.map((source) => checkSource(source, wishedName, embedded));
  const documents = checked.flatMap((one) => one.documents);
  const issues = [...checked.flatMap((one) => one.issues), ...duplicateIssues(documents)];
  if (issues.length > 0) {
    const files = new Set(issues.map((issue) => issue.file)).size;
    const faults = issues.length === 1 ? '1 fault' : `${issues.length} faults`;
    throw new AppError('INPUT_INVALID', {
      message: `Nothing was applied: ${faults} in ${files === 1 ? (issues[0]?.file ?? 'the input') : `${files} files`}.`,
      issues,
    });
  }
  const bare = documents.filter((one) => one.isBarePipeline).length;
  if (wishedName !== undefined && bare !== 1) {
    throw new AppError('USAGE', {
      message: `--name names one pipeline file without a name of its own; here are ${bare === 0 ? 'none' : bare}.`,
      hint: 'Names of other documents stand in their metadata.name.',
    });
  }
  return documents;
}
