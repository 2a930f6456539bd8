/**
 * Reads a `Range` header for content of `sizeBytes`.
 *
 * @returns first and last byte, both included; `whole` when there is no range or one that may be ignored (another unit,
 * several ranges, not well formed); `unsatisfiable` when it lies beyond the end.
 * @see RFC 9110, section 14
 */
export function parseByteRange(header: string | undefined, sizeBytes: number): { start: number; end: number } | 'whole' | 'unsatisfiable' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return 'whole';
  if (first === '') {
    const suffix = Number(last);
    if (suffix === 0 || sizeBytes === 0) return 'unsatisfiable';
    return { start: Math.max(sizeBytes - suffix, 0), end: sizeBytes - 1 };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < start) return 'whole';
  return start >= sizeBytes ? 'unsatisfiable' : { start, end };
}
