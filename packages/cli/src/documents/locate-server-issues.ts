import { AppError, formatPath, type Issue } from '@selvedge/contract';
import type { CheckedDocument } from './check-documents.ts';

/** `spec.resize[0]` as `["spec", "resize", 0]`. */
function pathKeys(path: string): (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, key]) => (index === undefined ? (key ?? '') : Number(index)));
}

function locate(issue: Issue, documents: readonly CheckedDocument[]): Issue {
  const [root, index, ...keys] = pathKeys(issue.path);
  const at = root === 'documents' && typeof index === 'number' ? documents[index] : undefined;
  if (at === undefined || issue.file !== undefined) return issue;
  const own = at.isBarePipeline && keys[0] === 'spec' ? keys.slice(1) : keys;
  return { ...issue, path: formatPath(own), file: at.file, ...at.located.locate(own) };
}

/** Faults that only the server can find (a model that does not exist), turned from `documents[3].spec...` to file and line. */
export function locateServerIssues(error: unknown, documents: readonly CheckedDocument[]): unknown {
  if (!(error instanceof AppError) || error.details.issues === undefined) return error;
  const issues = error.details.issues.map((issue) => locate(issue, documents));
  return new AppError(error.code, { ...error.details, issues }, { cause: error.cause });
}
