import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postprocSchema } from '@selvedge/contract';
import { applyPostproc } from '@selvedge/graph/ops';
import { type InstalledTarget, nativeDir } from '@selvedge/toolchain';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import * as z from 'zod';
import { buildNativeProgram, runOnTarget } from './harness/native-program.ts';
import { writeRandomChains } from './harness/random-chains.ts';
import { writeReferencePictures } from './harness/reference-pictures.ts';
import { testTarget } from './harness/targets.ts';

const GOLDEN = join(nativeDir(), '../packages/graph/golden');
const LIBRARIES = ['jpeg', 'png16', 'z'];
const RANDOM_CHAINS = 150;

const goldenSchema = z.object({
  name: z.string(),
  spec: postprocSchema,
  labels: z.array(z.string()).default([]),
  toleranceUlp: z.number(),
  input: z.object({ file: z.string(), shape: z.array(z.number()) }),
});

/** What the reference makes of a golden case, as JSON. */
async function referenceResult(name: string): Promise<{ result: unknown; toleranceUlp: number }> {
  const golden = goldenSchema.parse(JSON.parse(await readFile(join(GOLDEN, `${name}.json`), 'utf8')));
  const bytes = await readFile(join(GOLDEN, golden.input.file));
  const data = new Float32Array(Uint8Array.from(bytes).buffer);
  const result = applyPostproc([{ shape: golden.input.shape, data }], golden.spec, golden.labels);
  return { result: JSON.parse(JSON.stringify(result)), toleranceUlp: golden.toleranceUlp };
}

/** Numbers rounded to what exp may differ in between C libraries. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, part: unknown) => (typeof part === 'number' ? Number(part.toPrecision(6)) : part));
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-ops-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a program of the target; the test is skipped where that cannot be done. @returns what it printed. */
async function run(target: InstalledTarget, program: string, args: readonly string[], context: TestContext): Promise<string> {
  const result = await runOnTarget(target, program, args);
  if (result === undefined) return context.skip('there is no emulator for the target');
  expect({ exitCode: result.exitCode, stderr: result.stderr }).toEqual({ exitCode: 0, stderr: '' });
  return result.stdout;
}

describe.each(['linux-amd64', 'linux-armv7', 'linux-arm64', 'linux-riscv64'])('native ops and decoders for %s', (name) => {
  let target: InstalledTarget;
  let golden: string;
  const build = (test: string) =>
    buildNativeProgram(target, { source: `tests/${test}.cc`, components: ['base', 'ops', 'image'], libraries: LIBRARIES, folder });

  beforeAll(async () => {
    target = await testTarget(name);
    golden = await build('golden_test');
  });

  it('reproduce every golden tensor in both memory orders, and the result of the reference', async (context) => {
    const lines = (await run(target, golden, [GOLDEN], context)).trim().split('\n');
    const cases = (await readdir(GOLDEN)).filter((file) => /^(nms|softmax|sigmoid|topk).*\.json$/.test(file));
    expect(lines).toHaveLength(cases.length);
    for (const line of lines) {
      const at = line.indexOf(' ');
      const { result, toleranceUlp } = await referenceResult(line.slice(0, at));
      const own: unknown = JSON.parse(line.slice(at + 1));
      if (toleranceUlp === 0) expect(own).toEqual(result);
      else expect(rounded(own)).toEqual(rounded(result));
    }
  });

  it('give the same bits as the reference for random chains', async (context) => {
    const seed = Number(process.env.SELVEDGE_TEST_SEED ?? Date.now() % 2 ** 31);
    const chains = join(folder, `chains-${name}`);
    await mkdir(chains);
    await writeRandomChains(chains, RANDOM_CHAINS, seed);
    const result = await runOnTarget(target, golden, [chains]);
    if (result === undefined) return context.skip('there is no emulator for the target');
    expect(result.stderr, `SELVEDGE_TEST_SEED=${seed}`).toBe('');
    expect(result.exitCode).toBe(0);
  });

  it('refuse chains that cannot run and answer as the model server does', async (context) => {
    await run(target, await build('ops_test'), [], context);
  });

  it('decode to the pixels of the reference decoder and refuse damaged pictures', async (context) => {
    const pictures = join(folder, `pictures-${name}`);
    await mkdir(pictures);
    const names = await writeReferencePictures(pictures);
    const printed = await run(target, await build('image_test'), [pictures], context);
    expect(printed.trim().split('\n')).toHaveLength(names.length);
  });
});
