import { join } from 'node:path';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import { buildApp } from './harness/app-package.ts';
import { APP_TARGETS, answers, appRuns, COLOURS, colourPictures, parseLines } from './harness/app-runs.ts';

const pictures = colourPictures();

for (const name of APP_TARGETS) {
  describe(`steps of the user on ${name}`, () => {
    const { canRun, pack, programPath, run, target } = appRuns(name);
    beforeEach(({ skip }) => skip(!canRun(), 'there is no emulator for the target'));

    it('runs them before and after the model', async () => {
      await buildApp(target(), programPath('swap'), { steps: ['steps_swap.cc'] });
      const pkg = await pack({}, programPath('swap'));
      const done = await run(pkg, ['--input', pictures.path('red.jpg')]);
      expect(parseLines(done.stdout)[0]?.result).toEqual({
        top: expect.objectContaining({ label: 'blue' }),
        topk: [expect.objectContaining({ label: 'blue' })],
        extra: { classes: 1, labels: 3 },
      });
      expect(JSON.parse((await run(pkg, ['--describe', '--json'])).stdout).steps).toEqual([
        { stage: 'pre', name: 'swapRedAndBlue' },
        { stage: 'post', name: 'count' },
      ]);
    });

    it('reports one that throws, and goes on', async () => {
      await buildApp(target(), programPath('throwing'), { steps: ['steps_throwing.cc', 'steps_swap.cc'] });
      const pkg = await pack({}, programPath('throwing'));
      const sized = async (width: number) => {
        const path = join(pkg, `${width}.png`);
        await sharp({ create: { width, height: 20, channels: 3, background: COLOURS.green } }).toFile(path);
        return ['--input', path];
      };
      const done = await run(pkg, [...(await sized(8)), ...(await sized(100)), ...(await sized(32))]);
      expect([done.code, answers(done.stdout)]).toEqual([6, ['STEP_FAILED', 'STEP_FAILED', 'green']]);
      expect(done.stderr).toContain('The step "demanding" failed: the picture is only 8 pixels wide');
    });
  });
}
