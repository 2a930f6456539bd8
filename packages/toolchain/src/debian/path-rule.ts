/**
 * Tells whether a path below a folder is to be unpacked.
 *
 * @param keep - patterns: a path, or with a trailing `/` all that is below it; `*` stands for any part of one name.
 * @param drop - patterns that win over `keep`.
 */
export function pathRule(keep: readonly string[], drop: readonly string[]): (path: string) => boolean {
  const kept = keep.map(toExpression);
  const dropped = drop.map(toExpression);
  return (path) => kept.some((expression) => expression.test(path)) && !dropped.some((expression) => expression.test(path));
}

function toExpression(pattern: string): RegExp {
  const source = pattern.replace(/[.+^${}()|[\]\\?]/g, '\\$&').replaceAll('*', '[^/]*');
  return new RegExp(`^${source}${pattern.endsWith('/') ? '' : '$'}`);
}
