import type { ServerResponse } from 'node:http';
import type { AnyResource, DatasetReport } from '@selvedge/contract';

/** What the server says of a dataset version: a few faults of each kind. */
export function datasetDetail(version: AnyResource): unknown {
  const report: DatasetReport = {
    formatVersion: 1,
    layout: 'folders of pictures, one per label, below train/ and test/',
    format: 'folders',
    balance: Array.from({ length: 10 }, (_, label) => ({ label: String(label), splits: { train: 330 - label * 7, test: 60 } })),
    fileSize: { min: 310, median: 640, max: 1290 },
    pictureSize: { minWidth: 28, maxWidth: 28, minHeight: 28, maxHeight: 32, sizes: 2 },
    duplicates: {
      files: 3,
      acrossSplits: 1,
      groups: [{ sha256: 'c'.repeat(64), count: 4, paths: ['train/1/00012.png', 'train/1/00419.png', 'test/1/00003.png'] }],
    },
    broken: { count: 2, files: [{ path: 'train/4/cut-off.png', message: 'the file ends in the middle of a chunk' }] },
    notes: [],
  };
  return { version, report, neededBy: ['run/digits-7f3k2', 'modelversion/digits-3'] };
}

export const DATASET_DIFF = {
  from: 'digits@1',
  to: 'digits@2',
  same: false,
  counts: { unchanged: 3480, added: 120, removed: 0, changed: 4, moved: 1 },
  added: ['train/9/10001.png'],
  removed: [],
  changed: [{ path: 'train/4/00041.png', changes: ['label'] }],
  moved: [],
  labels: { added: ['9'], removed: [] },
};

export const DATASET_VERIFICATION = { version: 'digits@2', ok: true, files: 3600, sizeBytes: 9_400_000, broken: { count: 0, files: [] } };

const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAJ0lEQVR4nGNgQAX/gYCBgYGBgQFKMzAwMDAwMDD8BwMGBgYGBgYGAOGxB/lX1JQmAAAAAElFTkSuQmCC',
  'base64',
);

/** Data of the import tool's artifact, as the gateway serves it. */
export function sendDatasetFile(path: string, response: ServerResponse): void {
  if (!path.endsWith('manifest.jsonl')) return void response.writeHead(200, { 'content-type': 'image/png' }).end(PICTURE);
  const lines = Array.from({ length: 60 }, (_, index) =>
    JSON.stringify({
      path: `train/${index % 10}/${index}.png`,
      sha256: 'd'.repeat(64),
      sizeBytes: PICTURE.length,
      split: 'train',
      label: index % 10,
      ...(index % 4 === 0 && { boxes: [{ label: index % 10, x: 1, y: 2, width: 4, height: 5 }] }),
    }),
  );
  response.writeHead(200, { 'content-type': 'application/jsonl' }).end(`${lines.join('\n')}\n`);
}
