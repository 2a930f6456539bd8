import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PreprocOp, type PreprocParams, type PreprocSpec, preprocSchema } from '@selvedge/contract';
import { preprocessImage, type RawImage } from '@selvedge/graph/ops';
import * as fc from 'fast-check';

const edge = fc.integer({ min: 1, max: 40 });
const size = fc.tuple(edge, edge);

const image: fc.Arbitrary<RawImage> = fc
  .record({ width: edge, height: edge, channels: fc.constantFrom(1 as const, 3 as const, 4 as const) })
  .chain((form) => {
    const length = form.width * form.height * form.channels;
    return fc.uint8Array({ minLength: length, maxLength: length }).map((data) => ({ ...form, data }));
  });

/** Never so small that denormal numbers come out, which NEON of ARMv7 takes for zero. */
const fill = fc.oneof(fc.constant(0), fc.double({ min: 2 ** -20, max: 255, noNaN: true }));

const params = fc.record({
  resize: size,
  letterbox: fc.record({ size, fill }),
  centercrop: size,
  scale: fc.constantFrom<[number, number]>([0, 1], [-1, 1], [-2.1, 2.64]),
  normalize: fc.constantFrom(
    { mean: [0.5], std: [0.25] },
    { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    { mean: [123.7, 116.3, 103.5], std: [58.4, 57.1, 57.4] },
  ),
}) satisfies fc.Arbitrary<PreprocParams>;

const OPS: PreprocOp[] = ['resize', 'letterbox', 'centercrop', 'grayscale', 'hwctochw', 'scale', 'normalize'];

function specOf(pipeline: PreprocOp[], all: PreprocParams): PreprocSpec {
  const used = Object.entries(all).filter(([op]) => pipeline.some((name) => name === op));
  return { pipeline, params: Object.fromEntries(used) };
}

/** A picture and a chain that the reference can run on it, in any order that the contract allows. */
const chainCase = fc
  .tuple(image, fc.shuffledSubarray(OPS), params)
  .map(([picture, pipeline, all]) => ({ picture, spec: specOf(pipeline, all) }));

function reference(picture: RawImage, spec: PreprocSpec): ReturnType<typeof preprocessImage> | undefined {
  if (!preprocSchema.safeParse(spec).success) return undefined;
  try {
    return preprocessImage(picture, spec);
  } catch {
    return undefined; // e.g. three means for one channel
  }
}

/** Writes `count` cases with random chains, in the form of the golden folder. The same ones for the same seed. */
export async function writeRandomChains(folder: string, count: number, seed: number): Promise<void> {
  let written = 0;
  for (const { picture, spec } of fc.sample(chainCase, { numRuns: count * 12, seed })) {
    const expected = reference(picture, spec);
    if (expected === undefined || written === count) continue;
    const name = `random-${written++}`;
    const layout = spec.pipeline.includes('hwctochw') ? 'CHW' : 'HWC';
    const input = { file: `${name}.input.bin`, dataType: 'uint8', layout: 'HWC', shape: [picture.height, picture.width, picture.channels] };
    const output = { file: `${name}.output.bin`, dataType: 'float32', layout, shape: expected.shape };
    await writeFile(join(folder, `${name}.json`), JSON.stringify({ name, kind: 'preproc', spec, toleranceUlp: 0, input, output }));
    await writeFile(join(folder, input.file), picture.data);
    await writeFile(join(folder, output.file), new Uint8Array(expected.data.buffer, expected.data.byteOffset, expected.data.byteLength));
  }
  if (written < count) throw new Error(`Only ${written} of the chains could run.`);
}
