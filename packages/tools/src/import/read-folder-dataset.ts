import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { IMAGE_EXTENSIONS } from '@selvedge/graph/image';
import { ACCEPTED_LAYOUTS, badFiles, type SourceDataset } from './source-sample.ts';

/** Kinds of pictures that people have in such folders but that are not read here: better refused than left out in silence. */
const OTHER_PICTURES = ['.bmp', '.gif', '.tif', '.tiff', '.heic', '.avif', '.pgm', '.ppm'];

function isPicture(path: string): boolean {
  return [...IMAGE_EXTENSIONS, ...OTHER_PICTURES].includes(extname(path).toLowerCase());
}

/**
 * Recognises <label>/<file> and <split>/<label>/<file>, also below folders that hold nothing else.
 *
 * @param paths - relative paths of all files, without hidden ones.
 * @throws AppError DATASET_FORMAT (user)
 */
export function readFolderDataset(root: string, paths: readonly string[]): SourceDataset {
  const pictures = paths.filter(isPicture);
  if (pictures.length === 0)
    throw new AppError('DATASET_FORMAT', { message: 'There are no pictures in the data.', hint: ACCEPTED_LAYOUTS });
  const unread = pictures.filter((path) => OTHER_PICTURES.includes(extname(path).toLowerCase()));
  if (unread.length > 0) throw badFiles(unread.map((path) => ({ path, message: 'is not a JPEG, PNG or WebP picture' })));
  const prefix = commonFolders(pictures);
  const inner = pictures.map((path) => path.slice(prefix.length));
  const depth = Math.min(3, Math.max(...inner.map((path) => path.split('/').length)));
  const misplaced = inner.filter((path) => path.split('/').length !== depth || depth < 2);
  if (misplaced.length > 0) {
    const issues = misplaced
      .slice(0, 100)
      .map((path) => ({ path: prefix + path, message: 'is not at <label>/<file> or <split>/<label>/<file>' }));
    const message = `${misplaced.length} picture(s) are not in a folder per label, beginning with ${JSON.stringify(prefix + (misplaced[0] ?? ''))}.`;
    throw new AppError('DATASET_FORMAT', { message, hint: ACCEPTED_LAYOUTS, issues });
  }
  const samples = inner.map((path) => {
    const parts = path.split('/');
    const [split, label = ''] = depth === 3 ? parts : [undefined, ...parts];
    return { path, split, label, load: () => readFile(join(root, prefix + path)) };
  });
  const layout = depth === 3 ? 'folders <split>/<label>/<file>' : 'folders <label>/<file>';
  return { layout, labels: sortLabels(new Set(samples.map((sample) => sample.label))), samples, trusted: false };
}

/** The folders that all pictures share, as long as a label folder and a file remain: "digits/" or "". */
function commonFolders(paths: readonly string[]): string {
  let prefix = '';
  for (;;) {
    const rest = paths.map((path) => path.slice(prefix.length).split('/'));
    const first = rest[0]?.[0];
    if (first === undefined || !rest.every((parts) => parts.length >= 3 && parts[0] === first)) return prefix;
    prefix += `${first}/`;
  }
}

/** Numbers in the order of their value ("2" before "10"), anything else by code unit, so that the order is the same everywhere. */
export function sortLabels(labels: Iterable<string>): string[] {
  const all = [...labels];
  const numeric = all.every((label) => /^(0|[1-9]\d{0,8})$/.test(label));
  return all.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : 1));
}
