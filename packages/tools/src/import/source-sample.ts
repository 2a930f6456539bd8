import { AppError, type Issue } from '@selvedge/contract';

/** One picture found in what was given to the import tool. */
export interface SourceSample {
  /** Where it goes below files/; unique. */
  readonly path: string;
  /** undefined where the source does not say whether it trains or tests. */
  readonly split: string | undefined;
  readonly label: string;
  /** The encoded picture. */
  load(): Promise<Uint8Array>;
}

export interface SourceDataset {
  /** What was recognised, for the log. */
  readonly layout: string;
  /** In the order of the class index. */
  readonly labels: readonly string[];
  readonly samples: readonly SourceSample[];
  /** True when the pictures were encoded here and need no check. */
  readonly trusted: boolean;
}

export const ACCEPTED_LAYOUTS = [
  'Accepted: folders of JPEG, PNG or WebP pictures as <label>/<file> or <split>/<label>/<file> (splits such as train and test);',
  'or IDX files in pairs, train-images-idx3-ubyte with train-labels-idx1-ubyte and the same with t10k, each also as .gz.',
  'Both may be packed as tar, tar.gz or zip.',
].join(' ');

const MAX_ISSUES = 100;
/** Faults in the message itself: it travels further than the list does. */
const MAX_NAMED = 5;

/** DATASET_FORMAT with the faults of single files; the first hundred are listed. */
export function badFiles(faults: readonly { path: string; message: string }[]): AppError {
  const shown: Issue[] = faults.slice(0, MAX_ISSUES).map(({ path, message }) => ({ path, message, file: path }));
  const named = faults.slice(0, MAX_NAMED).map(({ path, message }) => `${path}: ${message.replace(/\.+$/, '')}`);
  const others = faults.length > MAX_NAMED ? `; and ${faults.length - MAX_NAMED} more` : '';
  return new AppError('DATASET_FORMAT', {
    message: `${faults.length} file(s) cannot be used: ${named.join('; ')}${others}.`,
    hint: 'Repair or remove them. Pictures must be whole JPEG, PNG or WebP files.',
    issues: shown,
    data: { files: faults.length },
  });
}
