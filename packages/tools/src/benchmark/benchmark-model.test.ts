import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchmarkReportSchema, type PostprocSpec } from '@selvedge/contract';
import { IR_VERSION, int64Tensor, type Model, OPSET, writeModel } from '@selvedge/graph/onnx';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSplit, readTensorSetInfo } from '../tensor-set/tensor-set-reader.ts';
import { TensorSetWriter } from '../tensor-set/tensor-set-writer.ts';
import { type BenchmarkOptions, benchmarkModel } from './benchmark-model.ts';
import { writeReports } from './write-reports.ts';

/** Two criteria that every benchmark here is told, one of which another kind of model has. */
const WANTED = [
  { metric: 'accuracy', operator: '>=', wanted: 0.7 },
  { metric: 'mAP@50', operator: '>=', wanted: 0.9 },
] as const;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-benchmark-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A model that gives its input back in another shape, so that the samples say what it answers. */
function echo(sampleShape: readonly number[], outputShape: readonly number[]): Model {
  const shape = int64Tensor([0, ...outputShape]);
  const node = { name: 'echo', op: 'Reshape', domain: '', inputs: ['input', 'shape'], outputs: ['output'], attributes: {} };
  return {
    irVersion: IR_VERSION,
    producer: 'test',
    opsets: [{ domain: '', version: OPSET }],
    metadata: {},
    graph: {
      name: 'echo',
      nodes: [node],
      initializers: new Map([['shape', shape]]),
      inputs: [{ name: 'input', type: 'float32', shape: ['N', ...sampleShape] }],
      outputs: [{ name: 'output', type: 'float32', shape: ['N', ...outputShape] }],
    },
  };
}

interface Case {
  readonly labels: readonly string[];
  readonly sampleShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly rows: readonly (readonly number[])[];
  readonly y: readonly number[];
  readonly boxes?: readonly number[];
  readonly postproc?: PostprocSpec;
  readonly kind?: BenchmarkOptions['kind'];
}

async function benchmark({ labels, sampleShape, outputShape, rows, y, boxes, postproc, kind }: Case) {
  const layout = sampleShape.length === 1 ? 'vector' : 'CHW';
  const writer = new TensorSetWriter(folder, { labels, sampleShape, layout, hasBoxes: boxes !== undefined });
  await writer.writeSplit('test', rows.length, (add) =>
    add(Float32Array.from(rows.flat()), BigInt64Array.from(y, BigInt), { boxes: boxes && Float32Array.from(boxes) }),
  );
  await writer.writeInfo();
  const modelPath = join(folder, 'model.onnx');
  await writeFile(modelPath, writeModel(echo(sampleShape, outputShape)));
  const info = await readTensorSetInfo(folder);
  const test = await openSplit(folder, info, 'test');
  const { signal } = new AbortController();
  try {
    const result = await benchmarkModel({ modelPath, info, test, postproc, kind, batchSize: 2, signal, progress: () => undefined });
    const { report, scores } = result;
    await writeReports({ dataDir: folder, title: 'a <b>', wanted: WANTED, report, scores, info, test, preproc: undefined, signal });
    return result;
  } finally {
    await test.close();
  }
}

const file = (name: string) => readFile(join(folder, name), 'utf8');

describe('benchmarkModel', () => {
  const rows = [
    [2, 0, 0],
    [0, 3, 0],
    [0, 5, 0],
    [1, 0, 0],
  ];

  it('scores a classifier and writes its report', async () => {
    const labels = ['=cmd', '<script>alert(1)</script>', 'c'];
    const { report } = await benchmark({ labels, sampleShape: [3], outputShape: [3], rows, y: [0, 1, 0, 0] });
    expect(report.kind).toBe('classification');
    expect(report.metrics.accuracy).toBe(0.75);
    expect(report.metrics.microF1).toBe(0.75);
    expect(report.confusion).toEqual([
      [2, 1, 0],
      [0, 1, 0],
      [0, 0, 0],
    ]);
    expect(report.perClass[0]).toMatchObject({ support: 3, precision: 1, recall: 2 / 3 });
    expect(report.mistakes).toEqual([{ sample: 2, actual: '=cmd', predicted: labels[1], confidence: expect.closeTo(0.9867, 3) }]);
    expect(report.calibration?.reduce((sum, bin) => sum + bin.samples, 0)).toBe(4);
    expect(benchmarkReportSchema.parse(JSON.parse(await file('report.json')))).toEqual(report);
    const page = await file('report.html');
    expect(page).toContain('&lt;script&gt;alert(1)');
    expect(page).toContain('<title>a &lt;b&gt;</title>');
    expect(page).not.toContain('<script');
    expect(page).toContain('<tr><td>accuracy</td><td>&gt;= 0.7</td><td>0.7500</td><td>passed</td></tr>');
    expect(page).toContain('<td>mAP@50</td><td>&gt;= 0.9</td><td>not measured</td><td>not passed</td>');
    expect((await file('report.csv')).split('\r\n')[1]).toMatch(/^'=cmd,3,1,0\.66/);
    expect(await file('metrics.csv')).toContain('accuracy,0.75\r\n');
  });

  it('scores a detector through nms, with unsure boxes in mAP only', async () => {
    const postproc: PostprocSpec = { pipeline: ['nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.5 } } };
    // Two boxes per sample: cx, cy, w, h, score of a, score of b.
    const a = [4, 4, 4, 4, 0.9, 0];
    const unsure = [12, 12, 4, 4, 0, 0.1];
    const wrong = [20, 20, 4, 4, 0.8, 0];
    const { report, scores } = await benchmark({
      labels: ['a', 'b'],
      sampleShape: [1, 2, 6],
      outputShape: [2, 6],
      rows: [
        [...a, ...unsure],
        [...a, ...wrong],
      ],
      y: [2, 1],
      boxes: [0, 2, 2, 6, 6, 1, 10, 10, 14, 14, 0, 2, 2, 6, 6],
      postproc,
    });
    expect(report.kind).toBe('detection');
    expect(report.metrics['mAP@50']).toBeCloseTo(1, 6);
    expect(report.perClass).toEqual([
      { label: 'a', support: 2, precision: 2 / 3, recall: 1, f1: 0.8, ap50: 1, ap: 1 },
      { label: 'b', support: 1, precision: 0, recall: 0, f1: 0, ap50: 1, ap: 1 },
    ]);
    expect(scores.mistakes.map(({ sample, boxes }) => [sample, boxes?.map(({ state }) => state)])).toEqual([
      [0, ['found', 'missed']],
      [1, ['found', 'wrong']],
    ]);
    expect(await file('report.html')).toMatch(/<img src="data:image\/png;base64,[^"]+" width="6" height="2"/);
  });

  it('scores an embedding by what finds its own', async () => {
    const vectors = [
      [1, 0],
      [2, 0.2],
      [0, 1],
      [1, 0.05],
    ];
    const { report } = await benchmark({ labels: ['x', 'y', 'z'], sampleShape: [2], outputShape: [2], rows: vectors, y: [0, 0, 1, 1] });
    expect(report.kind).toBe('embedding');
    expect(report.metrics.rank1).toBe(0);
    expect(report.metrics.rank5).toBe(1);
    expect(report.mistakes?.map(({ actual, predicted }) => [actual, predicted])).toContainEqual(['y', 'x']);
  });

  it('refuses a model whose output is not what the pipeline wants', async () => {
    const postproc: PostprocSpec = { pipeline: ['softmax'] };
    await expect(
      benchmark({ labels: ['a', 'b'], sampleShape: [3], outputShape: [3], rows, y: [0, 1, 0, 0], postproc }),
    ).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    });
  });
});
