import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { startApp } from './harness/app-package.ts';
import { APP_TARGETS, answers, appRuns, type COLOURS, colourPictures } from './harness/app-runs.ts';

type Colour = keyof typeof COLOURS;
const pictures = colourPictures();

for (const name of APP_TARGETS) {
  describe(`video through ffmpeg on ${name}`, () => {
    const { canRun, emptyFolder, pack, run, runner } = appRuns(name);
    beforeEach(({ skip }) => skip(!canRun(), 'there is no emulator for the target'));

    /** A program in ffmpeg's place: a shell script that writes down its arguments. */
    const fakeFfmpeg = async (script: string) => {
      const bin = await emptyFolder();
      await writeFile(join(bin, 'ffmpeg'), `#!/bin/sh\necho "$@" >> ${bin}/arguments\n${script}\n`);
      await chmod(join(bin, 'ffmpeg'), 0o755);
      return { bin, env: { PATH: `${bin}:${process.env.PATH ?? ''}` } };
    };
    const cat = (colour: Colour) => `cat ${pictures.path(`${colour}.jpg`)}`;

    it('reads a video to its end', async () => {
      const { bin, env } = await fakeFfmpeg(`${cat('red')}; ${cat('green')}; ${cat('blue')}`);
      const video = join(pictures.folder(), '..', `${name}-film.mp4`);
      await writeFile(video, 'film');
      const done = await run(await pack(), ['--input', video], { env });
      await rm(video);
      expect([done.code, answers(done.stdout)]).toEqual([0, ['red', 'green', 'blue']]);
      expect(await readFile(join(bin, 'arguments'), 'utf8')).toMatch(/-i file:\S+film\.mp4 .*-f image2pipe/);
    });

    it('tells what ffmpeg complains of, without the password', async () => {
      const { env } = await fakeFfmpeg(`${cat('red')}; echo "noise" >&2; echo "https://me:secret@host/v: 403 Forbidden" >&2; exit 1`);
      const done = await run(await pack(), ['--input', 'https://me:secret@host/v', '--input', pictures.path('green.jpg')], { env });
      expect([done.code, answers(done.stdout)]).toEqual([6, ['red', 'INPUT_INVALID', 'green']]);
      expect(done.stderr).toContain('https://host/v: noise; 403 Forbidden');
      expect(done.stdout + done.stderr).not.toContain('secret');
    });

    it('keeps up with a live stream that is faster than the model, and connects again when it breaks off', async () => {
      const early = join(await emptyFolder(), 'early');
      await writeFile(early, await pictures.bytes(...Array.from({ length: 60 }, () => 'red.jpg')));
      const { bin, env } = await fakeFfmpeg(
        `if [ $(wc -l < $(dirname $0)/arguments) = 1 ]; then ${cat('blue')}; exit 1; fi; cat ${early}; while ${cat('green')}; do sleep 0.05; done`,
      );
      const done = await run(await pack({ model: 'classes 200' }), ['--input', 'rtsp://host/stream', '--limit', '4'], { env });
      expect([done.code, answers(done.stdout)[0], answers(done.stdout)[3]]).toEqual([0, 'blue', 'green']);
      expect(done.stderr).toMatch(/broke off .*connecting again in 1 s/);
      expect(done.stderr).toMatch(/\d+ frames were passed over/);
      expect(await readFile(join(bin, 'arguments'), 'utf8')).toContain('-rtsp_flags prefer_tcp -i rtsp://host/stream');
    });

    it('speaks to an older ffmpeg in its words', async () => {
      const refuses = `case "$*" in *-fps_mode*) echo "Unrecognized option 'fps_mode'." >&2; exit 1; esac`;
      const { bin, env } = await fakeFfmpeg(`${refuses}; ${cat('green')}`);
      const done = await run(await pack(), ['--input', 'https://host/v'], { env });
      expect([done.code, done.stderr, answers(done.stdout)]).toEqual([0, '', ['green']]);
      expect(await readFile(join(bin, 'arguments'), 'utf8')).toContain(' -vsync vfr ');
    });

    it('says when there is none', async () => {
      const empty = join(pictures.folder(), 'no-programs');
      await mkdir(empty, { recursive: true });
      const words = runner()[0] === undefined ? runner() : [`/usr/bin/${runner()[0]}`, ...runner().slice(1)];
      const done = await startApp([...words, join(await pack(), 'run'), '--input', 'rtsp://host/stream'], { env: { PATH: empty } })
        .finished;
      expect([done.code, answers(done.stdout)]).toEqual([6, ['SETUP_INCOMPLETE']]);
      expect(done.stderr).toContain('needs the program ffmpeg');
    });
  });
}
