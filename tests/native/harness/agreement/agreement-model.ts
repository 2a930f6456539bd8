import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostprocSpec, PreprocSpec } from '@selvedge/contract';
import type { Model } from '@selvedge/graph/onnx';
import type { RawImage } from '@selvedge/graph/ops';
import sharp from 'sharp';
import { TensorSetWriter } from '../../../../packages/tools/src/tensor-set/tensor-set-writer.ts';

export interface LabelledSamples {
  readonly x: readonly Float32Array[];
  readonly y: readonly number[];
}

/** A model whose packages are compared with ONNX Runtime. */
export interface AgreementModel {
  readonly name: string;
  readonly model: Model;
  readonly labels: readonly string[];
  readonly preproc: PreprocSpec;
  readonly postproc: PostprocSpec;
  /** Of one sample, without the batch. */
  readonly sampleShape: readonly number[];
  /** What int8 is calibrated with. */
  readonly train: LabelledSamples;
  /** What its accuracy is measured on; undefined: it is not. */
  readonly test: LabelledSamples | undefined;
  drawPicture(index: number): RawImage;
}

/** Writes the samples as the split tool does. */
export async function writeSampleSet({ labels, sampleShape, train, test }: AgreementModel, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const writer = new TensorSetWriter(folder, { labels: [...labels], sampleShape: [...sampleShape], layout: 'CHW' });
  for (const [split, samples] of Object.entries({ train, ...(test === undefined ? {} : { test }) })) {
    await writer.writeSplit(split, samples.x.length, async (add) => {
      for (const [index, x] of samples.x.entries()) await add(x, BigInt64Array.of(BigInt(samples.y[index] ?? 0)));
    });
  }
  await writer.writeInfo();
}

/** Writes test pictures into an empty folder, JPEG and PNG mixed. @returns their file names, in the order in which `run` reads them. */
export async function writeTestPictures({ drawPicture }: AgreementModel, folder: string, count: number): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const names: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const { data, ...raw } = drawPicture(index);
    const image = sharp(Buffer.from(data), { raw });
    const isPng = index % 3 === 0;
    const name = `${String(index).padStart(3, '0')}.${isPng ? 'png' : 'jpg'}`;
    await writeFile(join(folder, name), await (isPng ? image.png() : image.jpeg({ quality: 90 })).toBuffer());
    names.push(name);
  }
  return names;
}
