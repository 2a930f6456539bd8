// Videos as they are: made and decoded by the real ffmpeg.
import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { writeSampleSet } from './harness/agreement/agreement-model.ts';
import { buildTestPackage } from './harness/agreement/built-package.ts';
import { startApp } from './harness/app-package.ts';
import { APP_TARGETS, answers, appRuns, parseLines } from './harness/app-runs.ts';
import { testTarget } from './harness/targets.ts';
import { ffmpeg, makeColourClip, makeSquareClip, retime } from './harness/video/make-clip.ts';
import { SPOT_INPUT, spotFinder } from './harness/video/spot-finder.ts';

const H264 = ['-c:v', 'libx264'];
const PARTS = [
  ['red', 12],
  ['green', 7],
  ['blue', 11],
] as const;
const EXPECTED = PARTS.flatMap(([colour, frames]) => Array.from({ length: frames }, () => colour));
const boxesSchema = z.object({ boxes: z.array(z.object({ box: z.tuple([z.number(), z.number(), z.number(), z.number()]) })) });

let folder: string;
const path = (name: string) => join(folder, name);
/** The first part of a file. */
async function cut(name: string, output: string, fraction: number): Promise<string> {
  const { size } = await stat(path(name));
  const file = await open(path(name));
  const { buffer } = await file.read(Buffer.alloc(Math.floor(size * fraction)), 0, Math.floor(size * fraction), 0);
  await file.close();
  await writeFile(path(output), buffer);
  return path(output);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-video-'));
  await makeColourClip(path('h264.mp4'), PARTS, H264);
  await makeColourClip(path('mpeg4.avi'), PARTS, ['-c:v', 'mpeg4']);
  await makeColourClip(path('motion.mkv'), PARTS, ['-c:v', 'mjpeg']);
  // Nothing for three seconds, then pairs a millisecond apart.
  await retime(path('motion.mkv'), path('uneven.mkv'), 'if(lt(N\\,9)\\,N*40\\,3000+floor(N/2)*100+mod(N\\,2))');
  await ffmpeg('-i', path('motion.mkv'), '-c', 'copy', '-movflags', '+faststart', path('index-first.mp4'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

for (const name of APP_TARGETS) {
  describe(`a video on ${name}`, () => {
    const { canRun, pack, run } = appRuns(name);
    beforeEach(({ skip }) => skip(!canRun(), 'there is no emulator for the target'));

    it.each(['h264.mp4', 'mpeg4.avi', 'uneven.mkv'])('gives one line for each frame of %s, in their order', async (clip) => {
      const done = await run(await pack(), ['--input', path(clip)]);
      expect([done.code, done.stderr, answers(done.stdout)]).toEqual([0, '', EXPECTED]);
      expect(parseLines(done.stdout).map(({ input, index }) => [input, index])).toEqual(EXPECTED.map((_, index) => [path(clip), index]));
    });

    it('gives what there is of a video that was cut off, says so, and goes on with the next', async () => {
      const short = await cut('index-first.mp4', 'short.mp4', 0.7);
      const done = await run(await pack(), ['--input', short, '--input', path('h264.mp4')]);
      const all = answers(done.stdout);
      const fault = all.indexOf('INPUT_INVALID');
      expect(fault).toBeGreaterThan(0);
      expect(fault).toBeLessThan(EXPECTED.length);
      expect([done.code, all.slice(0, fault), all.slice(fault + 1)]).toEqual([6, EXPECTED.slice(0, fault), EXPECTED]);
      expect(done.stderr).toMatch(/^run: \S*short\.mp4: parts of the video could not be read: .* \[INPUT_INVALID\]\n$/);
    });

    it('says what is wrong with a file that is no video', async () => {
      const headless = await cut('h264.mp4', 'headless.mp4', 0.5);
      await writeFile(path('empty.mp4'), '');
      await ffmpeg('-f', 'lavfi', '-i', 'sine=duration=0.2', '-c:a', 'aac', path('sound.mp4'));
      for (const [broken, why] of [
        [headless, /^run: \S*headless\.mp4: moov atom not found; Invalid data found when processing input \[INPUT_INVALID\]\n$/],
        [path('empty.mp4'), /empty\.mp4: .*Invalid data/],
        [path('sound.mp4'), /sound\.mp4: .*does not contain any stream/],
      ] as const) {
        const done = await run(await pack(), ['--input', broken]);
        expect([done.code, answers(done.stdout)]).toEqual([6, ['INPUT_INVALID']]);
        expect(done.stderr).toMatch(why);
      }
    });
  });
}

it('finds in each frame what is there, with a package of the build tool', async ({ skip }) => {
  const target = await testTarget('linux-amd64');
  skip(target.recipe.machine !== process.arch, 'the package is for another machine');
  const [frames, step, edge, width] = [50, 4, 80, 320];
  await makeSquareClip(path('square.mp4'), frames, step, H264);
  const model = spotFinder();
  await writeSampleSet(model, path('samples'));
  const build = { engine: 'xnnpack', precision: 'fp32' } as const;
  const { files } = await buildTestPackage({ model, target, build, samples: path('samples'), folder: path('package') });
  const done = await startApp([join(files, 'run'), '--input', path('square.mp4')]).finished;
  expect([done.code, done.stderr]).toEqual([0, '']);
  const found = parseLines(done.stdout).map(({ result }) => boxesSchema.parse(result).boxes.map(({ box }) => box));
  expect(found).toHaveLength(frames);
  const toInput = SPOT_INPUT / width;
  for (const [frame, boxes] of found.entries()) {
    const [left, right] = [frame * step * toInput, (frame * step + edge) * toInput];
    expect(boxes.length).toBeGreaterThanOrEqual(2);
    // Decoders blur the edges by less than a pixel.
    for (const [x1, , x2] of boxes) expect([x1 > left - 1, x2 < right + 1]).toEqual([true, true]);
    expect(Math.min(...boxes.map(([x1]) => x1))).toBeLessThan(left + 9);
    expect(Math.max(...boxes.map(([, , x2]) => x2))).toBeGreaterThan(right - 9);
  }
});
