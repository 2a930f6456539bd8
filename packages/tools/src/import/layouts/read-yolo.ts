import { basename, extname, join, posix } from 'node:path';
import { AppError, type FileFault } from '@selvedge/contract';
import { parse } from 'yaml';
import * as z from 'zod';
import { mapConcurrently } from '../../sampling/map-concurrently.ts';
import type { PictureSource, SourceBox, SourceFolder, SourceSample } from '../source-sample.ts';
import { PictureIndex } from './picture-index.ts';
import { readSmallText } from './read-small-text.ts';
import { dropSingleSplit, splitInPath } from './split-names.ts';

const MAX_TEXT_BYTES = 4 * 1024 ** 2;
const CONCURRENCY = 8;
const NAME_FILES = ['classes.txt', 'obj.names', 'classes.names'];
const dataSchema = z.object({ names: z.union([z.array(z.coerce.string()), z.record(z.string(), z.coerce.string())]) });

interface Classes {
  readonly file: string;
  readonly names: readonly string[];
}

/** True where labels/ or the names of classes say so. */
export async function looksLikeYolo({ root, paths }: SourceFolder): Promise<boolean> {
  const hasLabels = paths.some((path) => extname(path) === '.txt' && !NAME_FILES.includes(basename(path)));
  return hasLabels && (await readClasses(root, paths)) !== undefined;
}

async function readClasses(root: string, paths: readonly string[]): Promise<Classes | undefined> {
  for (const file of paths.filter((path) => /\.ya?ml$/i.test(path))) {
    let value: unknown;
    try {
      value = parse(await readSmallText(root, file, MAX_TEXT_BYTES), { maxAliasCount: 100 });
    } catch {
      continue; // some other YAML file, or a broken one: then the classes are missing, which is said
    }
    const parsed = dataSchema.safeParse(value);
    if (!parsed.success) continue;
    const { names } = parsed.data;
    if (Array.isArray(names)) return { file, names };
    const count = Math.max(...Object.keys(names).map(Number)) + 1;
    if (Number.isInteger(count) && count <= 100_000)
      return { file, names: Array.from({ length: count }, (_, i) => names[String(i)] ?? String(i)) };
  }
  const file = paths.find((path) => NAME_FILES.includes(basename(path)));
  if (file === undefined) return undefined;
  const names = (await readSmallText(root, file, MAX_TEXT_BYTES)).split(/\r?\n/).map((line) => line.trim());
  while (names.at(-1) === '') names.pop();
  return { file, names };
}

/** images/train/a.jpg has labels/train/a.txt, train/images/a.jpg has train/labels/a.txt; else the text is beside the picture. */
function labelFileOf(picture: string): string[] {
  const text = `${picture.slice(0, -extname(picture).length)}.txt`;
  const parts = text.split('/');
  const at = parts.lastIndexOf('images');
  return at < 0 ? [text] : [parts.with(at, 'labels').join('/'), text];
}

/**
 * Reads the text format of YOLO: one line per object, `class cx cy width height` in shares of the picture, or `class`
 * and the corners of a polygon, of which the box around it is taken. A picture without a text has no objects.
 *
 * @see https://docs.ultralytics.com/datasets/detect/
 * @throws AppError DATASET_FORMAT (user)
 */
export async function readYolo({ root, paths, signal }: SourceFolder): Promise<PictureSource> {
  const classes = await readClasses(root, paths);
  if (classes === undefined || classes.names.length === 0) {
    throw new AppError('DATASET_FORMAT', { message: 'There is no data.yaml with "names" and no classes.txt: the classes are not known.' });
  }
  const all = new Set(paths);
  const used = new Set<string>();
  const faults: FileFault[] = [];
  const pictures = new PictureIndex(paths).paths;
  const samples = await mapConcurrently(pictures, CONCURRENCY, signal, async (path): Promise<SourceSample | undefined> => {
    const labelFile = labelFileOf(path).find((candidate) => all.has(candidate));
    if (labelFile !== undefined) used.add(labelFile);
    try {
      const boxes = labelFile === undefined ? [] : parseLabels(await readSmallText(root, labelFile, MAX_TEXT_BYTES), classes.names);
      return { path, split: splitInPath(posix.dirname(path)), boxes, content: { file: join(root, path) } };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      faults.push({ path: labelFile ?? path, message: error.message });
      return undefined;
    }
  });
  for (const path of paths) {
    if (/(^|\/)labels\//.test(path) && extname(path) === '.txt' && !used.has(path) && !NAME_FILES.includes(basename(path)))
      faults.push({ path, message: 'has no picture' });
  }
  const found = dropSingleSplit(samples.filter((sample) => sample !== undefined));
  const without = found.filter((sample) => sample.boxes?.length === 0).length;
  return {
    kind: 'pictures',
    format: 'yolo',
    type: 'object-detection',
    layout: `YOLO (${classes.file}): ${pictures.length} pictures, ${used.size} label files, ${classes.names.length} classes`,
    labels: classes.names,
    samples: found,
    faults,
    notes: without === 0 ? [] : [`${without} picture(s) have no object`],
  };
}

function parseLabels(text: string, names: readonly string[]): SourceBox[] {
  const boxes: SourceBox[] = [];
  for (const [number, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const refuse = (why: string) => new AppError('DATASET_FORMAT', { message: `line ${number + 1} ${why}` });
    const [index = Number.NaN, ...values] = line.trim().split(/\s+/).map(Number);
    const label = Number.isInteger(index) ? names[index] : undefined;
    if (![index, ...values].every(Number.isFinite)) throw refuse('has something that is no number');
    if (label === undefined) throw refuse(`has the class ${index}, and there are ${names.length}`);
    if (values.length === 4) {
      const [cx = 0, cy = 0, width = 0, height = 0] = values;
      boxes.push({ label, unit: 'share', x: cx - width / 2, y: cy - height / 2, width, height });
    } else if (values.length >= 6 && values.length % 2 === 0) boxes.push({ label, unit: 'share', ...around(values) });
    else throw refuse(`has ${values.length + 1} values; 5 are a box, 7 or more (odd) a polygon`);
  }
  return boxes;
}

function around(corners: readonly number[]): { x: number; y: number; width: number; height: number } {
  const xs = corners.filter((_, i) => i % 2 === 0);
  const ys = corners.filter((_, i) => i % 2 === 1);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}
