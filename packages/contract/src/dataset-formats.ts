import * as z from 'zod';
import { sha256Schema } from './common.ts';

/** Layouts that the import tool reads; `standard` is what it writes (see artifact-formats). */
export const DATASET_LAYOUTS = ['standard', 'folders', 'coco', 'yolo', 'voc', 'csv', 'idx', 'npz'] as const;
export const datasetLayoutSchema = z.enum(DATASET_LAYOUTS);
export type DatasetLayout = z.infer<typeof datasetLayoutSchema>;

export const DATASET_TYPES = ['image-classification', 'object-detection', 'tabular'] as const;
export type DatasetType = (typeof DATASET_TYPES)[number];

const columnName = z.string().min(1).max(256);

/** How given data is read, where it does not say enough itself. */
export const importOptionsSchema = z.strictObject({
  /** The layout, in place of what would be recognised. */
  format: datasetLayoutSchema.optional(),
  /** Import what is good and list the rest in the report; without it, one broken file refuses all. */
  skipBroken: z.boolean().optional(),
  /** CSV: the column with the class; default `label`, `class`, `target`, `category` or `species`, for a table else the last one. */
  labelColumn: columnName.optional(),
  /** CSV: columns that are no features. */
  ignoreColumns: z.array(columnName).max(1000).optional(),
  /** Pictures: the file's name up to this text is the sample's group, so that `p17_a.jpg` and `p17_b.jpg` stay together. */
  groupBefore: z.string().min(1).max(16).optional(),
});
export type ImportOptions = z.infer<typeof importOptionsSchema>;

const splitNameSchema = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, 'must be lower-case letters, digits, "_" and "-"');

/** New splits for a dataset: per name its share of every class. Samples of one group, and copies of one file, stay together. */
export const resplitSchema = z.strictObject({
  shares: z
    .record(splitNameSchema, z.number().positive().max(1))
    .refine((shares) => Object.keys(shares).length >= 1 && Object.keys(shares).length <= 16, 'needs one to sixteen splits')
    .refine((shares) => Math.abs(Object.values(shares).reduce((sum, share) => sum + share, 0) - 1) < 1e-6, 'must add up to 1'),
  seed: z.int().min(0).max(0xffff_ffff),
});
export type Resplit = z.infer<typeof resplitSchema>;

/** A box in pixels of the picture as stored (EXIF orientation not applied), origin in the top left corner; `label` indexes the labels. */
export const boxSchema = z.strictObject({
  label: z.int().min(0),
  x: z.number().min(0),
  y: z.number().min(0),
  width: z.number().positive(),
  height: z.number().positive(),
});
export type Box = z.infer<typeof boxSchema>;

/**
 * files/table.json of a tabular dataset. Beside it are, per split, files/<split>.x.npy (float32 [N, F]) and
 * files/<split>.y.npy (int64 [N], index into the labels). A number column is one feature; a category column is one
 * feature of 0 or 1 per value, in the order of `values`.
 */
export const tableSchema = z.strictObject({
  formatVersion: z.literal(1),
  labelColumn: z.string(),
  columns: z
    .array(
      z.discriminatedUnion('type', [
        z.strictObject({ name: z.string(), type: z.literal('number') }),
        z.strictObject({ name: z.string(), type: z.literal('category'), values: z.array(z.string()).min(1).max(1000) }),
      ]),
    )
    .min(1)
    .max(100_000),
  /** One name per feature, F in all: `width`, `colour=red`, ... */
  features: z.array(z.string()).min(1).max(1_000_000),
});
export type DatasetTable = z.infer<typeof tableSchema>;

/** Most files that a report or a refusal names; the count goes on. */
export const MAX_NAMED_FILES = 1000;
export const fileFaultSchema = z.object({ path: z.string(), message: z.string() });
export type FileFault = z.infer<typeof fileFaultSchema>;

/** report.json of a dataset: what was found while it was imported. It is no part of the content and of its digest. */
export const datasetReportSchema = z.object({
  formatVersion: z.literal(1),
  /** What was recognised, in words. */
  layout: z.string(),
  format: datasetLayoutSchema,
  /** Per label the samples of each split; for object-detection the boxes. */
  balance: z.array(z.object({ label: z.string(), splits: z.record(z.string(), z.int().min(0)) })),
  /** Bytes of the files. */
  fileSize: z.object({ min: z.int(), median: z.int(), max: z.int() }).nullable(),
  /** Pixels; null where there are no pictures. */
  pictureSize: z.object({ minWidth: z.int(), maxWidth: z.int(), minHeight: z.int(), maxHeight: z.int(), sizes: z.int().min(1) }).nullable(),
  duplicates: z.object({
    /** Files beyond the first of each content. */
    files: z.int().min(0),
    /** Contents that are in several splits: what is tested was trained on. */
    acrossSplits: z.int().min(0),
    /** The largest groups first, a hundred at most, each with ten paths at most. */
    groups: z.array(z.object({ sha256: sha256Schema, count: z.int().min(2), paths: z.array(z.string()) })),
  }),
  /** Files that were left out because they are broken. */
  broken: z.object({ count: z.int().min(0), files: z.array(fileFaultSchema).max(MAX_NAMED_FILES) }),
  /** Pictures for object detection that have no box, and others that carry a remark. */
  notes: z.array(z.string()).max(100),
});
export type DatasetReport = z.infer<typeof datasetReportSchema>;

const changedFileSchema = z.object({ path: z.string(), changes: z.array(z.string()) });

/** What a second version has against a first; the lists name up to a hundred files each. */
export const datasetDiffSchema = z.object({
  from: z.string(),
  to: z.string(),
  same: z.boolean(),
  counts: z.object({ unchanged: z.int(), added: z.int(), removed: z.int(), changed: z.int(), moved: z.int() }),
  added: z.array(z.string()),
  removed: z.array(z.string()),
  /** Same path; `changes` are of content, label, boxes, split, group. */
  changed: z.array(changedFileSchema),
  /** Same content under another path. */
  moved: z.array(z.object({ from: z.string(), to: z.string() })),
  labels: z.object({ added: z.array(z.string()), removed: z.array(z.string()) }),
});
export type DatasetDiff = z.infer<typeof datasetDiffSchema>;

/** The files of a version, read again and compared with its manifest. */
export const datasetVerificationSchema = z.object({
  version: z.string(),
  ok: z.boolean(),
  files: z.int().min(0),
  sizeBytes: z.int().min(0),
  broken: z.object({ count: z.int().min(0), files: z.array(fileFaultSchema).max(MAX_NAMED_FILES) }),
});
export type DatasetVerification = z.infer<typeof datasetVerificationSchema>;

export const datasetRemovalSchema = z.object({
  removed: z.array(z.string()),
  /** Versions that stay, with what needs them. */
  kept: z.array(z.object({ version: z.string(), because: z.array(z.string()) })),
});
export type DatasetRemoval = z.infer<typeof datasetRemovalSchema>;
