import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { createRandom } from '@selvedge/graph/train';
import sharp from 'sharp';
import { pack } from 'tar-stream';

/** Edge of the generated pictures in pixels. */
const PICTURE_EDGE = 12;

/** A picture that shows its class as a bright bar (class 0 horizontal, 1 vertical, 2 both) in noise. */
export async function makePicture(label: number, index: number, format: 'png' | 'jpeg' = 'png'): Promise<Buffer> {
  const random = createRandom(7, label, index);
  const at = 3 + Math.floor(random.uniform() * (PICTURE_EDGE - 6));
  const pixels = Buffer.alloc(PICTURE_EDGE * PICTURE_EDGE * 3);
  for (let i = 0; i < PICTURE_EDGE * PICTURE_EDGE; i += 1) {
    const [x, y] = [i % PICTURE_EDGE, Math.floor(i / PICTURE_EDGE)];
    const bright = (label !== 1 && y === at) || (label !== 0 && x === at);
    for (let c = 0; c < 3; c += 1) pixels[i * 3 + c] = Math.floor(random.uniform() * 60) + (bright ? 180 : 0);
  }
  const image = sharp(pixels, { raw: { width: PICTURE_EDGE, height: PICTURE_EDGE, channels: 3 } });
  return format === 'png' ? image.png().toBuffer() : image.jpeg({ quality: 95 }).toBuffer();
}

/** Paths and bytes of a labelled set: `<split>/<label>/<n>.png`, every third one a JPEG. */
export async function makePictures(
  splits: Readonly<Record<string, number>>,
  labels = ['flat', 'tall', 'cross'],
): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  let index = 0;
  for (const [split, perLabel] of Object.entries(splits)) {
    for (const [label, name] of labels.entries()) {
      for (let i = 0; i < perLabel; i += 1) {
        const format = i % 3 === 2 ? 'jpeg' : 'png';
        const folder = split === '' ? name : `${split}/${name}`;
        files.set(`${folder}/${i}.${format === 'png' ? 'png' : 'jpg'}`, await makePicture(label, index++, format));
      }
    }
  }
  return files;
}

export async function writeTree(root: string, files: ReadonlyMap<string, string | Uint8Array>): Promise<void> {
  for (const [path, content] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

export async function tarOf(files: ReadonlyMap<string, string | Uint8Array>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of files) tar.entry({ name }, typeof content === 'string' ? content : Buffer.from(content));
  tar.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of tar) if (part instanceof Uint8Array) parts.push(part);
  return Buffer.concat(parts);
}

/** A tar that is made as it is read, for more files than memory should hold. */
export function tarStream(files: Iterable<readonly [name: string, content: Buffer]>): Readable {
  const tar = pack();
  const fill = async () => {
    for (const [name, content] of files) await new Promise<void>((resolve) => tar.entry({ name }, content, () => resolve()));
    tar.finalize();
  };
  fill().catch((error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))));
  return Readable.from(tar);
}

/** An IDX file of unsigned bytes. */
export function idxOf(shape: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.writeUInt8(8, 2);
  header.writeUInt8(shape.length, 3);
  shape.forEach((dim, i) => {
    header.writeUInt32BE(dim, 4 + 4 * i);
  });
  return Buffer.concat([header, data]);
}
