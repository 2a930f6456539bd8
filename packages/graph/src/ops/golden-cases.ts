import { type PostprocSpec, type PreprocSpec, postprocSchema, preprocSchema } from '@selvedge/contract';
import type { RawImage, TensorLayout } from './pixel-tensor.ts';
import { applyPostproc } from './postproc.ts';
import { applyPreproc, preprocessImage } from './preproc.ts';
import { sigmoid, softmax } from './scores.ts';

/** One committed file of the golden folder. */
export interface GoldenFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

type Values = Float32Array | Uint8Array;

interface Described {
  readonly layout?: TensorLayout;
  readonly shape: readonly number[];
  readonly values: Values;
  readonly columns?: readonly string[];
}

interface GoldenCase {
  readonly name: string;
  readonly kind: 'preproc' | 'postproc';
  readonly spec: PreprocSpec | PostprocSpec;
  readonly labels?: readonly string[];
  /** How many units in the last place another implementation may differ: 0 where only + - * / are used. */
  readonly toleranceUlp: number;
  readonly input: Described;
  readonly output: Described;
}

/** exp may differ in the last bit of float64 between C libraries; after rounding to float32 that is one unit, after a quotient two. */
const EXP_TOLERANCE_ULP = 2;

/** Repeatable values 0..1 with 24 bits, from a 32-bit linear congruential generator (Numerical Recipes' constants). */
function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) / 0x100_0000;
  };
}

function bytesOf(seed: number, count: number): Uint8Array {
  const next = sequence(seed);
  return Uint8Array.from({ length: count }, () => Math.floor(next() * 256));
}

function floatsOf(seed: number, count: number, lo: number, hi: number): Float32Array {
  const next = sequence(seed);
  return Float32Array.from({ length: count }, () => lo + next() * (hi - lo));
}

function imageCase(name: string, [height, width, channels]: readonly [number, number, 1 | 3 | 4], spec: PreprocSpec): GoldenCase {
  const image: RawImage = { width, height, channels, data: bytesOf(width * 1009 + height * 31 + channels, width * height * channels) };
  const { shape, data } = preprocessImage(image, spec);
  const layout = spec.pipeline.includes('hwctochw') ? 'CHW' : 'HWC';
  return {
    name,
    kind: 'preproc',
    spec,
    toleranceUlp: 0,
    input: { layout: 'HWC', shape: [height, width, channels], values: image.data },
    output: { layout, shape, values: data },
  };
}

