import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import {
  benchmarkReportSchema,
  goldenSampleSchema,
  type Hyperparams,
  trainingReportSchema,
  weightHistogramsSchema,
} from '@selvedge/contract';
import { readModel } from '@selvedge/graph/onnx';
import { openSession } from '@selvedge/graph/session';
import { createRandom } from '@selvedge/graph/train';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { benchmarkTool } from '../benchmark/benchmark-tool.ts';
import { readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';
import { ToolBench, type ToolRun } from '../testing/run-tool.ts';
import { loadCheckpoint } from './checkpoint-files.ts';
import { openSampleSource } from './sample-source.ts';
import { trainTool } from './train-tool.ts';

const bench = new ToolBench();
afterAll(() => bench.end());

const LABELS = ['left', 'right'];

/** Pictures of 1 x 8 x 8 that are bright on one side. */
async function trainingSet(counts: Record<string, number>, layout: 'CHW' | 'HWC' = 'CHW'): Promise<string> {
  const folder = await bench.folder();
  const writer = new TensorSetWriter(folder, { labels: LABELS, sampleShape: layout === 'CHW' ? [1, 8, 8] : [8, 8, 1], layout });
  for (const [split, count] of Object.entries(counts)) {
    const random = createRandom(count);
    await writer.writeSplit(split, count, async (add) => {
      for (let i = 0; i < count; i += 1) {
        const x = Float32Array.from({ length: 64 }, (_, at) => random.uniform() + (at % 8 < 4 === (i % 2 === 0) ? 0.8 : 0));
        await add(x, BigInt64Array.of(BigInt(i % 2)));
      }
    });
  }
  await writer.writeInfo();
  return folder;
}

const hyperparams: Hyperparams = { lr: 2e-3, batch_size: 16, epochs: 3, seed: 5 };
const train = {
  network: [{ conv: { filters: 4, kernel: 3 } }, 'relu', { maxpool: 2 }, { dropout: 0.2 }, 'classifier'],
  augment: { shift: 1 },
};

let set = '';
let done: ToolRun;
beforeAll(async () => {
  set = await trainingSet({ train: 200, validation: 40, test: 60 });
  done = await bench.run(trainTool, { hyperparams, train }, { 'training-set': set });
});

describe('train', () => {
  it('leaves a model that has learnt, and its report', async () => {
    expect((await readdir(done.dataDir)).sort()).toEqual(['model.onnx', 'training.json', 'weights.json']);
    const { weights } = weightHistogramsSchema.parse(JSON.parse(await readFile(join(done.dataDir, 'weights.json'), 'utf8')));
    expect(weights.length).toBeGreaterThan(3);
    for (const { count, min, mean, max, buckets } of weights) {
      expect(buckets.reduce((sum, one) => sum + one)).toBe(count);
      expect(mean).toBeGreaterThanOrEqual(min);
      expect(mean).toBeLessThanOrEqual(max);
    }
    const report = trainingReportSchema.parse(JSON.parse(await readFile(join(done.dataDir, 'training.json'), 'utf8')));
    expect(report.metrics['validation/accuracy']).toBeGreaterThan(0.9);
    expect(report).toMatchObject({ epochs: 3, inputs: [{ shape: [null, 1, 8, 8] }], outputs: [{ shape: [null, 2] }] });
    const model = readModel(await readFile(join(done.dataDir, 'model.onnx')));
    expect(JSON.parse(model.metadata['selvedge.labels'] ?? '')).toEqual(LABELS);
    expect(model.metadata['selvedge.epoch']).toBe(String(report.bestEpoch));
  });

  it('shows its curves while it runs', () => {
    const steps = (name: string) => done.metrics.get(name)?.map(([step]) => step);
    for (const name of ['train/loss', 'train/accuracy', 'validation/loss', 'validation/accuracy', 'learning-rate'])
      expect(steps(name)).toEqual([1, 2, 3]);
    expect(steps('train/batch-loss')).toEqual([20]);
    expect(done.log.filter((line) => line.startsWith('epoch '))).toHaveLength(3);
    expect(done.log.join('\n')).toMatch(/epoch 1\/3: .* s left\)/);
  });

  it('ends in the same model when it is stopped after an epoch and goes on', async () => {
    const checkpointDir = await bench.folder();
    const controller = new AbortController();
    const onMetric = (name: string, step: number) => {
      if (name === 'train/batch-loss' && step === 20) controller.abort(new Error('killed'));
    };
    const parameters = { hyperparams, train };
    await expect(
      bench.run(trainTool, parameters, { 'training-set': set }, { checkpointDir, signal: controller.signal, onMetric }),
    ).rejects.toThrow('killed');
    expect((await loadCheckpoint(checkpointDir))?.epoch).toBe(1);
    const resumed = await bench.run(trainTool, parameters, { 'training-set': set }, { checkpointDir });
    expect(resumed.log).toContain('going on after epoch 1');
    expect(resumed.metrics.get('validation/loss')).toEqual(done.metrics.get('validation/loss')?.slice(1));
    const bytes = (run: ToolRun) => readFile(join(run.dataDir, 'model.onnx'));
    expect((await bytes(resumed)).equals(await bytes(done))).toBe(true);
  });

  it('begins anew from a damaged checkpoint', async () => {
    const checkpointDir = await bench.folder();
    await bench.run(trainTool, { hyperparams, train }, { 'training-set': set }, { checkpointDir });
    await writeFile(join(checkpointDir, 'state-3.bin'), 'damaged');
    expect(await loadCheckpoint(checkpointDir)).toBeUndefined();
  });

  it.each(['mse', 'bce-with-logits'] as const)('trains with the loss %s', async (loss) => {
    const run = await bench.run(
      trainTool,
      { hyperparams: { ...hyperparams, epochs: 10 }, train: { ...train, loss } },
      { 'training-set': set },
    );
    expect(Math.max(...(run.metrics.get('validation/accuracy') ?? []).map(([, value]) => value))).toBeGreaterThan(0.85);
  });

  it('keeps the last epoch where there is no validation data', async () => {
    const bare = await trainingSet({ train: 40, validation: 0, test: 2 });
    const { dataDir } = await bench.run(trainTool, { hyperparams, train }, { 'training-set': bare });
    const report = trainingReportSchema.parse(JSON.parse(await readFile(join(dataDir, 'training.json'), 'utf8')));
    expect(report.bestEpoch).toBe(3);
    expect(Object.keys(report.metrics).sort()).toEqual(['train/accuracy', 'train/loss']);
  });

  it.each([
    ['more CPUs than there are', { resources: { cpus: cpus().length + 1 } }],
    ['more memory than there is', { resources: { memoryMiB: 1024 ** 3 } }],
    ['a GPU', { resources: { gpus: [0] } }],
  ])('refuses %s', async (_what, block) => {
    await expect(trainTool.job?.({ hyperparams, train: block })).rejects.toMatchObject({
      code: 'RESOURCES_UNAVAILABLE',
    });
  });

  it('refuses HWC tensors and says what is missing', async () => {
    const hwc = await trainingSet({ train: 4, validation: 2, test: 2 }, 'HWC');
    await expect(bench.run(trainTool, { hyperparams }, { 'training-set': hwc })).rejects.toMatchObject({
      code: 'PREPROC_INVALID',
      details: { hint: expect.stringContaining('hwctochw') },
    });
  });

  it('reports a training that diverges', async () => {
    const wild = { lr: 100, batch_size: 16, epochs: 30, optimizer: 'sgd' as const };
    await expect(
      bench.run(trainTool, { hyperparams: wild, train: { network: 'mlp', loss: 'mse' } }, { 'training-set': set }),
    ).rejects.toMatchObject({
      code: 'TRAINING_DIVERGED',
    });
  });
});

