// For bundles that are held to little memory: schemas are made when they are first used. A schema of zod takes about 2 kB, a
// message with all that it may hold some hundred of them, and most processes see few of the messages they know.
import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** What our packages call a schema. */
const SCHEMA_NAME = /^[a-z]\w*Schemas?$/;
const HELPER = 'function __lazy(make) { let made; return () => (made ??= make()); }';

/** The schemas of a module: what it declares at its top level, by initializer, and the names that it imports. */
function schemasOf(file) {
  const initializers = [];
  const names = new Set();
  for (const statement of file.statements) {
    if (ts.isVariableStatement(statement))
      for (const { name, initializer } of statement.declarationList.declarations)
        if (ts.isIdentifier(name) && SCHEMA_NAME.test(name.text) && initializer !== undefined) {
          names.add(name.text);
          initializers.push(initializer);
        }
    if (!ts.isImportDeclaration(statement) || !/^(\.|@selvedge\/)/.test(statement.moduleSpecifier.text)) continue;
    const imported = statement.importClause?.namedBindings;
    if (imported === undefined || !ts.isNamedImports(imported)) continue;
    for (const { name, propertyName } of imported.elements) if (SCHEMA_NAME.test((propertyName ?? name).text)) names.add(name.text);
  }
  return { initializers, names };
}

/** Whether an identifier stands for the value of that name, not for a property, a binding or a type. */
function isUse(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isQualifiedName(parent)) return parent.expression === node;
  if (ts.isPropertyAssignment(parent) || ts.isVariableDeclaration(parent)) return parent.initializer === node;
  return !ts.isImportSpecifier(parent) && !ts.isExportSpecifier(parent);
}

/** @returns the module with each of its schemas in a function that makes it once. @throws Error where a name says schema and is none. */
export function withLazySchemas(path, text) {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const { initializers, names } = schemasOf(file);
  const inserts = initializers.flatMap((initializer) => [
    [initializer.getStart(file), '__lazy(() => '],
    [initializer.getEnd(), ')'],
  ]);
  const refuse = (node) => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
    throw new Error(`${path}:${line + 1}: "${node.text}" is named like a schema; only schemas that stand at the top level of a module are`);
  };
  const visit = (node) => {
    if (ts.isTypeNode(node)) return;
    if (ts.isIdentifier(node)) {
      const { parent } = node;
      const isDeclared =
        (ts.isParameter(parent) || ts.isFunctionDeclaration(parent) || ts.isBindingElement(parent)) && parent.name === node;
      const isInner = ts.isVariableDeclaration(parent) && parent.name === node && parent.parent.parent.parent !== file;
      if (SCHEMA_NAME.test(node.text) && (isDeclared || isInner)) refuse(node);
      if (!names.has(node.text)) return;
      if (ts.isShorthandPropertyAssignment(parent)) inserts.push([node.getEnd(), `: ${node.text}()`]);
      else if (isUse(node)) inserts.push([node.getEnd(), '()']);
      return;
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  let out = text;
  // From the end; of two at one place the one that was found later comes first: `)` of an initializer after `()` of its last word.
  const ordered = inserts.map(([at, what], index) => ({ at, what, index })).sort((a, b) => b.at - a.at || a.index - b.index);
  for (const { at, what } of ordered) out = out.slice(0, at) + what + out.slice(at);
  return initializers.length === 0 ? out : `${out}\n${HELPER}`;
}

/** Plugin of esbuild. */
export const lazySchemas = {
  name: 'lazy-schemas',
  setup(build) {
    build.onLoad({ filter: /\/packages\/[a-z-]+\/src\/.*\.ts$/ }, ({ path }) => ({
      contents: withLazySchemas(path, readFileSync(path, 'utf8')),
      loader: 'ts',
    }));
  },
};
