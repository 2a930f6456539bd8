import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TrainBlock, trainBlockSchema, trainingReportSchema } from '@selvedge/contract';
import { readModel } from '@selvedge/graph/onnx';
import { createRandom, type Random } from '@selvedge/graph/train';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TensorSetShape, TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';
import { ToolBench, type ToolRun } from '../testing/run-tool.ts';
import { loadCheckpoint } from './checkpoint-files.ts';
import { trainTool } from './train-tool.ts';

const bench = new ToolBench();
afterAll(() => bench.end());

interface Sample {
  readonly x: Float32Array;
  readonly label?: number;
  readonly boxes?: readonly number[];
}

async function writeSet(shape: TensorSetShape, splits: Readonly<Record<string, readonly Sample[]>>): Promise<string> {
  const folder = await bench.folder();
  const writer = new TensorSetWriter(folder, shape);
  for (const [split, samples] of Object.entries(splits)) {
    await writer.writeSplit(split, samples.length, async (add) => {
      for (const { x, label = 0, boxes } of samples) {
        const y = BigInt64Array.of(BigInt(boxes === undefined ? label : boxes.length / 5));
        await add(x, y, boxes === undefined ? {} : { boxes: Float32Array.from(boxes) });
      }
    });
  }
  await writer.writeInfo();
  return folder;
}

const SIDE = 32;
const range = { black: [0, 0, 0], white: [1, 1, 1] };
const times = <T>(count: number, make: (random: Random, i: number) => T, seed: number): T[] =>
  Array.from({ length: count }, (_, i) => make(createRandom(seed, i), i));

/** One bright square, red (class 0) or green (class 1), in noise. */
function scene(random: Random): Sample {
  const x = Float32Array.from({ length: 3 * SIDE * SIDE }, () => 0.2 * random.uniform());
  const index = Math.floor(2 * random.uniform());
  const edge = 8 + Math.floor(8 * random.uniform());
  const [left, top] = [Math.floor((SIDE - edge) * random.uniform()), Math.floor((SIDE - edge) * random.uniform())];
  for (let row = top; row < top + edge; row += 1)
    x.fill(0.9, index * SIDE * SIDE + row * SIDE + left, index * SIDE * SIDE + row * SIDE + left + edge);
  return { x, boxes: [index, left, top, left + edge, top + edge] };
}

/** The colours of two halves are the identity's; light and noise are the picture's. */
function portrait(identity: number, random: Random): Sample {
  const person = createRandom(50, identity);
  const colours = Array.from({ length: 6 }, () => person.uniform());
  const light = 0.8 + 0.2 * random.uniform();
  const plane = 16 * 16;
  const x = Float32Array.from(
    { length: 3 * plane },
    (_, i) => light * (colours[Math.floor(i / plane) * 2 + Number(i % plane >= plane / 2)] ?? 0) + 0.05 * random.normal(),
  );
  return { x, label: identity };
}

const run = (set: string, train: unknown, hyperparams: object, inputs: Record<string, string> = {}, options = {}): Promise<ToolRun> =>
  bench.run(
    trainTool,
    { hyperparams: { lr: 0.004, batch_size: 8, epochs: 6, ...hyperparams }, train },
    { 'training-set': set, ...inputs },
    options,
  );
const reportOf = async ({ dataDir }: ToolRun) =>
  trainingReportSchema.parse(JSON.parse(await readFile(join(dataDir, 'training.json'), 'utf8')));
const bytesOf = ({ dataDir }: ToolRun) => readFile(join(dataDir, 'model.onnx'));

let scenes = '';
let detector: ToolRun;
const detection: TrainBlock = { network: 'tiny-detector', width: 0.5, augment: { flip: 'both', shift: 2, crop: 0.1, brightness: 0.1 } };
beforeAll(async () => {
  const shape = { labels: ['red', 'green'], sampleShape: [3, SIDE, SIDE], layout: 'CHW', range, hasBoxes: true } as const;
  scenes = await writeSet(shape, { train: times(96, scene, 1), validation: times(24, scene, 2), test: times(4, scene, 3) });
  detector = await run(scenes, detection, { epochs: 10 });
});

