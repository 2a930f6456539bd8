// A package of the engine xnnpack needs nothing of the device: it runs where there is nothing else, without /proc and /dev.
import { copyFile, cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inferResultSchema } from '@selvedge/contract';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { inOwnMounts } from '../../packages/tools/src/build/emulated-core.ts';
import { writeSampleSet, writeTestPictures } from './harness/agreement/agreement-model.ts';
import { buildTestPackage } from './harness/agreement/built-package.ts';
import { emulatorOf, obstacleToOwnMounts } from './harness/agreement/cores.ts';
import { untrainedDigitModel } from './harness/agreement/digit-cnn.ts';
import { startApp } from './harness/app-package.ts';
import { ready } from './harness/fake-server.ts';
import { testTarget } from './harness/targets.ts';

const TARGETS = ['linux-amd64', 'linux-armv7', 'linux-arm64', 'linux-riscv64'];
const listeningSchema = z.object({ event: z.literal('listening'), port: z.int() });
/** What a line says besides how long it took and what the picture is called. */
const lineSchema = z.object({ model: z.string(), version: z.string(), result: z.unknown() });

const model = untrainedDigitModel();
let folder: string;
let picture: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-standalone-'));
  await writeSampleSet(model, join(folder, 'samples'));
  const [name = ''] = await writeTestPictures(model, join(folder, 'pictures'), 1);
  picture = join(folder, 'pictures', name);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(TARGETS)('a package for %s in an empty folder', (name) => {
  let root: string;
  let files: string;
  /** The emulator's words in front of the executable; [] where the machine runs it. */
  let [inside, outside]: [string[], string[]] = [[], []];
  let obstacle: string | undefined;

  beforeAll(async () => {
    const target = await testTarget(name);
    const own = join(folder, name);
    ({ files } = await buildTestPackage({ model, target, build: { engine: 'xnnpack' }, samples: join(folder, 'samples'), folder: own }));
    root = join(own, 'root');
    await mkdir(root);
    await cp(files, join(root, 'package'), { recursive: true });
    await copyFile(picture, join(root, 'picture.png'));
    obstacle = await obstacleToOwnMounts();
    if (target.recipe.machine === process.arch) return;
    const emulator = emulatorOf(target);
    if (emulator === undefined) obstacle = `there is no ${target.recipe.emulator.program}`;
    else await copyFile(emulator, join(root, 'emulator'));
    const core = ['-cpu', target.recipe.emulator.cpus[0] ?? 'max'];
    [inside, outside] = [
      ['/emulator', ...core],
      [emulator ?? '', ...core],
    ];
  });
  beforeEach(({ skip }) => skip(obstacle !== undefined, obstacle));

  const startInside = (...args: string[]) => startApp([...inOwnMounts(), 'chroot', root, ...inside, '/package/run', ...args]);

  it('answers as it does elsewhere', async () => {
    const there = await startInside('--input', '/picture.png').finished;
    expect(there).toMatchObject({ code: 0, stderr: '' });
    const here = await startApp([...outside, join(files, 'run'), '--input', picture]).finished;
    expect(lineSchema.parse(JSON.parse(there.stdout))).toEqual(lineSchema.parse(JSON.parse(here.stdout)));
    expect(await startInside('--self-test').finished).toMatchObject({ code: 0, stderr: '' });
  });

  it('serves', async () => {
    const app = startInside('--serve', '127.0.0.1:0');
    const { port } = listeningSchema.parse((await app.waitForLines(1))[0]);
    const url = `http://127.0.0.1:${port}`;
    await ready(url);
    const headers = { 'content-type': 'image/png' };
    const answer = await fetch(`${url}/v1/infer`, { method: 'POST', headers, body: await readFile(picture) });
    const served = inferResultSchema.parse(await answer.json());
    const direct = await startInside('--input', '/picture.png').finished;
    expect(served.result).toEqual(lineSchema.parse(JSON.parse(direct.stdout)).result);
    app.stop('SIGTERM');
    expect((await app.finished).code).toBe(0);
  });
});
