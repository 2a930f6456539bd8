/** Numbers in the order of their value ("2" before "10"), anything else by code unit, so that the order is the same everywhere. */
export function sortLabels(labels: Iterable<string>): string[] {
  const all = [...labels];
  const numeric = all.every((label) => /^(0|[1-9]\d{0,8})$/.test(label));
  return all.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : 1));
}