describe('a detector', () => {
  it('learns from boxes, measured by mAP, which chooses the epoch', async () => {
    const report = await reportOf(detector);
    expect(report.metrics['validation/map50']).toBeGreaterThan(0.6);
    const curve = detector.metrics.get('validation/map50')?.map(([, value]) => value) ?? [];
    expect(report.metrics['validation/map50']).toBe(Math.max(...curve));
    expect(curve[report.bestEpoch - 1]).toBe(Math.max(...curve));
    expect(report.outputs).toMatchObject([{ name: 'detections', shape: [null, 6, 20] }]);
    expect([...detector.metrics.keys()]).toContain('train/wait-share');
  });

  it('gives the same weights again, also when it was stopped in between', async () => {
    const short = { epochs: 3 };
    const whole = await run(scenes, detection, short);
    const checkpointDir = await bench.folder();
    const controller = new AbortController();
    const onMetric = (name: string, step: number) => {
      if (name === 'train/batch-loss' && step === 20) controller.abort(new Error('killed'));
    };
    await expect(run(scenes, detection, short, {}, { checkpointDir, signal: controller.signal, onMetric })).rejects.toThrow('killed');
    expect((await loadCheckpoint(checkpointDir))?.epoch).toBe(1);
    expect((await bytesOf(await run(scenes, detection, short, {}, { checkpointDir }))).equals(await bytesOf(whole))).toBe(true);
  });

  it('is trained further from its own file, and only where it is told to', async () => {
    const further = await run(scenes, { from: 'scenes:1', trainable: ['conv*'] }, { epochs: 2, lr: 1e-4 }, { model: detector.dataDir });
    expect((await reportOf(further)).metrics['validation/map50']).toBeGreaterThan(0.5);
    await expect(run(scenes, { from: 'scenes:1', trainable: ['layer4.*'] }, {}, { model: detector.dataDir })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('layer4'),
    });
  });

  it('refuses options and data of another kind before it begins', async () => {
    await expect(run(scenes, { network: 'mlp' }, {})).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      details: { hint: expect.stringContaining('tiny-detector') },
    });
    await expect(
      run(scenes, { from: 'scenes:1', class_weights: 'balanced', best_by: 'accuracy' }, {}, { model: detector.dataDir }),
    ).rejects.toMatchObject({ details: { issues: [{ path: 'train.class_weights' }, { path: 'train.best_by' }] } });
    await expect(run(scenes, { from: 'scenes:1' }, {})).rejects.toMatchObject({ message: expect.stringContaining('input "model"') });
    await expect(run(scenes, detection, {}, { model: detector.dataDir })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});

describe('an embedding', () => {
  it('learns identities, and finds others that it has not seen', async () => {
    const people = (from: number, count: number, each: number, seed: number) =>
      times(count * each, (random, i) => portrait(from + (i % count), random), seed);
    const shape = { labels: times(26, (_, i) => `p${i}`, 0), sampleShape: [3, 16, 16], layout: 'CHW', range } as const;
    // Labels of the training samples are neither all nor the first ones.
    const set = await writeSet(shape, { train: people(6, 20, 6, 1), validation: people(0, 6, 4, 2), test: people(0, 6, 4, 3) });
    const done = await run(set, { network: 'embedding', width: 0.5, embedding_size: 16 }, { epochs: 4 });
    const report = await reportOf(done);
    expect(report.metrics['validation/rank1']).toBeGreaterThan(0.8);
    expect(report.outputs).toMatchObject([{ name: 'embedding', shape: [null, 16] }]);
    const lonely = await writeSet(shape, { train: people(6, 20, 2, 1), validation: people(0, 6, 1, 2), test: [] });
    await expect(run(lonely, { network: 'embedding' }, {})).rejects.toMatchObject({ message: expect.stringContaining('nothing to find') });
  });
});

