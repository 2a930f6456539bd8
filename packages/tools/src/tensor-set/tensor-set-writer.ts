import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TensorSet, tensorSetSchema } from '@selvedge/contract';
import { createNpy, type NpyWriter } from '../npy/index.ts';

export interface TensorSetShape {
  readonly labels: readonly string[];
  readonly sampleShape: readonly number[];
  readonly layout: TensorSet['layout'];
}

/** Writes a tensor set: <split>.x.npy and <split>.y.npy per split, and info.json at the end. One split at a time. */
export class TensorSetWriter {
  readonly #folder: string;
  readonly #shape: TensorSetShape;
  readonly #splits: TensorSet['splits'] = {};
  #open: { x: NpyWriter<'float32'>; y: NpyWriter<'int64'> } | undefined;

  constructor(folder: string, shape: TensorSetShape) {
    this.#folder = folder;
    this.#shape = shape;
  }

  /** Writes one split; `fill` adds exactly `count` rows. */
  async writeSplit(
    split: string,
    count: number,
    fill: (add: (x: Float32Array, y: BigInt64Array) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const names = { x: `${split}.x.npy`, y: `${split}.y.npy` };
    const x = await createNpy(join(this.#folder, names.x), 'float32', [count, ...this.#shape.sampleShape]);
    const y = await createNpy(join(this.#folder, names.y), 'int64', [count]).catch(async (error: unknown) => {
      await x.abandon();
      throw error;
    });
    this.#open = { x, y };
    await fill(async (rows, labels) => {
      await x.write(rows);
      await y.write(labels);
    });
    await x.close();
    await y.close();
    this.#open = undefined;
    this.#splits[split] = { count, ...names };
  }

  async writeInfo(): Promise<void> {
    const { labels, sampleShape, layout } = this.#shape;
    const info = tensorSetSchema.parse({ formatVersion: 1, labels, sampleShape, layout, splits: this.#splits });
    await writeFile(join(this.#folder, 'info.json'), `${JSON.stringify(info, null, 2)}\n`);
  }

  /** Closes what an error left open; call it in a `finally`. */
  async release(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.x.abandon();
    await open?.y.abandon();
  }
}
