// Packages answer as ONNX Runtime does: every engine and precision, on the oldest cores of every target and on newer ones
// with instructions of their own. The bounds are what a change of kernels, of the lowering or of the runtime must stay within.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgreementBench, type AgreementCase, agreementBench } from './harness/agreement/agreement-bench.ts';
import type { BuiltPackage } from './harness/agreement/built-package.ts';
import { compareBoxes, compareScores } from './harness/agreement/compare.ts';
import { digitModel } from './harness/agreement/digit-cnn.ts';
import { detectorModel } from './harness/agreement/small-detector.ts';

const [AMD64, ARMV7, ARM64, RISCV64] = ['linux-amd64', 'linux-armv7', 'linux-arm64', 'linux-riscv64'];
const OLD_CORES: readonly { target: string; core: string | undefined }[] = [
  { target: AMD64, core: undefined },
  { target: ARMV7, core: 'cortex-a7' },
  { target: ARM64, core: 'cortex-a53' },
  { target: ARM64, core: 'cortex-a72' },
];
const CASES: readonly AgreementCase[] = [
  ...OLD_CORES.flatMap(({ target, core }) =>
    (['xnnpack', 'onnxruntime'] as const).flatMap((engine) =>
      (['fp32', 'int8'] as const).map((precision): AgreementCase => ({ target, engine, precision, core })),
    ),
  ),
  { target: ARM64, engine: 'xnnpack', precision: 'int8', core: 'cortex-a76' },
  // On a core that has no half precision the package computes in fp32.
  { target: ARM64, engine: 'xnnpack', precision: 'fp16', core: 'cortex-a53' },
  { target: ARM64, engine: 'xnnpack', precision: 'fp16', core: 'cortex-a76' },
  { target: RISCV64, engine: 'xnnpack', precision: 'fp32', core: 'sifive-u54' },
  { target: RISCV64, engine: 'xnnpack', precision: 'int8', core: 'sifive-u54' },
];
/** Slow under the emulator, so with the digits alone: its bundle is the same for all models. */
const RISCV64_BUNDLE: AgreementCase = { target: RISCV64, engine: 'onnxruntime', precision: 'fp32', core: 'sifive-u54' };
const titleOf = ({ target, engine, precision, core }: AgreementCase): string =>
  `${engine} ${precision} on ${target}, ${core ?? 'this machine'}`;

const titled = (cases: readonly AgreementCase[]) => cases.map((one) => [titleOf(one), one] as const);

const isHalf = ({ precision, core }: AgreementCase): boolean => precision === 'fp16' && core === 'cortex-a76';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-agreement-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let digits: AgreementBench;
const ortPackage = (target: string): Promise<BuiltPackage> =>
  digits.build({ target, engine: 'onnxruntime', precision: 'int8', core: undefined });

describe('the digits of the examples', () => {
  const PICTURES = 60;
  beforeAll(async () => {
    digits = await agreementBench(await digitModel(), join(folder, 'digits'), PICTURES);
  });

  it.for(titled([...CASES, RISCV64_BUNDLE]))('%s', async ([, one], { skip }) => {
    const obstacle = await digits.obstacle(one);
    skip(obstacle !== undefined, obstacle);
    const difference = compareScores(await digits.answers(one, PICTURES), digits.expected(one));
    expect(difference.sameTop).toBe(PICTURES);
    // In int8 a value may come out one step higher or lower than ONNX Runtime rounds it.
    const bound = isHalf(one) || one.precision === 'int8' ? 0.02 : 1e-5;
    expect(difference.score).toBeLessThan(bound);
    expect((await digits.build(one)).report.notes.join()).toContain('self-test passed');
  });

  it('lose nearly nothing in int8 of what was trained', async () => {
    const one: AgreementCase = { target: AMD64, engine: 'xnnpack', precision: 'int8', core: undefined };
    const difference = compareScores(digits.expected(one), digits.trained);
    expect(difference.sameTop).toBeGreaterThanOrEqual(PICTURES - 2);
    expect(difference.meanScore).toBeLessThan(0.01);
    const { trained, built } = (await digits.build(one)).report.manifest.benchmark;
    expect(trained.accuracy).toBeGreaterThan(0.9);
    expect(built.accuracy).toBeGreaterThan((trained.accuracy ?? 0) - 0.01);
  });
});

describe('a detector with nms', () => {
  const PICTURES = 24;
  /** Half precision is emulated in software: a few pictures will do. */
  const SLOW_PICTURES = 8;
  let detector: AgreementBench;
  beforeAll(async () => {
    detector = await agreementBench(detectorModel(), join(folder, 'detector'), PICTURES, ortPackage);
  });

  it.for(titled(CASES))('%s', async ([, one], { skip }) => {
    const obstacle = await detector.obstacle(one);
    skip(obstacle !== undefined, obstacle);
    const count = isHalf(one) ? SLOW_PICTURES : PICTURES;
    const answers = await detector.answers(one, count);
    expect(answers).toHaveLength(count);
    const difference = compareBoxes(answers, detector.expected(one).slice(0, count));
    expect(difference.boxes).toBeGreaterThan(2 * count);
    if (isHalf(one) || one.precision === 'int8') {
      // Boxes of nearly equal scores may change places, and then another of two that overlap is the one that stays.
      expect(difference.matched).toBeGreaterThan(0.95);
      expect(difference.meanScore).toBeLessThan(0.01);
    } else {
      expect(difference.matched).toBe(1);
      expect(difference.overlap).toBeGreaterThan(0.999);
      expect(difference.score).toBeLessThan(1e-4);
    }
  });
});
