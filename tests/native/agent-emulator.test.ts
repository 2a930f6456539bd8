// The agent runs packages of another architecture in an emulator, also those that bring a loader of their own.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeBenchSchema } from '@selvedge/contract';
import { createLogger } from '@selvedge/runtime';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ChildModelHost } from '../../packages/agent/src/adapters/process/child-model-host.ts';
import { resourceLimits } from '../../packages/agent/src/adapters/process/resource-limits.ts';
import { runPackage } from '../../packages/agent/src/adapters/process/run-package.ts';
import { writeSampleSet, writeTestPictures } from './harness/agreement/agreement-model.ts';
import { buildTestPackage } from './harness/agreement/built-package.ts';
import { emulatorOf } from './harness/agreement/cores.ts';
import { untrainedDigitModel } from './harness/agreement/digit-cnn.ts';
import { testTarget } from './harness/targets.ts';

const TARGET = 'linux-armv7';
const log = createLogger({ name: 'test', write: () => undefined });
const never = new AbortController().signal;
const model = untrainedDigitModel();
let folder: string;
/** As a user names it: without its path. */
let emulator: string;
let files: string;
let obstacle: string | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-emulated-'));
  const target = await testTarget(TARGET, ['onnxruntime']);
  emulator = target.recipe.emulator.program;
  if (emulatorOf(target) === undefined) obstacle = `there is no ${emulator}`;
  await writeSampleSet(model, join(folder, 'samples'));
  const built = { model, target, build: { engine: 'onnxruntime' as const }, samples: join(folder, 'samples'), folder };
  files = (await buildTestPackage(built)).files;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('serves with ONNX Runtime on an emulated device', async ({ skip }) => {
  skip(obstacle !== undefined, obstacle);
  const [name = ''] = await writeTestPictures(model, join(folder, 'pictures'), 1);
  const picture = await readFile(join(folder, 'pictures', name));
  const host = new ChildModelHost({
    onLine: () => undefined,
    command: [],
    emulator,
    device: 'emulated',
    resources: () => resourceLimits({}),
    log,
  });
  const started = await host.start({ name: 'digits', folder: files, isNative: true }, never);
  try {
    await started.probe(never);
    expect(await started.infer('image/png', picture)).toMatchObject({ model: 'digits', result: { top: expect.anything() } });
  } finally {
    await started.stop(5000);
  }
});

it('measures it', async ({ skip }) => {
  skip(obstacle !== undefined, obstacle);
  const text = await runPackage(files, ['--bench', '--seconds', '1', '--json'], { emulator, timeoutMs: 60_000 });
  expect(nativeBenchSchema.parse(JSON.parse(text)).imagesPerS).toBeGreaterThan(0);
});
