import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, type BuildOptions, type BuildReport, buildReportSchema, type PostprocSpec, type PreprocSpec } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import { buildNetwork, type Model, makeNode, writeModel } from '@selvedge/graph/onnx';
import { preprocessImage } from '@selvedge/graph/ops';
import { openSession } from '@selvedge/graph/session';
import { createRandom } from '@selvedge/graph/train';
import { sha256File, sha256Hex } from '@selvedge/runtime';
import { runProgram } from '@selvedge/toolchain';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { buildTool } from '../../packages/tools/src/build/build-tool.ts';
import { TensorSetWriter } from '../../packages/tools/src/tensor-set/tensor-set-writer.ts';
import { ToolBench } from '../../packages/tools/src/testing/run-tool.ts';
import { TEST_TARGETS_DIR, testTarget } from './harness/targets.ts';

const LABELS = [...'0123456789'];
const PREPROC: PreprocSpec = { pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'], params: { resize: [28, 28], scale: [0, 1] } };
const POSTPROC: PostprocSpec = { pipeline: ['softmax', 'topk'], params: { topk: { k: 10 } } };
const resultSchema = z.looseObject({ result: z.looseObject({ topk: z.array(z.looseObject({ label: z.string(), score: z.number() })) }) });

const bench = new ToolBench();
const model = buildNetwork({ layers: 'small-cnn', inputShape: [1, 28, 28], classes: 10, seed: 3 });
let folder: string;
const pictures: string[] = [];
const tensors: Float32Array[] = [];
let samples: string;

/** Blobs of light on a dark ground: different enough that the classes differ. */
async function makePicture(index: number): Promise<Buffer> {
  const random = createRandom(11, index);
  const pixels = Buffer.alloc(40 * 36 * 3);
  const [cx, cy, radius] = [8 + random.uniform() * 20, 8 + random.uniform() * 24, 3 + random.uniform() * 10];
  for (let i = 0; i < 40 * 36; i += 1) {
    const far = Math.hypot((i % 36) - cx, Math.floor(i / 36) - cy);
    for (let c = 0; c < 3; c += 1) pixels[i * 3 + c] = Math.floor((far < radius ? 200 : 20) + random.uniform() * 50);
  }
  return sharp(pixels, { raw: { width: 36, height: 40, channels: 3 } })
    .png()
    .toBuffer();
}

/** What ONNX Runtime and the reference operations give. */
async function expectedScores(bytes: Uint8Array): Promise<number[][]> {
  const session = await openSession(bytes);
  const all: number[][] = [];
  for (const data of tensors) {
    const logits = (await session.run({ input: { type: 'float32', dims: [1, 1, 28, 28], data } })).logits;
    const values = Array.from(logits?.data ?? [], Number);
    const top = Math.max(...values);
    const sum = values.reduce((total, value) => total + Math.exp(value - top), 0);
    all.push(values.map((value) => Math.exp(value - top) / sum));
  }
  await session.close();
  return all;
}

const best = (row: readonly number[]): number => row.indexOf(Math.max(...row));

/** Each sample's label is what the model says, so that its accuracy is 1. */
async function writeSamples(scores: readonly number[][]): Promise<string> {
  const target = await bench.folder();
  const writer = new TensorSetWriter(target, { labels: LABELS, sampleShape: [1, 28, 28], layout: 'CHW' });
  for (const split of ['train', 'validation', 'test']) {
    await writer.writeSplit(split, tensors.length, async (add) => {
      for (const [i, data] of tensors.entries()) await add(data, BigInt64Array.of(BigInt(best(scores[i] ?? []))));
    });
  }
  await writer.writeInfo();
  return target;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-build-test-'));
  process.env.SELVEDGE_TARGETS_DIR = TEST_TARGETS_DIR;
  for (let i = 0; i < 24; i += 1) {
    const picture = await makePicture(i);
    const path = join(folder, `${String(i).padStart(2, '0')}.png`);
    await writeFile(path, picture);
    pictures.push(path);
    tensors.push(preprocessImage(await decodeImage(picture), PREPROC).data);
  }
  samples = await writeSamples(await expectedScores(writeModel(model)));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await bench.end();
});

interface Built {
  report: BuildReport;
  archive: string;
  /** Folder of the package. */
  files: string;
  log: readonly string[];
}

