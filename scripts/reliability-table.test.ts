import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const ROOT = new URL('../', import.meta.url);

interface Named {
  fault: string;
  file: string;
  test: string;
  /** Of `it.each`. */
  of: string | undefined;
}

/** The last column of each row: `file` › name [case]. */
function testsOf(markdown: string): { rows: number; tests: Named[] } {
  const rows = markdown.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| fault |'));
  const tests = rows.flatMap((row) => {
    const [fault = '', ...columns] = row.split(' | ').map((column) => column.replace(/^\||\|$/g, '').trim());
    const found = /^`([^`]+)` › (.+?)(?: \[([\w-]+)\])?$/.exec(columns.at(-1) ?? '');
    return found === null ? [] : [{ fault, file: found[1] ?? '', test: found[2] ?? '', of: found[3] }];
  });
  return { rows: rows.length, tests };
}

const isIn = (source: string, text: string): boolean => ["'", '"', '`'].some((quote) => source.includes(`${quote}${text}${quote}`));

it('every fault of docs/reliability.md names a test that exists', () => {
  const { rows, tests } = testsOf(readFileSync(new URL('docs/reliability.md', ROOT), 'utf8'));
  expect(rows).toBeGreaterThan(40);
  expect(tests).toHaveLength(rows);
  const missing = tests.filter(({ file, test, of }) => {
    const url = new URL(file, ROOT);
    const source = existsSync(url) ? readFileSync(url, 'utf8') : '';
    return !isIn(source, test) || (of !== undefined && !isIn(source, of));
  });
  expect(missing).toEqual([]);
});
