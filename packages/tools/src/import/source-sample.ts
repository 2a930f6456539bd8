import {
  AppError,
  type DatasetLayout,
  type DatasetTable,
  type FileFault,
  type ImportOptions,
  type Issue,
  MAX_NAMED_FILES,
} from '@selvedge/contract';

/** A box as the source has it; `share` counts in widths and heights of the picture. `x`, `y` is the top left corner. */
export interface SourceBox {
  readonly label: string;
  readonly unit: 'pixel' | 'share';
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One picture found in what was given to the import tool. */
export interface SourceSample {
  /** Where it goes below files/; unique. */
  readonly path: string;
  /** undefined where the source does not say whether it trains or tests. */
  readonly split: string | undefined;
  /** For classification. */
  readonly label?: string;
  /** For detection. */
  readonly boxes?: readonly SourceBox[];
  readonly group?: string | undefined;
  /** A picture on disk, to be checked; or one that is encoded here and needs no check. */
  readonly content: { readonly file: string } | { encode(): Promise<Uint8Array> };
}

interface SourceFacts {
  readonly format: DatasetLayout;
  /** What was recognised, in words. */
  readonly layout: string;
  /** In the order of the class index. */
  readonly labels: readonly string[];
  /** What cannot be used, found before any picture was opened. */
  readonly faults: readonly FileFault[];
  readonly notes: readonly string[];
}

export interface PictureSource extends SourceFacts {
  readonly kind: 'pictures';
  readonly type: 'image-classification' | 'object-detection';
  readonly samples: readonly SourceSample[];
}

export interface TableSource extends SourceFacts {
  readonly kind: 'table';
  readonly table: DatasetTable;
  /** Per row the class index. */
  readonly rowLabels: Int32Array;
  /** Per row the split; undefined where the source does not say. */
  splitOf(row: number): string | undefined;
  /** Every row, in order; may be called once per pass. */
  rows(signal: AbortSignal): AsyncIterable<Float32Array>;
}

export type Source = PictureSource | TableSource;

/** What a layout's reader gets. */
export interface SourceFolder {
  readonly root: string;
  /** Relative paths of all files, sorted, without what systems leave behind. */
  readonly paths: readonly string[];
  /** For what has to be unpacked. */
  readonly scratch: string;
  readonly options: ImportOptions;
  readonly signal: AbortSignal;
}

export const ACCEPTED_LAYOUTS = [
  'Accepted: folders of JPEG, PNG or WebP pictures as <label>/<file> or <split>/<label>/<file> (splits such as train and test);',
  'COCO JSON, YOLO (data.yaml or classes.txt, images/ and labels/), Pascal VOC XML; CSV with a column of pictures or with a table;',
  'IDX files in pairs, train-images-idx3-ubyte with train-labels-idx1-ubyte and the same with t10k, each also as .gz; NPZ with x and y.',
  'All may be packed as tar, tar.gz or zip. A layout is forced with --format.',
].join(' ');

/** Faults in the message itself: it travels further than the list does. */
const MAX_NAMED_IN_MESSAGE = 5;

/** DATASET_FORMAT with the faults of single files; up to a thousand are listed. */
export function badFiles(faults: readonly FileFault[], found = faults.length): AppError {
  const shown: Issue[] = faults.slice(0, MAX_NAMED_FILES).map(({ path, message }) => ({ path, message, file: path }));
  const named = faults.slice(0, MAX_NAMED_IN_MESSAGE).map(({ path, message }) => `${path}: ${message.replace(/\.+$/, '')}`);
  const others = found > MAX_NAMED_IN_MESSAGE ? `; and ${found - MAX_NAMED_IN_MESSAGE} more` : '';
  return new AppError('DATASET_FORMAT', {
    message: `${found} file(s) cannot be used: ${named.join('; ')}${others}.`,
    hint: 'Repair or remove them, or import without them (--skip-broken). Pictures must be whole JPEG, PNG or WebP files.',
    issues: shown,
    data: { files: found },
  });
}