async function build(
  target: string,
  options: BuildOptions,
  given: { model?: Model; samples?: string; signal?: AbortSignal } = {},
): Promise<Built> {
  const bytes = writeModel(given.model ?? model);
  const input = await bench.folder();
  await writeFile(join(input, 'blob'), bytes);
  const checkpointDir = await bench.folder();
  const { dataDir, log } = await bench.run(
    buildTool,
    {
      model: 'digits',
      version: '1',
      target,
      modelSha256: sha256Hex(bytes),
      build: options,
      labels: LABELS,
      preproc: PREPROC,
      postproc: POSTPROC,
      inputs: [{ name: 'input', dataType: 'float32', shape: [null, 1, 28, 28] }],
      outputs: [{ name: 'logits', dataType: 'float32', shape: [null, 10] }],
    },
    { model: input, samples: given.samples ?? samples },
    { checkpointDir, cacheDir: join(TEST_TARGETS_DIR, 'cache'), ...(given.signal === undefined ? {} : { signal: given.signal }) },
  );
  const report = buildReportSchema.parse(JSON.parse(await readFile(join(dataDir, 'build.json'), 'utf8')));
  return { report, log, archive: join(dataDir, 'files.tar.zst'), files: join(checkpointDir, 'build/package') };
}

/** Scores by class that the package gives for every picture. */
async function runPackage(name: string, files: string): Promise<number[][]> {
  const { recipe } = await testTarget(name);
  const native = recipe.machine === process.arch;
  const emulator = `/usr/bin/${recipe.emulator.program}`;
  const prefix = native ? [] : [emulator];
  const env = native ? [] : [`SELVEDGE_EMULATOR=${emulator}`, `QEMU_CPU=${recipe.emulator.cpus[0] ?? ''}`];
  const inputs = pictures.flatMap((path) => ['--input', path]);
  const { exitCode, stdout, stderr } = await runProgram('/usr/bin/env', [...env, ...prefix, join(files, 'run'), ...inputs], { cwd: '/' });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const lines = stdout.trim().split('\n');
  return lines.map((line) => {
    const { topk } = resultSchema.parse(JSON.parse(line)).result;
    return LABELS.map((label) => topk.find((entry) => entry.label === label)?.score ?? Number.NaN);
  });
}

function largestDifference(a: readonly number[][], b: readonly number[][]): number {
  return Math.max(...a.flatMap((row, i) => row.map((value, j) => Math.abs(value - (b[i]?.[j] ?? Number.NaN)))));
}

const sizeOf = ({ report }: Built, pick: (path: string) => boolean): number =>
  report.manifest.files.filter(({ path }) => pick(path)).reduce((sum, file) => sum + file.sizeBytes, 0);

/** A whole package with a digit network of 49 000 parameters, whose weights file has 197 kB. That of this test is larger. */
const MOST_BYTES = 2_500_000;
const WEIGHTS_BYTES = 197_000;

describe.each(['linux-amd64', 'linux-armv7'])('a package for %s', (name) => {
  beforeAll(async () => {
    await testTarget(name, ['onnxruntime']);
  });

  it('gives what ONNX Runtime gives, small, checked on the way, and the same bytes again', async () => {
    const one = await build(name, {});
    expect(one.report).toMatchObject({ engine: 'xnnpack', precision: 'fp32', manifest: { benchmark: { trained: { accuracy: 1 } } } });
    expect(one.report.notes.join()).toContain('self-test passed');
    expect(sizeOf(one, (path) => path !== 'weights.bin') + WEIGHTS_BYTES).toBeLessThanOrEqual(MOST_BYTES);
    const expected = await expectedScores(writeModel(model));
    const actual = await runPackage(name, one.files);
    expect(actual.map(best)).toEqual(expected.map(best));
    expect(largestDifference(actual, expected)).toBeLessThan(1e-4);
    const again = await build(name, {});
    expect(await sha256File(again.archive)).toBe(await sha256File(one.archive));
    expect(again.report.provenance).toEqual(one.report.provenance);
  });

  it('computes in int8 what the quantised model computes, nearly', async () => {
    const built = await build(name, { precision: 'int8' });
    expect(built.report).toMatchObject({ engine: 'xnnpack', precision: 'int8' });
    expect(built.log.join('\n')).toContain('least signal over noise');
    expect(built.report.manifest.benchmark.built.accuracy).toBeGreaterThan(0.8);
    const expected = await expectedScores(writeModel(model));
    expect(largestDifference(await runPackage(name, built.files), expected)).toBeLessThan(0.1);
  });

  it('runs with ONNX Runtime, its own loader and libraries', async () => {
    const built = await build(name, { engine: 'onnxruntime' });
    expect(built.report).toMatchObject({ engine: 'onnxruntime', manifest: { modelFile: 'model.onnx' } });
    const expected = await expectedScores(writeModel(model));
    const actual = await runPackage(name, built.files);
    expect(actual.map(best)).toEqual(expected.map(best));
    expect(largestDifference(actual, expected)).toBeLessThan(1e-4);
  });
});

