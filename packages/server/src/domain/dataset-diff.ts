import type { DatasetDiff, DatasetFile } from '@selvedge/contract';

/** Names in each list; the counts go on. */
const MAX_NAMED = 100;
/** Files in one of the two versions only that are compared by content; beyond it they count as added and removed. */
const MAX_COMPARED = 2_000_000;

export interface Manifest {
  /** `digits@1`. */
  readonly name: string;
  readonly labels: readonly string[];
  /** Sorted by path, by code unit. */
  readonly files: AsyncIterable<DatasetFile>;
}

/** What stands in the place of a class index: two versions may number their classes differently. */
function meaning({ label, boxes }: DatasetFile, labels: readonly string[]): { label: string | undefined; boxes: string | undefined } {
  const named = boxes?.map((box) => [labels[box.label], box.x, box.y, box.width, box.height]);
  return { label: label === undefined ? undefined : labels[label], boxes: named === undefined ? undefined : JSON.stringify(named) };
}

function changesOf(a: DatasetFile, b: DatasetFile, labelsA: readonly string[], labelsB: readonly string[]): string[] {
  const changes: string[] = [];
  const [before, after] = [meaning(a, labelsA), meaning(b, labelsB)];
  if (a.sha256 !== b.sha256) changes.push('content');
  if (before.label !== after.label) changes.push(`label ${before.label} → ${after.label}`);
  if (before.boxes !== after.boxes) changes.push('boxes');
  if (a.split !== b.split) changes.push(`split ${a.split} → ${b.split}`);
  if (a.group !== b.group) changes.push(`group ${a.group ?? '-'} → ${b.group ?? '-'}`);
  return changes;
}

/**
 * Compares two versions in one pass over both manifests. Memory grows with what differs, not with the versions.
 */
export async function diffManifests(from: Manifest, to: Manifest): Promise<DatasetDiff> {
  const counts = { unchanged: 0, added: 0, removed: 0, changed: 0, moved: 0 };
  const changed: DatasetDiff['changed'] = [];
  const onlyFrom: { path: string; sha256: string }[] = [];
  const onlyTo: { path: string; sha256: string }[] = [];
  const keep = (list: { path: string; sha256: string }[], { path, sha256 }: DatasetFile) => {
    if (list.length < MAX_COMPARED) list.push({ path, sha256 });
  };
  const [a, b] = [from.files[Symbol.asyncIterator](), to.files[Symbol.asyncIterator]()];
  let [left, right] = [await a.next(), await b.next()];
  while (left.done !== true || right.done !== true) {
    if (right.done === true || (left.done !== true && left.value.path < right.value.path)) {
      counts.removed += 1;
      if (left.done !== true) keep(onlyFrom, left.value);
      left = await a.next();
    } else if (left.done === true || right.value.path < left.value.path) {
      counts.added += 1;
      keep(onlyTo, right.value);
      right = await b.next();
    } else {
      const changes = changesOf(left.value, right.value, from.labels, to.labels);
      counts[changes.length === 0 ? 'unchanged' : 'changed'] += 1;
      if (changes.length > 0 && changed.length < MAX_NAMED) changed.push({ path: left.value.path, changes });
      [left, right] = [await a.next(), await b.next()];
    }
  }
  const { moved, removed, added } = pairMoved(onlyFrom, onlyTo);
  counts.moved = moved.length;
  counts.removed -= moved.length;
  counts.added -= moved.length;
  const labels = {
    added: to.labels.filter((label) => !from.labels.includes(label)).slice(0, MAX_NAMED),
    removed: from.labels.filter((label) => !to.labels.includes(label)).slice(0, MAX_NAMED),
  };
  const same = counts.added + counts.removed + counts.changed + counts.moved + labels.added.length + labels.removed.length === 0;
  const named = (files: readonly { path: string }[]) => files.slice(0, MAX_NAMED).map(({ path }) => path);
  return {
    from: from.name,
    to: to.name,
    same,
    counts,
    added: named(added),
    removed: named(removed),
    changed,
    moved: moved.slice(0, MAX_NAMED),
    labels,
  };
}

interface Named {
  readonly path: string;
  readonly sha256: string;
}

/** A content that is gone from one path and new at another was moved. */
function pairMoved(
  onlyFrom: readonly Named[],
  onlyTo: readonly Named[],
): { moved: DatasetDiff['moved']; removed: Named[]; added: Named[] } {
  const byContent = new Map<string, string[]>();
  for (const { path, sha256 } of onlyFrom) byContent.set(sha256, [...(byContent.get(sha256) ?? []), path]);
  const moved: DatasetDiff['moved'] = [];
  const gone = new Set<string>();
  const added = onlyTo.filter(({ path, sha256 }) => {
    const from = byContent.get(sha256)?.shift();
    if (from === undefined) return true;
    moved.push({ from, to: path });
    gone.add(from);
    return false;
  });
  return { moved, removed: onlyFrom.filter(({ path }) => !gone.has(path)), added };
}
