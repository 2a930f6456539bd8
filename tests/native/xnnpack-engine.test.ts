import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lowerModel } from '@selvedge/graph/lower';
import { buildNetwork } from '@selvedge/graph/onnx';
import { runProgram } from '@selvedge/toolchain';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { generateXnnpack } from '../../packages/tools/src/build/xnnpack/index.ts';
import { runnerOf, testTarget } from './harness/targets.ts';
import { buildCases } from './harness/xnnpack/build-cases.ts';
import { FLOAT_CASES } from './harness/xnnpack/float-cases.ts';
import { INT8_CASES } from './harness/xnnpack/int8-cases.ts';
import type { ModelCase } from './harness/xnnpack/model-case.ts';
import { NETWORK_CASES } from './harness/xnnpack/network-cases.ts';
import { type PreparedCase, prepareCases, worstDifference } from './harness/xnnpack/run-cases.ts';

const ALL: readonly ModelCase[] = [...FLOAT_CASES, ...INT8_CASES, ...NETWORK_CASES];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-xnnpack-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The cases whose results are not what ONNX Runtime computes. */
async function wrongCases(prepared: readonly PreparedCase[], first = 0): Promise<string[]> {
  const wrong: string[] = [];
  for (const [i, one] of prepared.entries()) {
    const difference = await worstDifference(one, first + i, folder);
    if (!(difference <= one.tolerance)) wrong.push(`${one.name}: ${difference} > ${one.tolerance}`);
  }
  return wrong;
}

async function run(words: readonly string[]): Promise<string> {
  const [program = '', ...args] = words;
  const { exitCode, stdout, stderr } = await runProgram(program, args, { timeoutMs: 120_000 });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout;
}

describe('xnnpack engine', () => {
  let prepared: PreparedCase[];
  let source: string;
  beforeAll(async () => {
    ({ prepared, source } = await prepareCases(ALL, folder));
  });

  /** Builds the cases for a target and says how to run them; skips where no emulator is installed. */
  async function programFor(name: string, cpu: string | undefined, context: TestContext): Promise<string[]> {
    const target = await testTarget(name);
    const runner = runnerOf(target, cpu);
    if (!runner) return context.skip('there is no emulator for the target');
    return [...runner, await buildCases(target, source, folder)];
  }

  it.for([
    ['linux-amd64', undefined],
    ['linux-armv7', 'cortex-a7'],
    ['linux-arm64', 'cortex-a53'],
    // Dot products and half precision: other kernels.
    ['linux-arm64', 'cortex-a76'],
    ['linux-riscv64', 'sifive-u54'],
  ] as const)('computes what ONNX Runtime computes, for every operator: %s %s', async ([name, cpu], context) => {
    const program = await programFor(name, cpu, context);
    await Promise.all(prepared.map((_, i) => rm(join(folder, `${i}.out`), { force: true })));
    expect(await run([...program, folder])).toBe('');
    expect(await wrongCases(prepared)).toEqual([]);
  });

  it('computes the same on several threads', async (context) => {
    const program = await programFor('linux-amd64', undefined, context);
    const networks = prepared.slice(-NETWORK_CASES.length);
    const first = prepared.length - networks.length;
    await Promise.all(networks.map((_, i) => rm(join(folder, `${first + i}.out`), { force: true })));
    expect(await run([...program, folder, '3', String(first)])).toBe('');
    expect(await wrongCases(networks, first)).toEqual([]);
  });

  it('refuses weights of another structure, of another size and no weights at all', async (context) => {
    const program = await programFor('linux-amd64', undefined, context);
    const bad = await mkdtemp(join(folder, 'bad-'));
    await Promise.all(prepared.map((_, i) => copyFile(join(folder, `${i}.weights`), join(bad, `${i}.weights`))));
    await Promise.all(prepared.map((_, i) => copyFile(join(folder, `${i}.in`), join(bad, `${i}.in`))));
    const first = await readFile(join(bad, '0.weights'));
    const altered = (at: number) => Buffer.concat([first.subarray(0, at), Buffer.of((first[at] ?? 0) ^ 1), first.subarray(at + 1)]);
    const expected: [Buffer, string][] = [
      [altered(30), 'another structure'],
      [altered(0), 'no weights file'],
      [altered(8), 'version 0'],
      [altered(17), 'damaged header'],
      [first.subarray(0, first.length - 1), `has ${first.length - 1} bytes`],
      [Buffer.alloc(0), 'has 0 bytes'],
    ];
    for (const [bytes, why] of expected) {
      await writeFile(join(bad, '0.weights'), bytes);
      const printed = await run([...program, bad]);
      expect(printed).toMatch(/^0: MODEL_INVALID: /);
      expect(printed).toContain(why);
      expect(printed.trim().split('\n')).toHaveLength(1);
    }
    await rm(join(bad, '0.weights'));
    expect(await run([...program, bad])).toMatch(/^0: FILE_UNREADABLE: /);
  });

  it('runs the weights of another training of the same network', async (context) => {
    const program = await programFor('linux-amd64', undefined, context);
    const at = ALL.findIndex((one) => one.name === 'small-cnn');
    const retrained = buildNetwork({ layers: 'small-cnn', inputShape: [3, 16, 16], classes: 5, seed: 99 });
    const swapped = await mkdtemp(join(folder, 'swapped-'));
    const { prepared: expected } = await prepareCases([{ name: 'retrained', model: retrained }], swapped);
    await copyFile(join(folder, `${at}.weights`), join(folder, 'kept'));
    await copyFile(join(swapped, '0.weights'), join(folder, `${at}.weights`));
    await copyFile(join(swapped, '0.in'), join(folder, `${at}.in`));
    expect(await run([...program, folder])).toBe('');
    await copyFile(join(folder, `${at}.out`), join(swapped, '0.out'));
    await copyFile(join(folder, 'kept'), join(folder, `${at}.weights`));
    expect(await worstDifference(expected[0] ?? expect.fail('nothing was prepared'), 0, swapped)).toBeLessThan(1e-4);
  });
});

