/**
 * The prerequisites in a compiler's dependency file (make syntax), without the target.
 *
 * Escapes are those that clang writes: `\ ` a blank, `\#`, `$$` a dollar, backslash-newline for a long line.
 */
export function parseDepfile(text: string): string[] {
  const colon = text.indexOf(': ');
  if (colon < 0) return [];
  const joined = text.slice(colon + 2).replaceAll('\\\n', ' ');
  const names = joined.match(/(?:\\[ #\\]|[^\s])+/g) ?? [];
  return names.map((name) => name.replace(/\\([ #])/g, '$1').replaceAll('$$', '$'));
}
