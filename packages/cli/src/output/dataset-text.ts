import { type DatasetDiff, type DatasetReport, type DatasetVersion, describeDatasetSource } from '@selvedge/contract';
import { formatBytes, orDash } from './format.ts';
import { renderFields, renderTable } from './table.ts';

/** Lines of lists that are printed; -o json has them all. */
const MAX_LINES = 20;

export function splitsOf(version: DatasetVersion): string {
  const splits = Object.entries(version.status.content?.splits ?? {});
  return orDash(splits.map(([split, count]) => `${split} ${count}`).join(', '));
}

function labelsOf(version: DatasetVersion): string {
  const labels = version.status.content?.labels ?? [];
  const shown = labels.slice(0, 20).join(' ');
  return `${labels.length}${labels.length === 0 ? '' : `: ${shown}${labels.length > 20 ? ' …' : ''}`}`;
}

export function describeVersion(version: DatasetVersion): [string, string][] {
  const content = version.status.content;
  return [
    ['Dataset', version.spec.dataset],
    ['Version', String(version.spec.version)],
    ['State', version.status.phase === 'Ready' ? 'Ready' : `${version.status.phase}: ${version.status.message}`],
    ['Type', orDash(content?.type)],
    ['Source', describeDatasetSource(version)],
    ['Files', content === null ? '-' : `${content.files}, ${formatBytes(content.sizeBytes)}`],
    ['Splits', splitsOf(version)],
    ['Labels', labelsOf(version)],
    ['Digest', orDash(content?.digest)],
  ];
}

/** Class balance, sizes, copies and broken files. */
export function renderReport(report: DatasetReport): string {
  const { fileSize, pictureSize, duplicates, broken, balance } = report;
  const range = (min: number, max: number) => (min === max ? String(min) : `${min}-${max}`);
  const fields: [string, string][] = [['Recognised', report.layout]];
  if (pictureSize !== null) {
    const { minWidth, maxWidth, minHeight, maxHeight, sizes } = pictureSize;
    fields.push(['Pictures', `${range(minWidth, maxWidth)} x ${range(minHeight, maxHeight)} pixels${sizes > 1 ? `, ${sizes} sizes` : ''}`]);
  }
  if (fileSize !== null)
    fields.push(['File size', `${formatBytes(fileSize.min)} to ${formatBytes(fileSize.max)}, median ${formatBytes(fileSize.median)}`]);
  const across = duplicates.acrossSplits === 0 ? '' : `; ${duplicates.acrossSplits} of the contents are in several splits`;
  fields.push(['Copies', duplicates.files === 0 ? 'none' : `${duplicates.files} files${across}`]);
  fields.push(['Broken', broken.count === 0 ? 'none' : `${broken.count} files were left out`]);
  const splits = [...new Set(balance.flatMap((row) => Object.keys(row.splits)))].sort();
  const rows = balance.slice(0, 100).map((row) => [row.label, ...splits.map((split) => String(row.splits[split] ?? 0))]);
  const parts = [renderFields(fields), renderTable(['LABEL', ...splits.map((split) => split.toUpperCase())], rows)];
  if (duplicates.groups.length > 0)
    parts.push(
      list(
        'Copies',
        duplicates.groups.map(({ count, paths }) => `${count} x ${paths.slice(0, 3).join(', ')}`),
      ),
    );
  if (broken.count > 0)
    parts.push(
      list(
        'Broken',
        broken.files.map(({ path, message }) => `${path}: ${message}`),
        broken.count,
      ),
    );
  if (report.notes.length > 0) parts.push(list('Notes', report.notes));
  return parts.join('\n\n');
}

/** A titled list with at most twenty lines. */
export function list(title: string, lines: readonly string[], count = lines.length): string {
  const more = count - Math.min(lines.length, MAX_LINES);
  return [`${title}:`, ...lines.slice(0, MAX_LINES).map((line) => `  ${line}`), ...(more > 0 ? [`  and ${more} more`] : [])].join('\n');
}

export function renderDiff(diff: DatasetDiff): string {
  if (diff.same) return `${diff.from} and ${diff.to} are the same.`;
  const { counts, labels } = diff;
  const parts = [
    renderFields([
      ['Unchanged', String(counts.unchanged)],
      ['Added', String(counts.added)],
      ['Removed', String(counts.removed)],
      ['Changed', String(counts.changed)],
      ['Moved', String(counts.moved)],
    ]),
  ];
  if (labels.added.length > 0) parts.push(list('Labels added', labels.added));
  if (labels.removed.length > 0) parts.push(list('Labels removed', labels.removed));
  if (diff.added.length > 0) parts.push(list('Added', diff.added, counts.added));
  if (diff.removed.length > 0) parts.push(list('Removed', diff.removed, counts.removed));
  if (diff.changed.length > 0)
    parts.push(
      list(
        'Changed',
        diff.changed.map(({ path, changes }) => `${path}: ${changes.join(', ')}`),
        counts.changed,
      ),
    );
  if (diff.moved.length > 0)
    parts.push(
      list(
        'Moved',
        diff.moved.map(({ from, to }) => `${from} → ${to}`),
        counts.moved,
      ),
    );
  return parts.join('\n\n');
}
