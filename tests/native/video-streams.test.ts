// Network cameras as they are: an RTSP server of its own, read by the real ffmpeg.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunningApp } from './harness/app-package.ts';
import { APP_TARGETS, answers, appRuns } from './harness/app-runs.ts';
import { makeColourClip } from './harness/video/make-clip.ts';
import { type RtspCamera, type RtspCameraOptions, startRtspCamera } from './harness/video/rtsp-camera.ts';

/** Longer than any test. */
const FRAMES = 25 * 300;

let folder: string;
const video = (colour: string) => join(folder, `${colour}.mkv`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvedge-stream-'));
  for (const colour of ['red', 'blue'] as const) await makeColourClip(video(colour), [[colour, FRAMES]], ['-c:v', 'libx264', '-g', '10']);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const cameras: RtspCamera[] = [];
async function camera(options: RtspCameraOptions): Promise<RtspCamera> {
  const started = await startRtspCamera(options);
  cameras.push(started);
  return started;
}
afterEach(async () => {
  for (const one of cameras.splice(0)) await one.kill();
});

/** Resolves when the camera shows the second colour. */
async function seesBlue(app: RunningApp): Promise<void> {
  for (let count = 1; ; count += 1) {
    await app.waitForLines(count);
    if (app.lines().some((line) => JSON.stringify(line).includes('"top":{"label":"blue"'))) return;
  }
}

/** Ends the program as Ctrl-C does. */
async function end(app: RunningApp) {
  app.stop('SIGINT');
  const { code, stdout, stderr } = await app.finished;
  const seen = answers(stdout);
  return { code, stderr, seen: seen.filter((label, index) => label !== seen[index - 1]) };
}

for (const name of APP_TARGETS) {
  describe(`a network camera on ${name}`, () => {
    const { canRun, pack, start } = appRuns(name);
    beforeEach(({ skip }) => skip(!canRun(), 'there is no emulator for the target'));

    it('is connected to again when it comes back after a failure', async () => {
      const red = await camera({ video: video('red') });
      const app = start(await pack(), ['--input', red.url]);
      await app.waitForLines(5);
      await red.kill();
      await camera({ video: video('blue'), port: red.port });
      await seesBlue(app);
      const done = await end(app);
      expect([done.code, done.seen]).toEqual([0, ['red', 'blue']]);
      expect(done.stderr).toMatch(/^run: rtsp:\S+ broke off \(.+\); connecting again in 1 s\n/);
    });

    it('may have UDP only', async () => {
      const { url } = await camera({ video: video('blue'), transport: 'UDP' });
      const app = start(await pack(), ['--input', url]);
      await app.waitForLines(5);
      const done = await end(app);
      expect([done.code, done.seen]).toEqual([0, ['blue']]);
      expect(done.stderr).not.toContain('broke off');
    });

    it('is waited for when it is not there, and its password is told to nobody', async () => {
      const gone = await camera({ video: video('red') });
      await gone.kill();
      const app = start(await pack(), ['--input', gone.url.replace('//', '//me:secret@')]);
      await app.waitForError('Connection refused); connecting again in 2 s');
      const done = await end(app);
      expect([done.code, done.seen]).toEqual([0, []]);
      expect(done.stderr).not.toMatch(/secret|me@/);
    });
  });
}

describe('a network camera whose cable is pulled', () => {
  const { canRun, pack, start } = appRuns('linux-amd64');

  it('is connected to again', async ({ skip }) => {
    skip(!canRun(), 'the program is for another machine');
    const red = await camera({ video: video('red') });
    const app = start(await pack(), ['--input', red.url]);
    await app.waitForLines(5);
    red.freeze();
    await app.waitForError('broke off (nothing came for 20 s)');
    await red.kill();
    await camera({ video: video('blue'), port: red.port });
    await seesBlue(app);
    expect(await end(app)).toMatchObject({ code: 0, seen: ['red', 'blue'] });
  });
});
