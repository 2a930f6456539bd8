import { AppError, faultsOf, formatPath, type Issue } from '@selvedge/contract';
import { findNodeAtLocation, getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import type * as z from 'zod';

export interface Location {
  /** From 1. */
  line: number;
  column: number;
}

/** A parsed document that still knows where in the text each part stands. */
export interface LocatedDocument {
  value: unknown;
  /** Place of the part at `path`; of the nearest enclosing part when there is none there. */
  locate(path: readonly (string | number)[]): Location;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) starts.push(i + 1);
  return starts;
}

function locationAt(starts: readonly number[], offset: number): Location {
  let line = starts.findIndex((start) => start > offset);
  if (line < 0) line = starts.length;
  return { line, column: offset - (starts[line - 1] ?? 0) + 1 };
}

/** A property is located by its key, so that an unknown field is pointed at by name. */
function jsonOffset(root: Node, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = findNodeAtLocation(root, path.slice(0, length));
    if (node !== undefined) return node.parent?.type === 'property' ? node.parent.offset : node.offset;
  }
  return root.offset;
}

/** `CommaExpected` as `comma expected`. */
function inWords(code: string): string {
  return code.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();
}

function parseJson(text: string, fileName: string): LocatedDocument[] {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false });
  const starts = lineStarts(text);
  if (errors.length > 0 || root === undefined) {
    const issues: Issue[] = errors.map((error) => ({
      path: '',
      message: inWords(printParseErrorCode(error.error)),
      file: fileName,
      ...locationAt(starts, error.offset),
    }));
    throw new AppError('DOCUMENT_SYNTAX', { message: `${fileName} is not valid JSON.`, issues });
  }
  const value: unknown = getNodeValue(root);
  return [{ value, locate: (path) => locationAt(starts, jsonOffset(root, path)) }];
}

/** The place is told by the issue itself. */
function withoutPlace(message: string): string {
  return message.replace(/ at line \d+, column \d+:?$/, '');
}

type YamlDocument = ReturnType<typeof parseAllDocuments>[number];

function yamlOffset(document: YamlDocument, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent: unknown = document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair !== undefined && isScalar(pair.key) && pair.key.range) return pair.key.range[0];
    }
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isScalar(node) && node.range) return node.range[0];
    if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range) && typeof node.range[0] === 'number')
      return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function parseYaml(text: string, fileName: string): LocatedDocument[] {
  const counter = new LineCounter();
  const documents = [...parseAllDocuments(text, { lineCounter: counter, uniqueKeys: true })];
  const place = (offset: number): Location => {
    const { line, col } = counter.linePos(offset);
    return { line, column: col };
  };
  const issues: Issue[] = documents.flatMap((document) =>
    document.errors.map((error) => ({
      path: '',
      message: withoutPlace(error.message.split('\n')[0] ?? error.code),
      file: fileName,
      ...place(error.pos[0]),
    })),
  );
  if (issues.length > 0) throw new AppError('DOCUMENT_SYNTAX', { message: `${fileName} is not valid YAML.`, issues });
  return documents
    .filter((document) => document.contents !== null)
    .map((document) => ({ value: document.toJS({ maxAliasCount: 100 }) as unknown, locate: (path) => place(yamlOffset(document, path)) }));
}

/**
 * Parses JSON (comments and trailing commas allowed) or YAML (one or many documents) by what the text looks like.
 *
 * @throws AppError DOCUMENT_SYNTAX (user) with every syntax error located.
 */
export function parseDocuments(text: string, fileName: string): LocatedDocument[] {
  const isJson = /\.jsonc?$/i.test(fileName) || (!/\.ya?ml$/i.test(fileName) && /^\s*(\{|\[|\/\/|\/\*)/.test(text));
  return isJson ? parseJson(text, fileName) : parseYaml(text, fileName);
}

function keysOf(path: readonly PropertyKey[]): (string | number)[] {
  return path.map((key) => (typeof key === 'symbol' ? String(key) : key));
}

/** The faults that zod found, each with file, line and column; unknown fields one by one. */
export function locateIssues(document: LocatedDocument, fileName: string, error: z.ZodError): Issue[] {
  return faultsOf(error)
    .map(({ path, message }) => ({ path: formatPath(path), message, file: fileName, ...document.locate(keysOf(path)) }))
    .sort((a, b) => a.line - b.line || a.column - b.column);
}
