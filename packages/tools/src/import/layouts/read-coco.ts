import { extname, join, posix } from 'node:path';
import { AppError, type FileFault } from '@selvedge/contract';
import * as z from 'zod';
import type { PictureSource, SourceBox, SourceFolder, SourceSample } from '../source-sample.ts';
import { PictureIndex } from './picture-index.ts';
import { readSmallText } from './read-small-text.ts';
import { dropSingleSplit, splitInPath } from './split-names.ts';

/** The annotations of COCO's train2017 have 470 MB; a JavaScript string ends at 512 MB. */
const MAX_JSON_BYTES = 500 * 1024 ** 2;
/** More JSON files than this beside pictures are one per picture, and not COCO. */
const MAX_JSON_FILES = 64;

const idSchema = z.union([z.int(), z.string()]);
const cocoSchema = z.object({
  images: z.array(z.object({ id: idSchema, file_name: z.string().min(1) })),
  categories: z.array(z.object({ id: idSchema, name: z.string().min(1).max(256) })).min(1),
  annotations: z.array(
    z.object({
      image_id: idSchema,
      category_id: idSchema,
      /** [x, y, width, height] in pixels from the top left corner. */
      bbox: z.array(z.number()).length(4),
      iscrowd: z.union([z.int(), z.boolean()]).optional(),
    }),
  ),
});
type Coco = z.infer<typeof cocoSchema>;
type Id = z.infer<typeof idSchema>;

/** The files that look like COCO: JSON objects with images, annotations and categories. */
export async function findCocoFiles({ root, paths }: SourceFolder): Promise<string[]> {
  const candidates = paths.filter((path) => extname(path).toLowerCase() === '.json');
  if (candidates.length > MAX_JSON_FILES) return [];
  const found: string[] = [];
  for (const path of candidates) {
    const text = await readSmallText(root, path, MAX_JSON_BYTES);
    if (/"images"\s*:\s*\[/.test(text) && /"categories"\s*:\s*\[/.test(text)) found.push(path);
  }
  return found;
}

/**
 * Reads COCO's object detection format. Crowd regions (`iscrowd`) are no objects and are left out.
 *
 * @see https://cocodataset.org/#format-data
 * @throws AppError DATASET_FORMAT (user)
 */
export async function readCoco(folder: SourceFolder): Promise<PictureSource> {
  const files = await findCocoFiles(folder);
  if (files.length === 0) throw new AppError('DATASET_FORMAT', { message: 'No JSON file has "images", "annotations" and "categories".' });
  const index = new PictureIndex(folder.paths);
  const faults: FileFault[] = [];
  const samples = new Map<string, SourceSample>();
  const names = new Map<string, number>();
  for (const path of files) {
    folder.signal.throwIfAborted();
    const coco = await parseCoco(folder.root, path);
    const labels = new Map(coco.categories.map(({ id, name }) => [id, name]));
    const order = coco.categories.toSorted((a, b) => (typeof a.id === 'number' && typeof b.id === 'number' ? a.id - b.id : 0));
    for (const { name } of order) if (!names.has(name)) names.set(name, names.size);
    addSamples({ path, coco, labels, index, root: folder.root, samples, faults });
  }
  const all = dropSingleSplit([...samples.values()]);
  const boxes = all.reduce((sum, sample) => sum + (sample.boxes?.length ?? 0), 0);
  return {
    kind: 'pictures',
    format: 'coco',
    type: 'object-detection',
    layout: `COCO JSON (${files.join(', ')}): ${all.length} pictures, ${boxes} boxes`,
    labels: [...names.keys()],
    samples: all,
    faults,
    notes: [],
  };
}

async function parseCoco(root: string, path: string): Promise<Coco> {
  let value: unknown;
  try {
    value = JSON.parse(await readSmallText(root, path, MAX_JSON_BYTES));
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('DATASET_FORMAT', { message: `${path} is not JSON: ${cause instanceof Error ? cause.message : cause}.` }, { cause });
  }
  const parsed = cocoSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 100).map((issue) => ({ path: `${path}: ${issue.path.join('.')}`, message: issue.message }));
  throw new AppError('DATASET_FORMAT', {
    message: `${path} is not COCO's object detection format: ${issues[0]?.path} ${issues[0]?.message}.`,
    issues,
  });
}

interface CocoPart {
  readonly path: string;
  readonly coco: Coco;
  readonly labels: ReadonlyMap<Id, string>;
  readonly index: PictureIndex;
  readonly root: string;
  readonly samples: Map<string, SourceSample>;
  readonly faults: FileFault[];
}

function addSamples({ path, coco, labels, index, root, samples, faults }: CocoPart): void {
  const boxes = new Map<Id, SourceBox[]>(coco.images.map(({ id }) => [id, []]));
  /** A picture that has lost one of its boxes would teach that nothing is there. */
  const broken = new Set<Id>();
  for (const [number, { image_id, category_id, bbox, iscrowd }] of coco.annotations.entries()) {
    const label = labels.get(category_id);
    const own = boxes.get(image_id);
    const at = { path: `${path}: annotations[${number}]` };
    if (own === undefined) faults.push({ ...at, message: `names the picture ${image_id}, which is not in "images"` });
    else if (label === undefined) {
      faults.push({ ...at, message: `names the category ${category_id}, which is not in "categories"` });
      broken.add(image_id);
    } else if (iscrowd !== true && iscrowd !== 1) {
      const [x = 0, y = 0, width = 0, height = 0] = bbox;
      own.push({ label, unit: 'pixel', x, y, width, height });
    }
  }
  const split = splitInPath(path);
  const here = posix.dirname(path) === '.' ? '' : posix.dirname(path);
  const base = posix.basename(path, '.json').replace(/^.*?_/, '');
  const above = posix.dirname(here) === '.' ? '' : posix.dirname(here);
  const folders = [
    here,
    `${here}/images`,
    base,
    `images/${base}`,
    above,
    posix.join(above, base),
    posix.join(above, 'images'),
    posix.join(above, 'images', base),
  ];
  for (const { id, file_name } of coco.images.filter((image) => !broken.has(image.id))) {
    const found = index.find(file_name, folders);
    if ('fault' in found) faults.push({ path: `${path}: ${file_name}`, message: found.fault });
    else if (samples.has(found.path)) faults.push({ path: found.path, message: `is listed twice, the second time in ${path}` });
    else
      samples.set(found.path, {
        path: found.path,
        split: split ?? splitInPath(found.path),
        boxes: boxes.get(id) ?? [],
        content: { file: join(root, found.path) },
      });
  }
}
