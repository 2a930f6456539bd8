import { extname } from 'node:path';
import { AppError, type DatasetLayout } from '@selvedge/contract';
import { findCocoFiles, readCoco } from './layouts/read-coco.ts';
import { looksLikeCsv, readCsv } from './layouts/read-csv.ts';
import { readFolders } from './layouts/read-folders.ts';
import { isIdxName, readIdx } from './layouts/read-idx.ts';
import { isNumpyOnly, readNpz } from './layouts/read-npz.ts';
import { isStandard, readStandard } from './layouts/read-standard.ts';
import { looksLikeVoc, readVoc } from './layouts/read-voc.ts';
import { looksLikeYolo, readYolo } from './layouts/read-yolo.ts';
import { ACCEPTED_LAYOUTS, type Source, type SourceFolder } from './source-sample.ts';

interface Layout {
  readonly format: DatasetLayout;
  looksLike(folder: SourceFolder): Promise<boolean> | boolean;
  read(folder: SourceFolder): Promise<Source> | Source;
}

/** The first that fits is taken: what says most about itself comes first, and folders are what anything may be. */
const LAYOUTS: readonly Layout[] = [
  { format: 'standard', looksLike: ({ paths }) => isStandard(paths), read: readStandard },
  { format: 'idx', looksLike: ({ paths }) => paths.some(isIdxName), read: readIdx },
  { format: 'npz', looksLike: ({ paths }) => isNumpyOnly(paths), read: readNpz },
  { format: 'coco', looksLike: async (folder) => (await findCocoFiles(folder)).length > 0, read: readCoco },
  { format: 'voc', looksLike: looksLikeVoc, read: readVoc },
  { format: 'yolo', looksLike: looksLikeYolo, read: readYolo },
  { format: 'csv', looksLike: looksLikeCsv, read: readCsv },
  { format: 'folders', looksLike: () => true, read: readFolders },
];

/**
 * Recognises a layout, or takes the one that `options.format` names, and reads it.
 *
 * @throws AppError DATASET_FORMAT (user), which says what was seen when nothing fits.
 */
export async function readLayout(folder: SourceFolder): Promise<Source> {
  const { format } = folder.options;
  for (const layout of LAYOUTS) {
    if (format === undefined ? !(await layout.looksLike(folder)) : layout.format !== format) continue;
    try {
      return await layout.read(folder);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'DATASET_FORMAT' || error.details.hint !== undefined) throw error;
      const why = format === undefined ? `The data was taken for ${layout.format}` : `The data was to be read as ${format}`;
      throw new AppError(
        error.code,
        { ...error.details, hint: `${why}; it holds ${seen(folder.paths)}. ${ACCEPTED_LAYOUTS}` },
        { cause: error },
      );
    }
  }
  throw new AppError('DATASET_FORMAT', { message: `The data holds ${seen(folder.paths)}.`, hint: ACCEPTED_LAYOUTS });
}

/** "120 .jpg, 118 .txt, 1 .yaml" */
function seen(paths: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const ending = extname(path).toLowerCase() || 'files without ending';
    counts.set(ending, (counts.get(ending) ?? 0) + 1);
  }
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 6)
    .map(([ending, count]) => `${count} ${ending}`)
    .join(', ');
}