describe('the build tool', () => {
  const failure = async (work: Promise<unknown>): Promise<AppError> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof AppError)) throw new Error('It should have failed with an AppError', { cause: error });
    return error;
  };

  it('compiles the steps of a user, and tells their errors by file and line', async () => {
    const step = `#include "selvedge_step.h"\nSELVEDGE_POST_STEP(mark) (selvedge::ResultView& result) {\n  result.extra = "{\\"seen\\": true}";\n}\n`;
    const built = await build('linux-amd64', { sources: [{ path: 'steps/mark.cc', text: step }] });
    const { stdout } = await runProgram(join(built.files, 'run'), ['--input', pictures[0] ?? ''], { cwd: '/' });
    expect(JSON.parse(stdout)).toMatchObject({ result: { extra: { seen: true } } });
    const broken = await failure(build('linux-amd64', { sources: [{ path: 'steps/mark.cc', text: step.replace('true}";', 'true}"') }] }));
    expect(broken.code).toBe('BUILD_FAILED');
    expect(broken.details.message).toContain('steps/mark.cc:3:');
    expect(broken.details.issues?.[0]).toMatchObject({ file: 'steps/mark.cc', line: 3 });
  });

  it('falls back to ONNX Runtime for an operator that xnnpack has not, and says which; with engine xnnpack that is an error', async () => {
    const { graph } = model;
    const output = graph.nodes.at(-1)?.outputs[0] ?? '';
    const nodes = graph.nodes.map((node) => ({ ...node, outputs: node.outputs.map((value) => (value === output ? 'before' : value)) }));
    const odd: Model = { ...model, graph: { ...graph, nodes: [...nodes, makeNode('Erf', ['before'], [output], {}, 'odd')] } };
    const built = await build('linux-amd64', {}, { model: odd });
    expect(built.report.engine).toBe('onnxruntime');
    expect(built.report.notes.join('\n')).toContain('Erf "odd"');
    const refused = await failure(build('linux-amd64', { engine: 'xnnpack' }, { model: odd }));
    expect(refused).toMatchObject({ code: 'OP_UNSUPPORTED' });
    expect(refused.details.message).toContain('Erf "odd"');
  });

  it('chooses int8 where it loses no more than the tolerance, else what is left', async () => {
    const lenient = await build('linux-amd64', { precision: 'auto', tolerance: 0.5 });
    expect(lenient.report.precision).toBe('int8');
    expect(lenient.report.notes.join('\n')).toContain('precision int8: the fastest');
  });

  it('says what is missing', async () => {
    const unknown = await failure(build('linux-pdp11', {}));
    expect(unknown.code).toBe('TARGET_UNKNOWN');
    const empty = await bench.folder();
    process.env.SELVEDGE_TARGETS_DIR = empty;
    const missing = await failure(build('linux-armv7', {})).finally(() => {
      process.env.SELVEDGE_TARGETS_DIR = TEST_TARGETS_DIR;
    });
    expect(missing.code).toBe('TARGET_NOT_INSTALLED');
    expect(missing.details.hint).toContain('selvedge target install linux-armv7');
    expect(await readdir(empty)).toEqual([]);
  });

  it('ends when it is cancelled', async () => {
    const controller = new AbortController();
    controller.abort(new AppError('CANCELLED', { message: 'Cancelled.' }));
    expect((await failure(build('linux-amd64', {}, { signal: controller.signal }))).code).toBe('CANCELLED');
  });
});