describe('openSampleSource', () => {
  it('gives the same samples from the file as from memory', async () => {
    const info = await readTensorSetInfo(set);
    const wanted = [7, 0, 199, 7];
    const samples: Float32Array[] = [];
    for (const maxBytes of [0, 1e9]) {
      const source = await openSampleSource(set, info, 'train', maxBytes);
      const into = new Float32Array(wanted.length * source.sampleSize);
      await source.gather(wanted, into);
      samples.push(into);
      expect([source.count, source.labels[7]]).toEqual([200, 1]);
      await source.close();
    }
    expect(samples[0]).toEqual(samples[1]);
  });
});

describe('benchmark', () => {
  const postproc = { pipeline: ['softmax', 'topk'], params: { topk: { k: 2 } } };
  const inputs = () => ({ model: done.dataDir, 'training-set': set });

  it('measures the model on the test split', async () => {
    const run = await bench.run(benchmarkTool, { postproc, criteria: ['accuracy', 'recall'] }, inputs());
    const report = benchmarkReportSchema.parse(JSON.parse(await readFile(join(run.dataDir, 'report.json'), 'utf8')));
    expect(report.samples).toBe(60);
    expect(report.confusion.flat().reduce((sum, count) => sum + count, 0)).toBe(60);
    const hits = (report.confusion[0]?.[0] ?? 0) + (report.confusion[1]?.[1] ?? 0);
    expect(report.metrics.accuracy).toBeCloseTo(hits / 60);
    const averages = ['f1', 'microF1', 'microPrecision', 'microRecall', 'precision', 'recall'];
    expect(Object.keys(report.metrics).sort()).toEqual(['accuracy', 'ece', ...averages, 'loss', 'rocAuc'].sort());
    expect([...run.metrics.keys()]).toEqual(['test/accuracy', 'test/recall']);
    expect(report.latencyMs.p95).toBeGreaterThanOrEqual(report.latencyMs.p50);
  });

  it('does not depend on the batch size', async () => {
    const metrics = async (batchSize: number) => {
      const run = await bench.run(benchmarkTool, { batchSize }, inputs());
      return benchmarkReportSchema.parse(JSON.parse(await readFile(join(run.dataDir, 'report.json'), 'utf8'))).confusion;
    };
    expect(await metrics(7)).toEqual(await metrics(64));
  });

  it('records a golden sample that the model gives again', async () => {
    const { dataDir } = await bench.run(benchmarkTool, {}, inputs());
    const { input, output, tolerance } = goldenSampleSchema.parse(JSON.parse(await readFile(join(dataDir, 'golden.json'), 'utf8')));
    const session = await openSession(join(done.dataDir, 'model.onnx'));
    const result = (await session.run({ [input.name]: { type: 'float32', dims: input.shape, data: Float32Array.from(input.data) } }))[
      output.name
    ];
    await session.close();
    const differences = Array.from(result?.data ?? [], Number).map((value, i) => Math.abs(value - (output.data[i] ?? Number.NaN)));
    expect(differences).toHaveLength(2);
    expect(Math.max(...differences)).toBeLessThanOrEqual(tolerance);
  });

  it('finds a post-processing that does not fit the output', async () => {
    const nms = { pipeline: ['nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.1 } } };
    await expect(bench.run(benchmarkTool, { postproc: nms }, inputs())).rejects.toMatchObject({
      code: expect.stringMatching(/SHAPE_MISMATCH|PREPROC_INVALID/),
    });
  });

  it('refuses a model of another input and a file that is no model', async () => {
    const other = await bench.folder();
    const writer = new TensorSetWriter(other, { labels: LABELS, sampleShape: [1, 4, 4], layout: 'CHW' });
    await writer.writeSplit('test', 1, (add) => add(new Float32Array(16), BigInt64Array.of(0n)));
    await writer.writeInfo();
    await expect(bench.run(benchmarkTool, {}, { model: done.dataDir, 'training-set': other })).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    });
    const noModel = join(await bench.folder(), 'model');
    await mkdir(noModel);
    await writeFile(join(noModel, 'model.onnx'), 'nothing');
    await expect(bench.run(benchmarkTool, {}, { model: noModel, 'training-set': set })).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  });
});