/** The input is a float32 tensor that has fractions, as it stands between two ops. */
function tensorCase(name: string, shape: readonly [number, number, number], spec: PreprocSpec, layout: TensorLayout = 'HWC'): GoldenCase {
  const [a, b, c] = shape;
  const [height, width, channels] = layout === 'HWC' ? [a, b, c] : [b, c, a];
  const data = floatsOf(a * 7919 + b * 31 + c, a * b * c, 0, 255);
  const out = applyPreproc({ layout, height, width, channels, data }, spec);
  const outShape = out.layout === 'CHW' ? [out.channels, out.height, out.width] : [out.height, out.width, out.channels];
  return {
    name,
    kind: 'preproc',
    spec,
    toleranceUlp: 0,
    input: { layout, shape, values: data },
    output: { layout: out.layout, shape: outShape, values: out.data },
  };
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

function preprocCases(): GoldenCase[] {
  return [
    imageCase('image-grey', [5, 4, 1], { pipeline: [] }),
    imageCase('image-rgb', [3, 5, 3], { pipeline: [] }),
    imageCase('image-rgba', [4, 3, 4], { pipeline: [] }),
    tensorCase('resize-down-rgb', [17, 13, 3], { pipeline: ['resize'], params: { resize: [7, 5] } }),
    tensorCase('resize-down-far', [48, 37, 1], { pipeline: ['resize'], params: { resize: [3, 5] } }),
    tensorCase('resize-up-grey', [5, 7, 1], { pipeline: ['resize'], params: { resize: [11, 9] } }),
    tensorCase('resize-mixed-rgb', [9, 6, 3], { pipeline: ['resize'], params: { resize: [4, 13] } }),
    tensorCase('resize-same', [6, 5, 3], { pipeline: ['resize'], params: { resize: [6, 5] } }),
    tensorCase('resize-one-pixel', [1, 1, 3], { pipeline: ['resize'], params: { resize: [3, 2] } }),
    tensorCase('letterbox-wide', [7, 19, 3], { pipeline: ['letterbox'], params: { letterbox: { size: [12, 12] } } }),
    tensorCase('letterbox-tall', [19, 6, 3], { pipeline: ['letterbox'], params: { letterbox: { size: [11, 14], fill: 0 } } }),
    tensorCase('letterbox-up-grey', [5, 4, 1], { pipeline: ['letterbox'], params: { letterbox: { size: [9, 16], fill: 17.5 } } }),
    tensorCase('centercrop-odd', [9, 8, 3], { pipeline: ['centercrop'], params: { centercrop: [4, 5] } }),
    tensorCase('centercrop-pad', [4, 9, 1], { pipeline: ['centercrop'], params: { centercrop: [7, 6] } }),
    tensorCase('grayscale-rgb', [7, 5, 3], { pipeline: ['grayscale'] }),
    tensorCase('grayscale-grey', [3, 4, 1], { pipeline: ['grayscale'] }),
    tensorCase('hwctochw-rgb', [3, 5, 3], { pipeline: ['hwctochw'] }),
    tensorCase('hwctochw-grey', [4, 3, 1], { pipeline: ['hwctochw'] }),
    tensorCase('scale-symmetric', [5, 3, 3], { pipeline: ['scale'], params: { scale: [-1, 1] } }),
    tensorCase('scale-uneven-chw', [3, 5, 4], { pipeline: ['scale'], params: { scale: [-0.3, 2.7] } }, 'CHW'),
    tensorCase('normalize-hwc', [5, 3, 3], {
      pipeline: ['normalize'],
      params: { normalize: { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] } },
    }),
    tensorCase('normalize-chw', [3, 4, 5], { pipeline: ['normalize'], params: { normalize: IMAGENET } }, 'CHW'),
    tensorCase('normalize-one-value', [4, 3, 3], { pipeline: ['normalize'], params: { normalize: { mean: [127.5], std: [63.3] } } }),
    imageCase('chain-digits', [41, 37, 3], {
      pipeline: ['resize', 'grayscale', 'hwctochw', 'scale'],
      params: { resize: [28, 28], scale: [-1, 1] },
    }),
    imageCase('chain-crop-normalize', [33, 29, 3], {
      pipeline: ['resize', 'centercrop', 'scale', 'normalize', 'hwctochw'],
      params: { resize: [20, 20], centercrop: [15, 17], scale: [0, 1], normalize: IMAGENET },
    }),
    imageCase('chain-letterbox-rgba', [23, 31, 4], {
      pipeline: ['letterbox', 'hwctochw', 'scale'],
      params: { letterbox: { size: [32, 32] }, scale: [0, 1] },
    }),
    imageCase('chain-grey-picture', [13, 11, 1], {
      pipeline: ['centercrop', 'grayscale', 'resize', 'hwctochw', 'scale', 'normalize'],
      params: { centercrop: [12, 12], resize: [9, 8], scale: [0, 1], normalize: { mean: [0.1307], std: [0.3081] } },
    }),
  ];
}

/** softmax or sigmoid alone, whose result is a tensor. */
function activationCase(name: string, op: 'softmax' | 'sigmoid', values: Float32Array): GoldenCase {
  const out = op === 'softmax' ? softmax(values) : sigmoid(values);
  return {
    name,
    kind: 'postproc',
    spec: { pipeline: [op] },
    toleranceUlp: EXP_TOLERANCE_ULP,
    input: { shape: [values.length], values },
    output: { shape: [out.length], values: out },
  };
}

/** A chain that ends in a list; each row of the output is one entry of it. */
function listCase(name: string, shape: readonly number[], values: Float32Array, spec: PostprocSpec, labels: readonly string[]): GoldenCase {
  const result = applyPostproc([{ shape, data: values }], spec, labels);
  let rows: number[][] = [];
  let columns: string[] = [];
  if ('topk' in result) {
    rows = result.topk.map((entry) => [entry.index, entry.score]);
    columns = ['index', 'score'];
  } else if ('boxes' in result) {
    rows = result.boxes.map((entry) => [...entry.box, entry.index, entry.score]);
    columns = ['x1', 'y1', 'x2', 'y2', 'index', 'score'];
  }
  const usesExp = spec.pipeline.includes('softmax') || spec.pipeline.includes('sigmoid');
  return {
    name,
    kind: 'postproc',
    spec,
    labels,
    toleranceUlp: usesExp ? EXP_TOLERANCE_ULP : 0,
    input: { shape, values },
    output: { shape: [rows.length, columns.length], values: Float32Array.from(rows.flat()), columns },
  };
}

