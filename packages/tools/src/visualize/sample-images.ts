import type { Readable } from 'node:stream';
import * as z from 'zod';
import type { SummaryValue } from '../tensorboard/event-message.ts';

const MAX_IMAGES = 16;
/** Longer edge of what is shown, in pixels. */
const MAX_EDGE_PX = 256;
const MAX_FILE_BYTES = 32 * 1024 * 1024;
/** How far the list of files is looked through for labels that were not seen yet. */
const MAX_LINES = 200_000;

const infoSchema = z.object({ labels: z.array(z.string()) });
/** Datasets of other types may say more per file; the path and the label are what is shown here. */
const fileSchema = z.object({ path: z.string(), label: z.int().optional() });

export interface DatasetFiles {
  /** Undefined when the file is not there or larger. */
  read(path: string, maxBytes: number): Promise<Buffer | undefined>;
  /** Lines of a text file; none when it is not there. */
  lines(path: string): AsyncIterable<string> | Readable;
}

/** The first picture of each label of a dataset, 16 at most, scaled to 256 pixels, tagged `samples/<label>`. */
export async function sampleImages(files: DatasetFiles): Promise<SummaryValue[]> {
  const about = await files.read('dataset.json', MAX_FILE_BYTES);
  if (about === undefined) return [];
  const { labels } = infoSchema.parse(JSON.parse(about.toString()));
  const chosen = await chooseFiles(files, Math.min(MAX_IMAGES, Math.max(1, labels.length)));
  const values: SummaryValue[] = [];
  for (const [label, path] of chosen) {
    const bytes = await files.read(`files/${path}`, MAX_FILE_BYTES);
    const image = bytes === undefined ? undefined : await thumbnail(bytes);
    if (image !== undefined) values.push({ tag: `samples/${labels[label] ?? label}`, image });
  }
  return values;
}

async function chooseFiles(files: DatasetFiles, count: number): Promise<Map<number, string>> {
  const chosen = new Map<number, string>();
  let seen = 0;
  for await (const line of files.lines('manifest.jsonl')) {
    seen += 1;
    if (chosen.size === count || seen > MAX_LINES) break;
    const { path, label = chosen.size } = fileSchema.parse(JSON.parse(String(line)));
    if (!chosen.has(label)) chosen.set(label, path);
  }
  return chosen;
}

/** Undefined for what is no picture: whoever made the dataset has said so already. */
async function thumbnail(bytes: Buffer) {
  // Loaded with the first picture: the decoder is large, and most of the time there is none.
  const { default: sharp } = await import('sharp');
  try {
    const shrunk = sharp(bytes).resize({ width: MAX_EDGE_PX, height: MAX_EDGE_PX, fit: 'inside', withoutEnlargement: true });
    const { data, info } = await shrunk.toColourspace('srgb').png().toBuffer({ resolveWithObject: true });
    return { height: info.height, width: info.width, colorspace: info.channels, encodedImageString: data };
  } catch {
    return undefined;
  }
}
