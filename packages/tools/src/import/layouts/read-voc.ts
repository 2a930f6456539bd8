import { extname, join, posix } from 'node:path';
import { AppError, type FileFault } from '@selvedge/contract';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import * as z from 'zod';
import { mapConcurrently } from '../../sampling/map-concurrently.ts';
import type { PictureSource, SourceBox, SourceFolder, SourceSample } from '../source-sample.ts';
import { PictureIndex, stemOf } from './picture-index.ts';
import { readSmallText } from './read-small-text.ts';
import { sortLabels } from './sort-labels.ts';
import { dropSingleSplit, splitInPath } from './split-names.ts';

const MAX_XML_BYTES = 4 * 1024 ** 2;
const CONCURRENCY = 8;

const coordinate = z
  .string()
  .trim()
  .regex(/^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$/, 'is not a number')
  .transform(Number);
const annotationSchema = z.object({
  annotation: z.object({
    filename: z.string().optional(),
    object: z
      .array(
        z.object({
          name: z.string().min(1).max(256),
          bndbox: z.object({ xmin: coordinate, ymin: coordinate, xmax: coordinate, ymax: coordinate }),
        }),
      )
      .default([]),
  }),
});

const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false, isArray: (name) => name === 'object' });

export async function looksLikeVoc({ root, paths }: SourceFolder): Promise<boolean> {
  for (const path of paths.filter(isXml).slice(0, 8))
    if ((await readSmallText(root, path, MAX_XML_BYTES)).includes('<annotation')) return true;
  return false;
}

function isXml(path: string): boolean {
  return extname(path).toLowerCase() === '.xml';
}

/**
 * Reads Pascal VOC: one XML file per picture, in Annotations/ with the pictures in JPEGImages/, or beside them. Lists in
 * ImageSets/Main/<split>.txt say which split a picture is in.
 *
 * Corners count from 1 and are part of the object, as in the VOC devkit: xmin 1, xmax 10 is a box of 10 pixels at 0.
 *
 * @see http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
 * @throws AppError DATASET_FORMAT (user)
 */
export async function readVoc({ root, paths, signal }: SourceFolder): Promise<PictureSource> {
  const files = paths.filter(isXml);
  if (files.length === 0) throw new AppError('DATASET_FORMAT', { message: 'There are no XML files in the data.' });
  const index = new PictureIndex(paths);
  const splits = await readSplits(root, paths);
  const faults: FileFault[] = [];
  const read = await mapConcurrently(files, CONCURRENCY, signal, async (path): Promise<SourceSample | undefined> => {
    try {
      const { filename, object } = parseAnnotation(await readSmallText(root, path, MAX_XML_BYTES));
      const picture = pictureOf(path, filename, index);
      const split = splits.get(stemOf(path)) ?? splitInPath(posix.dirname(path));
      return { path: picture, split, boxes: object.map(toBox), content: { file: join(root, picture) } };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      faults.push({ path, message: error.message });
      return undefined;
    }
  });
  const samples = new Map<string, SourceSample>();
  for (const sample of read) {
    if (sample === undefined) continue;
    if (samples.has(sample.path)) faults.push({ path: sample.path, message: 'has two annotations' });
    else samples.set(sample.path, sample);
  }
  const all = dropSingleSplit([...samples.values()]);
  const unlabelled = index.paths.filter((path) => !samples.has(path)).length;
  return {
    kind: 'pictures',
    format: 'voc',
    type: 'object-detection',
    layout: `Pascal VOC: ${files.length} annotations, ${index.paths.length} pictures`,
    labels: sortLabels(new Set(all.flatMap(({ boxes = [] }) => boxes.map(({ label }) => label)))),
    samples: all,
    faults,
    notes: unlabelled === 0 ? [] : [`${unlabelled} picture(s) without a usable annotation were left out`],
  };
}

function parseAnnotation(text: string): z.output<typeof annotationSchema>['annotation'] {
  // Without a document type there are no entities of the file's own, which could grow without end.
  if (/<!DOCTYPE/i.test(text)) throw new AppError('DATASET_FORMAT', { message: 'has a document type declaration, which is not read' });
  const wellFormed = XMLValidator.validate(text);
  if (wellFormed !== true)
    throw new AppError('DATASET_FORMAT', { message: `is not XML: line ${wellFormed.err.line}: ${wellFormed.err.msg}` });
  const parsed = annotationSchema.safeParse(parser.parse(text));
  if (parsed.success) return parsed.data.annotation;
  const [issue] = parsed.error.issues;
  throw new AppError('DATASET_FORMAT', { message: `is not a VOC annotation: ${issue?.path.join('.')} ${issue?.message}` });
}

function toBox({ name, bndbox }: z.output<typeof annotationSchema>['annotation']['object'][number]): SourceBox {
  const { xmin, ymin, xmax, ymax } = bndbox;
  return { label: name, unit: 'pixel', x: xmin - 1, y: ymin - 1, width: xmax - xmin + 1, height: ymax - ymin + 1 };
}

function pictureOf(path: string, filename: string | undefined, index: PictureIndex): string {
  const here = posix.dirname(path) === '.' ? '' : posix.dirname(path);
  const beside = posix.join(posix.dirname(here), 'JPEGImages');
  const folders = [here, beside, posix.join(posix.dirname(here), 'images')];
  // What the file is called counts more than what was written into it: files get renamed.
  for (const ending of ['.jpg', '.jpeg', '.png', '.webp', '.JPG', '.JPEG', '.PNG']) {
    const found = index.find(`${stemOf(path)}${ending}`, folders);
    if ('path' in found) return found.path;
  }
  const found = filename === undefined ? { fault: 'has no picture' } : index.find(filename, folders);
  if ('path' in found) return found.path;
  throw new AppError('DATASET_FORMAT', { message: found.fault });
}

/** Picture's name without ending to split; a list per class (`cat_train.txt`) says the same and is passed over. */
async function readSplits(root: string, paths: readonly string[]): Promise<Map<string, string>> {
  const splits = new Map<string, string>();
  for (const path of paths) {
    const match = /(?:^|\/)ImageSets\/(?:Main\/)?(train|val|test)\.txt$/i.exec(path);
    if (match?.[1] === undefined) continue;
    const split = match[1].toLowerCase() === 'val' ? 'validation' : match[1].toLowerCase();
    for (const line of (await readSmallText(root, path, 64 * MAX_XML_BYTES)).split(/\r?\n/)) {
      const [name = ''] = line.trim().split(/\s+/);
      if (name !== '') splits.set(name, split);
    }
  }
  return splits;
}
