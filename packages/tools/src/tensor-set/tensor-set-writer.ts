import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TensorSet, tensorSetSchema } from '@selvedge/contract';
import { createNpy, type NpyType, type NpyWriter } from '../npy/index.ts';

/** Class index, x1, y1, x2, y2. */
export const BOX_VALUES = 5;

export interface TensorSetShape {
  readonly labels: readonly string[];
  readonly sampleShape: readonly number[];
  readonly layout: TensorSet['layout'];
  readonly range?: TensorSet['range'];
  /** Whether samples have boxes, and not a class. */
  readonly hasBoxes?: boolean;
  /** Whether samples have groups. */
  readonly hasGroups?: boolean;
}

/** What further there is of the samples that are added, where the set has it. */
export interface SampleExtras {
  /** BOX_VALUES per box, sample by sample; `y` says how many each sample has. */
  readonly boxes?: Float32Array | undefined;
  readonly groups?: BigInt64Array | undefined;
}

export type AddSamples = (x: Float32Array, y: BigInt64Array, extras?: SampleExtras) => Promise<void>;

/**
 * Writes a tensor set: <split>.x.npy and <split>.y.npy per split, <split>.boxes.npy and <split>.groups.npy where it has them,
 * and info.json at the end. One split at a time.
 */
export class TensorSetWriter {
  readonly #folder: string;
  readonly #shape: TensorSetShape;
  readonly #splits: TensorSet['splits'] = {};
  readonly #open = new Set<NpyWriter<NpyType>>();

  constructor(folder: string, shape: TensorSetShape) {
    this.#folder = folder;
    this.#shape = shape;
  }

  /** Writes one split; `fill` adds exactly `count` rows. */
  async writeSplit(split: string, count: number, fill: (add: AddSamples) => Promise<void>): Promise<void> {
    const { sampleShape, hasBoxes = false, hasGroups = false } = this.#shape;
    const names = { x: `${split}.x.npy`, y: `${split}.y.npy` };
    const x = await this.#create(names.x, 'float32', [count, ...sampleShape]);
    const y = await this.#create(names.y, 'int64', [count]);
    const groups = hasGroups ? await this.#create(`${split}.groups.npy`, 'int64', [count]) : undefined;
    // How many there are is known at the end only; a box has 20 bytes.
    const boxes: Float32Array[] = [];
    await fill(async (rows, labels, extras) => {
      await x.write(rows);
      await y.write(labels);
      if (extras?.boxes !== undefined) boxes.push(extras.boxes);
      if (extras?.groups !== undefined) await groups?.write(extras.groups);
    });
    for (const writer of this.#open) {
      this.#open.delete(writer);
      await writer.close();
    }
    const extras = {
      ...(hasBoxes ? { boxes: await this.#writeBoxes(split, boxes) } : {}),
      ...(hasGroups ? { groups: `${split}.groups.npy` } : {}),
    };
    this.#splits[split] = { count, ...names, ...extras };
  }

  async writeInfo(): Promise<void> {
    const { labels, sampleShape, layout, range } = this.#shape;
    const info = tensorSetSchema.parse({ formatVersion: 1, labels, sampleShape, layout, range, splits: this.#splits });
    await writeFile(join(this.#folder, 'info.json'), `${JSON.stringify(info, null, 2)}\n`);
  }

  /** Closes what an error left open; call it in a `finally`. */
  async release(): Promise<void> {
    for (const writer of this.#open) {
      this.#open.delete(writer);
      await writer.abandon();
    }
  }

  async #create<T extends NpyType>(name: string, type: T, shape: readonly number[]): Promise<NpyWriter<T>> {
    const writer = await createNpy(join(this.#folder, name), type, shape);
    this.#open.add(writer);
    return writer;
  }

  async #writeBoxes(split: string, boxes: readonly Float32Array[]): Promise<string> {
    const name = `${split}.boxes.npy`;
    const count = boxes.reduce((sum, { length }) => sum + length, 0) / BOX_VALUES;
    const writer = await this.#create(name, 'float32', [count, BOX_VALUES]);
    for (const some of boxes) await writer.write(some);
    this.#open.delete(writer);
    await writer.close();
    return name;
  }
}
