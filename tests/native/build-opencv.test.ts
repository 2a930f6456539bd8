// Steps of a user that call OpenCV, and targets that lack what a build needs.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildOptions } from '@selvedge/contract';
import { writeModel } from '@selvedge/graph/onnx';
import type { InstalledTarget } from '@selvedge/toolchain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSampleSet, writeTestPictures } from './harness/agreement/agreement-model.ts';
import { buildTestPackage } from './harness/agreement/built-package.ts';
import { compareScores } from './harness/agreement/compare.ts';
import { obstacleTo, runOnCore } from './harness/agreement/cores.ts';
import { untrainedDigitModel } from './harness/agreement/digit-cnn.ts';
import { parseAnswers, referenceAnswers } from './harness/agreement/reference.ts';
import { testTarget } from './harness/targets.ts';

const BLUR = `#include <opencv2/imgproc.hpp>
#include "selvedge_step.h"

SELVEDGE_PRE_STEP(blur) (selvedge::Picture& picture) {
  cv::Mat pixels(picture.height, picture.width, CV_8UC3, picture.rgb.data());
  cv::GaussianBlur(pixels, pixels, cv::Size(9, 9), 3);
}
`;
const TARGETS = [
  { name: 'linux-amd64', core: undefined },
  { name: 'linux-armv7', core: 'cortex-a7' },
] as const;

const model = untrainedDigitModel();
let folder: string;
let pictures: string[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-opencv-'));
  await writeSampleSet(model, join(folder, 'samples'));
  pictures = (await writeTestPictures(model, join(folder, 'pictures'), 4)).map((name) => join(folder, 'pictures', name));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const build = (target: InstalledTarget, options: BuildOptions) =>
  buildTestPackage({
    model,
    target,
    build: { engine: 'xnnpack', ...options },
    samples: join(folder, 'samples'),
    folder: join(folder, target.name),
  });

describe.each(TARGETS)('a step with OpenCV on $name', ({ name, core }) => {
  it('blurs the picture before the model sees it', async ({ skip }) => {
    const target = await testTarget(name, ['opencv']);
    const { files, report } = await build(target, { libraries: ['opencv'], sources: [{ path: 'blur.cc', text: BLUR }] });
    expect(report.manifest.files.map(({ path }) => path)).toContainEqual(expect.stringMatching(/^lib\/libopencv_imgproc\.so/));
    const obstacle = await obstacleTo(target, core, 'xnnpack');
    skip(obstacle !== undefined, obstacle);
    const { exitCode, stdout, stderr } = await runOnCore({ target, core, engine: 'xnnpack', files }, ['--input', join(folder, 'pictures')]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const blurred = compareScores(parseAnswers(stdout), await referenceAnswers(model, writeModel(model.model), pictures));
    expect(blurred.meanScore).toBeGreaterThan(1e-3);
    expect(blurred.meanScore).toBeLessThan(0.5);
  });
});

const MISSING: readonly { extra: string; options: BuildOptions }[] = [
  { extra: 'onnxruntime', options: { engine: 'onnxruntime' } },
  { extra: 'opencv', options: { libraries: ['opencv'] } },
];

it.each(MISSING)('names the command that installs a missing $extra', async ({ extra, options }) => {
  const target: InstalledTarget = { ...(await testTarget('linux-armv7')), extras: [] };
  await expect(build(target, options)).rejects.toMatchObject({
    code: 'TARGET_NOT_INSTALLED',
    details: { hint: expect.stringContaining(`selvedge target install linux-armv7 --extras ${extra}`) },
  });
});