/** Boxes in a few crowds, so that many of them overlap. */
function crowd(seed: number, boxes: number, classes: number, logits: boolean): Float32Array {
  const next = sequence(seed);
  const rows: number[] = [];
  for (let i = 0; i < boxes; i++) {
    rows.push(20 + 30 * (i % 3) + 8 * next(), 25 + 20 * (i % 2) + 8 * next(), 12 + 10 * next(), 10 + 12 * next());
    for (let c = 0; c < classes; c++) rows.push(logits ? 8 * next() - 5 : next());
  }
  return Float32Array.from(rows);
}

function transpose(rows: Float32Array, width: number): Float32Array {
  const height = rows.length / width;
  return Float32Array.from({ length: rows.length }, (_, i) => rows[(i % height) * width + Math.floor(i / height)] ?? 0);
}

function postprocCases(): GoldenCase[] {
  const three = ['cat', 'dog', 'hen'];
  const ten = Array.from({ length: 10 }, (_, i) => String(i));
  const rows = crowd(11, 40, 3, false);
  const nms = { IoU_thr: 0.45, conf_thr: 0.6 };
  return [
    activationCase('softmax-ten', 'softmax', floatsOf(3, 10, -6, 9)),
    activationCase('softmax-large', 'softmax', Float32Array.of(1000, 999.5, -1000, 88, 1000)),
    activationCase('sigmoid-wide', 'sigmoid', Float32Array.of(-200, -88, -17.3, -1, -0, 0.25, 3, 16.9, 88, 200)),
    listCase(
      'topk-ties',
      [1, 6],
      Float32Array.of(0.25, 0.5, 0.125, 0.5, 0.25, 0.25),
      { pipeline: ['topk'], params: { topk: { k: 4 } } },
      [],
    ),
    listCase('softmax-topk', [1, 10], floatsOf(5, 10, -4, 6), { pipeline: ['softmax', 'topk'], params: { topk: { k: 3 } } }, ten),
    listCase('nms-rows', [1, 40, 7], rows, { pipeline: ['nms'], params: { nms } }, three),
    listCase('nms-columns', [1, 7, 40], transpose(rows, 7), { pipeline: ['nms'], params: { nms } }, three),
    listCase('nms-limit', [40, 7], rows, { pipeline: ['nms'], params: { nms: { IoU_thr: 0.7, conf_thr: 0, max_boxes: 5 } } }, three),
    listCase(
      'nms-sigmoid',
      [7, 33],
      transpose(crowd(23, 33, 3, true), 7),
      { pipeline: ['sigmoid', 'nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.25 } } },
      three,
    ),
  ];
}

function littleEndian(values: Values): Uint8Array {
  if (values instanceof Uint8Array) return values;
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, i) => {
    view.setFloat32(i * 4, value, true);
  });
  return new Uint8Array(view.buffer);
}

/** JSON with one field per line and arrays of plain values on one line, as the formatter of this repository leaves it. */
function formatJson(value: unknown, indent = ''): string {
  if (Array.isArray(value)) return `[${value.map((item) => formatJson(item)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  if (fields.length === 0) return '{}';
  const inner = `${indent}  `;
  return `{\n${fields.map(([key, field]) => `${inner}${JSON.stringify(key)}: ${formatJson(field, inner)}`).join(',\n')}\n${indent}}`;
}

function filesOf(golden: GoldenCase): GoldenFile[] {
  const spec = golden.kind === 'preproc' ? preprocSchema.parse(golden.spec) : postprocSchema.parse(golden.spec);
  const side = (described: Described, suffix: string): { meta: object; file: GoldenFile } => {
    const { values, ...shape } = described;
    const name = `${golden.name}.${suffix}.bin`;
    const dataType = values instanceof Uint8Array ? 'uint8' : 'float32';
    return { meta: { file: name, dataType, ...shape }, file: { name, bytes: littleEndian(values) } };
  };
  const input = side(golden.input, 'input');
  const output = side(golden.output, 'output');
  const { name, kind, labels, toleranceUlp } = golden;
  const meta = { formatVersion: 1, name, kind, spec, labels, toleranceUlp, input: input.meta, output: output.meta };
  return [{ name: `${name}.json`, bytes: new TextEncoder().encode(`${formatJson(meta)}\n`) }, input.file, output.file];
}

/**
 * Computes all golden files with the reference ops, in memory; README.md of the golden folder describes their format.
 * The same bytes every time.
 */
export function goldenFiles(): GoldenFile[] {
  return [...preprocCases(), ...postprocCases()].flatMap(filesOf);
}