describe('an executable with the kernels of one model alone', () => {
  /** The engine with nothing around it; the budget of a package with a small float32 network is 2.5 MB. */
  const MAX_BYTES = { 'linux-amd64': 1_600_000, 'linux-arm64': 1_200_000, 'linux-armv7': 900_000, 'linux-riscv64': 1_200_000 } as const;

  it.for([
    ['linux-amd64', 'MobileNet'],
    ['linux-amd64', 'detector'],
    ['linux-amd64', 'MobileNet in int8'],
    ['linux-amd64', 'detector in int8'],
    ['linux-armv7', 'MobileNet'],
    ['linux-armv7', 'detector in int8'],
    ['linux-arm64', 'MobileNet'],
    ['linux-arm64', 'MobileNet in half precision'],
    ['linux-arm64', 'detector in int8'],
    ['linux-riscv64', 'MobileNet'],
    ['linux-riscv64', 'detector in int8'],
  ] as const)('is small and computes the same: %s %s', async ([name, network], context) => {
    const target = await testTarget(name);
    const runner = runnerOf(target);
    if (!runner) return context.skip('there is no emulator for the target');
    const alone = await mkdtemp(join(folder, 'alone-'));
    const { prepared, source } = await prepareCases(
      NETWORK_CASES.filter((one) => one.name === network),
      alone,
    );
    const [one = expect.fail('there is no such network')] = prepared;
    const program = await buildCases(target, source, alone, one.linkerFlags);
    expect(await run([...runner, program, alone])).toBe('');
    expect(await worstDifference(one, 0, alone)).toBeLessThanOrEqual(one.tolerance);
    expect((await stat(program)).size).toBeLessThan(MAX_BYTES[name] + (network.includes(' in ') ? 500_000 : 0));
  });
});

describe('generated code', () => {
  const graphOf = (seed: number) => {
    const lowered = lowerModel(buildNetwork({ layers: 'small-cnn', inputShape: [3, 16, 16], classes: 5, seed }));
    return 'graph' in lowered ? lowered.graph : expect.fail('the network is not supported');
  };

  it('is the same for the same model, and does not depend on the weights', () => {
    const [first, again, other] = [graphOf(1), graphOf(1), graphOf(2)].map((graph) => generateXnnpack(graph));
    expect(again?.source).toBe(first?.source);
    expect(Buffer.concat(again?.weights ?? [])).toEqual(Buffer.concat(first?.weights ?? []));
    expect(other?.source).toBe(first?.source);
    expect(other?.digest).toBe(first?.digest);
    expect(Buffer.concat(other?.weights ?? [])).not.toEqual(Buffer.concat(first?.weights ?? []));
  });

  it('has another digest for another structure', () => {
    const wider = lowerModel(buildNetwork({ layers: 'mlp', inputShape: [3, 16, 16], classes: 5, seed: 1 }));
    expect('graph' in wider && generateXnnpack(wider.graph).digest).not.toBe(generateXnnpack(graphOf(1)).digest);
  });

  it('says how large the weights file is', () => {
    const { weights, weightsBytes } = generateXnnpack(graphOf(1));
    expect(Buffer.concat(weights)).toHaveLength(weightsBytes);
    expect(weightsBytes % 64).toBe(0);
  });
});
