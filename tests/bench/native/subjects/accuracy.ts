// What int8 costs: the packages themselves, fp32 against int8, on pictures that calibration never saw.
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { preprocSchema } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { buildNetwork } from '@selvedge/graph/onnx';
import { preprocessImage } from '@selvedge/graph/ops';
import { batchesPerEpoch, createTrainer, epochBatches, optimizerFrom } from '@selvedge/graph/train';
import { makeDigits } from '../../../../examples/digits/make-dataset.ts';
import { openBuildSamples } from '../../../../packages/tools/src/build/samples.ts';
import { TensorSetWriter } from '../../../../packages/tools/src/tensor-set/tensor-set-writer.ts';
import type { BenchContext } from '../bench-context.ts';
import type { TestNetwork } from '../models.ts';
import { buildBenchPackage } from '../packages.ts';
import { writePictures } from '../pictures.ts';
import type { Row, Table } from '../report.ts';
import { agreement, resultsOf } from './agreement.ts';

const PICTURES = 200;
const SIDE = 28;
const CLASSES = 10;
const BATCH = 32;
/** Points that int8 may lose. */
const LOSS = 0.5;

interface Digits {
  x: Float32Array;
  y: Int32Array;
}

async function readDigits(folder: string): Promise<Digits> {
  const images: Float32Array[] = [];
  const labels: number[] = [];
  const spec = preprocSchema.parse({
    pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'],
    params: { resize: [SIDE, SIDE], scale: [-1, 1] },
  });
  for (let digit = 0; digit < CLASSES; digit++) {
    for (const name of (await readdir(join(folder, String(digit)))).sort()) {
      const image = await decodeImage(await readFile(join(folder, String(digit), name)));
      images.push(preprocessImage(image, spec).data);
      labels.push(digit);
    }
  }
  const x = new Float32Array(images.length * SIDE * SIDE);
  for (const [at, image] of images.entries()) x.set(image, at * SIDE * SIDE);
  return { x, y: Int32Array.from(labels) };
}

async function trainDigits({ x, y }: Digits, epochs: number): Promise<TestNetwork> {
  const labels = Array.from({ length: CLASSES }, (_, digit) => String(digit));
  const model = buildNetwork({ layers: 'small-cnn', inputShape: [1, SIDE, SIDE], classes: CLASSES, seed: 1 });
  const trainer = await createTrainer({ model, loss: 'cross-entropy', optimizer: optimizerFrom({}), batchSize: BATCH, seed: 1 });
  const size = SIDE * SIDE;
  const steps = epochs * batchesPerEpoch(y.length, BATCH);
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const batch of epochBatches({ count: y.length, batchSize: BATCH, seed: 1, epoch })) {
      const inputs = new Float32Array(batch.length * size);
      for (const [at, index] of batch.entries()) inputs.set(x.subarray(index * size, (index + 1) * size), at * size);
      const rate = 0.002 * (1 - trainer.step / steps);
      await trainer.trainStep({ x: inputs, y: batch.map((index) => y[index] ?? 0) }, Math.max(rate, 1e-5));
    }
  }
  const trained = trainer.exportModel();
  await trainer.close();
  return {
    name: 'digits-trained',
    model: trained,
    macs: 0,
    labels,
    preproc: { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [SIDE, SIDE], scale: [-1, 1] } },
    postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } },
  };
}

/** Shares of the test pictures that a package gets right. */
async function scoreOf(packageFolder: string, folder: string): Promise<number> {
  let right = 0;
  let all = 0;
  for (let digit = 0; digit < CLASSES; digit++) {
    const found = await resultsOf(packageFolder, join(folder, String(digit)));
    right += found.filter(({ top }) => top?.index === digit).length;
    all += found.length;
  }
  return right / all;
}

async function trainedDigits(context: BenchContext): Promise<Row[]> {
  const folder = join(context.folder, 'digits');
  await rm(folder, { recursive: true, force: true });
  await makeDigits({ outDir: folder, train: 3000, test: 1000, seed: 1 });
  const digits = await readDigits(join(folder, 'train'));
  const network = await trainDigits(digits, 6);
  const setFolder = join(folder, 'set');
  await mkdir(setFolder);
  const writer = new TensorSetWriter(setFolder, { labels: network.labels, sampleShape: [1, SIDE, SIDE], layout: 'CHW' });
  await writer.writeSplit('train', digits.y.length, (add) => add(digits.x, BigInt64Array.from(digits.y, BigInt)));
  await writer.writeInfo();
  const target = await context.target('linux-amd64');
  const scores: number[] = [];
  for (const precision of ['fp32', 'int8'] as const) {
    const samples = await openBuildSamples(setFolder);
    const built = await buildBenchPackage(
      network,
      target,
      { engine: 'xnnpack', precision },
      join(context.folder, `trained-${precision}`),
      samples,
    );
    await samples.close();
    scores.push(await scoreOf(built.folder, join(folder, 'test')));
  }
  const [before = Number.NaN, after = Number.NaN] = scores;
  const note = `${(before * 100).toFixed(1)} % as trained, ${(after * 100).toFixed(1)} % in int8`;
  return [
    {
      what: 'digits trained on rendered digits, loss',
      measured: (before - after) * 100,
      unit: 'points',
      bar: { is: '<=', value: LOSS },
      note,
    },
  ];
}

export async function accuracy(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const folder = join(context.folder, 'agreement-pictures');
  await rm(folder, { recursive: true, force: true });
  const count = context.flags.quick ? 40 : PICTURES;
  await writePictures(folder, 900, count, 640, 480);
  for (const network of context.networks) {
    const results = [];
    for (const precision of ['fp32', 'int8'] as const) {
      results.push(await resultsOf((await context.package(network, 'linux-amd64', precision)).folder, folder));
    }
    const { share, boxes } = agreement(results[0] ?? [], results[1] ?? []);
    const note = boxes > 0 ? `F1 of boxes with IoU >= 0.5 and the same class; ${boxes} boxes in fp32` : 'same best class';
    rows.push({ what: `${network.name} (random weights), fp32 and int8 agree`, measured: share * 100, unit: '%', note });
  }
  if (!context.flags.quick) rows.push(...(await trainedDigits(context)));
  return {
    subject: 'int8 against fp32',
    how: `real packages on ${count} pictures of 640x480 that calibration did not see; random weights are the hardest case`,
    rows,
  };
}
