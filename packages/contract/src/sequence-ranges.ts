/** Sequence numbers from `first` to `last`, both among them. */
export interface SequenceRange {
  first: number;
  last: number;
}

/** Adds a range to ranges that are sorted and do not touch; so is the result. */
export function addRange(ranges: readonly SequenceRange[], added: SequenceRange): SequenceRange[] {
  const before = ranges.filter(({ last }) => last < added.first - 1);
  const after = ranges.filter(({ first }) => first > added.last + 1);
  const touching = ranges.filter(({ first, last }) => last >= added.first - 1 && first <= added.last + 1);
  const first = Math.min(added.first, ...touching.map((range) => range.first));
  const last = Math.max(added.last, ...touching.map((range) => range.last));
  return [...before, { first, last }, ...after];
}

export function hasNumber(ranges: readonly SequenceRange[], sequence: number): boolean {
  return ranges.some(({ first, last }) => sequence >= first && sequence <= last);
}

/** What of `within` no range covers, lowest first. */
export function gapsIn(ranges: readonly SequenceRange[], within: SequenceRange): SequenceRange[] {
  const gaps: SequenceRange[] = [];
  let from = within.first;
  for (const { first, last } of ranges) {
    if (last < from) continue;
    if (first > within.last) break;
    if (first > from) gaps.push({ first: from, last: first - 1 });
    from = last + 1;
  }
  if (from <= within.last) gaps.push({ first: from, last: within.last });
  return gaps;
}
