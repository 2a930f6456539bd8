import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { ACCEPTED_LAYOUTS, type PictureSource, type SourceFolder } from '../source-sample.ts';
import { isPicture, isUnreadPicture } from './picture-index.ts';
import { sortLabels } from './sort-labels.ts';

/**
 * Recognises <label>/<file> and <split>/<label>/<file>, also below folders that hold nothing else.
 *
 * @throws AppError DATASET_FORMAT (user)
 */
export function readFolders({ root, paths }: SourceFolder): PictureSource {
  const pictures = paths.filter(isPicture);
  if (pictures.length === 0)
    throw new AppError('DATASET_FORMAT', { message: 'There are no pictures in the data.', hint: ACCEPTED_LAYOUTS });
  const faults = pictures.filter(isUnreadPicture).map((path) => ({ path, message: 'is not a JPEG, PNG or WebP picture' }));
  const prefix = commonFolders(pictures);
  const inner = pictures.map((path) => path.slice(prefix.length));
  const depth = Math.min(
    3,
    inner.reduce((most, path) => Math.max(most, path.split('/').length), 0),
  );
  const misplaced = inner.filter((path) => path.split('/').length !== depth || depth < 2);
  if (misplaced.length > 0) {
    const issues = misplaced
      .slice(0, 100)
      .map((path) => ({ path: prefix + path, message: 'is not at <label>/<file> or <split>/<label>/<file>' }));
    const message = `${misplaced.length} picture(s) are not in a folder per label, beginning with ${JSON.stringify(prefix + (misplaced[0] ?? ''))}.`;
    throw new AppError('DATASET_FORMAT', { message, hint: ACCEPTED_LAYOUTS, issues });
  }
  const usable = inner.filter((path) => !isUnreadPicture(path));
  const samples = usable.map((path) => {
    const parts = path.split('/');
    const [split, label = ''] = depth === 3 ? parts : [undefined, ...parts];
    return { path, split, label, content: { file: join(root, prefix + path) } };
  });
  const layout = depth === 3 ? 'folders <split>/<label>/<file>' : 'folders <label>/<file>';
  return {
    kind: 'pictures',
    format: 'folders',
    type: 'image-classification',
    layout: `${layout}: ${samples.length} pictures`,
    labels: sortLabels(new Set(samples.map((sample) => sample.label))),
    samples,
    faults,
    notes: [],
  };
}

/** The folders that all pictures share, as long as a label folder and a file remain: "digits/" or "". */
function commonFolders(paths: readonly string[]): string {
  let prefix = '';
  for (;;) {
    const first = paths[0]?.slice(prefix.length).split('/')[0];
    const next = `${prefix}${first}/`;
    if (!paths.every((path) => path.startsWith(next) && path.slice(next.length).includes('/'))) return prefix;
    prefix = next;
  }
}