describe('a classifier', () => {
  const row = (random: Random, i: number): Sample => {
    const label = i % 8 === 0 ? 1 : 0;
    return { label, x: Float32Array.from({ length: 5 }, (_, at) => random.normal() + (at === label ? 1.2 : 0)) };
  };
  const shape = { labels: ['common', 'rare'], sampleShape: [5], layout: 'vector' } as const;
  let rows = '';
  beforeAll(async () => {
    rows = await writeSet(shape, { train: times(160, row, 1), validation: times(80, row, 2), test: [] });
  });

  it('of rows of a table is an mlp that reads [N, F]', async () => {
    const done = await run(rows, {}, { epochs: 3 });
    expect(await reportOf(done)).toMatchObject({ inputs: [{ shape: [null, 5] }], outputs: [{ shape: [null, 2] }] });
    await expect(run(rows, { network: 'small-cnn' }, {})).rejects.toMatchObject({ details: { hint: expect.stringContaining('"mlp"') } });
  });

  it('does not mind the units of its columns: they are standardised in the model itself', async () => {
    const inUnits = (sample: Sample): Sample => ({ ...sample, x: sample.x.map((value, at) => value * 10 ** (at - 2) + 5000 * at) });
    const metric = async (set: string) => (await reportOf(await run(set, {}, { epochs: 3 }))).metrics['validation/accuracy'] ?? 0;
    const set = await writeSet(shape, {
      train: times(160, row, 1).map(inUnits),
      validation: times(80, row, 2).map(inUnits),
      test: [],
    });
    expect(await metric(set)).toBeCloseTo(await metric(rows), 1);
    const constants = readModel(await bytesOf(await run(set, {}, { epochs: 1 }))).graph.nodes.filter(({ op }) => op === 'Constant');
    const [mean, deviation] = constants.map(({ attributes }) => (attributes.value?.kind === 'tensor' ? attributes.value.value.data : []));
    expect(Number(mean?.[4])).toBeCloseTo(20_000, -2);
    expect(Number(deviation?.[4])).toBeGreaterThan(80);
    expect(Number(deviation?.[4])).toBeLessThan(120);
  });

  it('is stopped early where nothing gets better, and goes on to the same end after a break', async () => {
    const block = { early_stopping: { metric: 'accuracy', patience: 2, min_delta: 0.5 } };
    const done = await run(rows, block, { epochs: 30 });
    expect((await reportOf(done)).epochs).toBe(3);
    expect(done.log).toContainEqual(expect.stringMatching(/^stopped early: accuracy .* for 2 epochs$/));
  });

  it('weighs classes, by name or evenly, and refuses names that there are not', async () => {
    const losses = async (class_weights: unknown) =>
      (await run(rows, { class_weights, label_smoothing: 0.1 }, {})).metrics.get('train/loss');
    expect(await losses('balanced')).not.toEqual(await losses({ rare: 3 }));
    await expect(run(rows, { class_weights: { rarer: 3 } }, {})).rejects.toMatchObject({
      details: { issues: [{ path: 'train.class_weights.rarer', message: expect.stringContaining('common, rare') }] },
    });
  });

  it('names epoch, step and samples of the data when the loss is not a number', async () => {
    const samples = times(24, row, 1);
    samples[17]?.x.fill(Number.NaN);
    const broken = await writeSet(shape, { train: samples, validation: [], test: [] });
    const failed = run(broken, {}, { epochs: 1 });
    await expect(failed).rejects.toMatchObject({
      code: 'TRAINING_DIVERGED',
      message: expect.stringMatching(/^Epoch 1: .* step \d.* training samples (\d+, ){7}\d+\.$/),
      details: { hint: expect.stringContaining('Training samples 17 have values'), data: { epoch: 1, samples: [17] } },
    });
  });

  it('takes a trained model with other classes, and keeps what that has learnt', async () => {
    const first = await run(rows, { network: ['flatten', { dense: 8 }, 'relu', 'classifier'] }, { epochs: 2 });
    const three = await writeSet({ ...shape, labels: ['a', 'b', 'c'] }, { train: times(48, row, 1), validation: [], test: [] });
    const file = await bench.folder();
    await mkdir(join(file, 'theirs'));
    await writeFile(join(file, 'theirs', 'net.onnx'), await bytesOf(first));
    const from = 'https://models.example/net.onnx';
    const tuned = await run(three, { from, trainable: ['*.classes3'] }, { epochs: 1 }, { model: join(file, 'theirs') });
    const [before, after] = [readModel(await bytesOf(first)), readModel(await bytesOf(tuned))];
    expect(after.graph.initializers.get('W1')).toEqual(before.graph.initializers.get('W1'));
    expect((await reportOf(tuned)).outputs).toMatchObject([{ shape: [null, 3] }]);
    const other = await writeSet({ ...shape, sampleShape: [4] }, { train: [{ x: new Float32Array(4) }], validation: [] });
    await expect(run(other, { from }, {}, { model: join(file, 'theirs') })).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      message: expect.stringContaining('reads [5]; the tensors are [4]'),
    });
  });
});

describe('the train block', () => {
  it('says everything that does not fit, each with its place', () => {
    const issues = (block: unknown) =>
      trainBlockSchema.safeParse(block).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    expect(
      issues({ network: 'tiny-detector', loss: 'mse', augment: { rotate: 5 }, early_stopping: { metric: 'rank1', patience: 2 } }),
    ).toEqual([
      expect.stringMatching(/^loss: is for classification/),
      expect.stringMatching(/^augment.rotate: .*use flip/),
      expect.stringMatching(/^early_stopping.metric: .*use "map50" or "map"/),
    ]);
    expect(issues({ from: 'digits:3', network: 'mlp' })).toEqual([expect.stringMatching(/^network: does not go with "from"/)]);
    expect(issues({ from: 'digits.onnx' })).toEqual([expect.stringMatching(/^from: must be a version like "digits:3"/)]);
    expect(issues({ network: 'mlp', width: 2, embedding_size: 8 })).toHaveLength(2);
    expect(issues({ loss: 'mse', class_weights: 'balanced' })).toEqual([expect.stringMatching(/^class_weights: goes with the loss/)]);
  });
});
