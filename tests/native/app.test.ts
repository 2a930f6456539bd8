import { chmod, copyFile, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inferResultSchema, nativeBenchSchema } from '@selvedge/contract';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { startApp } from './harness/app-package.ts';
import { APP_TARGETS, answers, appRuns, colourPictures, parseLines } from './harness/app-runs.ts';

const listeningSchema = z.object({ event: z.literal('listening'), port: z.int() });
const pictures = colourPictures();

for (const name of APP_TARGETS) {
  describe(`run on ${name}`, () => {
    const { canRun, emptyFolder, pack, run, runner, start } = appRuns(name);
    beforeEach(({ skip }) => skip(!canRun(), 'there is no emulator for the target'));

    it('answers pictures with one JSON line each', async () => {
      const done = await run(await pack(), ['--input', pictures.path('red.jpg'), '--input', pictures.path('green.png')]);
      expect(done).toMatchObject({ code: 0, stderr: '' });
      const lines = parseLines(done.stdout);
      for (const line of lines) inferResultSchema.parse(line);
      expect(lines[0]).toMatchObject({ input: pictures.path('red.jpg'), index: 0, model: 'colours', version: '3' });
      const [first] = lines;
      expect(first?.result).toEqual({
        top: { label: 'red', index: 0, score: expect.closeTo(0.98, 1) },
        topk: [
          { label: 'red', index: 0, score: expect.closeTo(0.98, 1) },
          { label: 'blue', index: 2, score: expect.closeTo(0.08, 1) },
        ],
      });
      expect(answers(done.stdout)).toEqual(['red', 'green']);
    });

    it('goes on after a picture that cannot be read, and exits with 6', async () => {
      const inputs = [pictures.path('broken.jpg'), pictures.path('missing.jpg'), '/dev/null', pictures.path('blue.jpg')];
      const done = await run(
        await pack(),
        inputs
          .slice(0, 2)
          .concat(inputs.slice(3))
          .flatMap((input) => ['--input', input]),
      );
      expect([done.code, answers(done.stdout)]).toEqual([6, ['INPUT_INVALID', 'FILE_UNREADABLE', 'blue']]);
      expect(done.stderr.trim().split('\n')).toHaveLength(2);
      const device = await run(await pack(), ['--input', '/dev/null']);
      expect([device.code, device.stdout]).toEqual([2, '']);
    });

    it('reads a folder by name, up to the limit', async () => {
      const pkg = await pack();
      const all = await run(pkg, ['--input', pictures.folder()]);
      expect([all.code, answers(all.stdout)]).toEqual([6, ['blue', 'blue', 'INPUT_INVALID', 'green', 'green', 'red', 'red']]);
      const some = await run(pkg, ['--input', `${pictures.folder()}/`, '--limit', '2']);
      expect([some.code, answers(some.stdout)]).toEqual([0, ['blue', 'blue']]);
      expect(parseLines(some.stdout)[0]?.input).toBe(pictures.path('blue.jpg'));
    });

    it('watches a folder for pictures that are written or moved into it', async () => {
      const watched = await emptyFolder();
      await copyFile(pictures.path('red.jpg'), join(watched, 'first.jpg'));
      const app = start(await pack(), ['--input', watched, '--watch']);
      await app.waitForLines(1);
      await writeFile(join(watched, 'second.png'), await pictures.bytes('green.png'));
      await app.waitForLines(2);
      await writeFile(join(watched, '.part.jpg'), await pictures.bytes('blue.jpg'));
      await rename(join(watched, '.part.jpg'), join(watched, 'third.jpg'));
      await app.waitForLines(3);
      await writeFile(join(watched, 'first.jpg'), await pictures.bytes('green.jpg'));
      await app.waitForLines(4);
      app.stop('SIGTERM');
      const done = await app.finished;
      expect([done.code, answers(done.stdout)]).toEqual([0, ['red', 'green', 'blue', 'green']]);
    });

    it('cuts stdin into pictures', async () => {
      const pkg = await pack();
      const stdin = Buffer.concat([
        await pictures.bytes('red.jpg', 'green.png'),
        Buffer.from('noise'),
        await pictures.bytes('blue.jpg', 'broken.jpg'),
      ]);
      const stream = await run(pkg, ['--input', '-'], { stdin });
      expect([stream.code, answers(stream.stdout)]).toEqual([6, ['red', 'green', 'INPUT_INVALID', 'blue', 'INPUT_INVALID']]);
      const one = await run(pkg, ['--input', '-'], { stdin: await pictures.bytes('green.png') });
      expect([one.code, answers(one.stdout)]).toEqual([0, ['green']]);
      expect(await run(pkg, ['--input', '-'])).toMatchObject({ code: 0, stdout: '' });
    });

    it('reads raw frames', async () => {
      const frame = (colour: number[]) => Buffer.from(Array.from({ length: 10 * 6 }, () => colour).flat());
      const stdin = Buffer.concat([frame([0, 0, 250]), frame([0, 240, 0]), frame([9, 9, 9]).subarray(0, 50)]);
      const done = await run(await pack(), ['--input', 'raw:10x6'], { stdin });
      expect([done.code, answers(done.stdout)]).toEqual([6, ['blue', 'green', 'INPUT_INVALID']]);
    });

    it('appends to an output file and draws annotated pictures', async () => {
      const pkg = await pack({ model: 'boxes' });
      const args = ['--input', pictures.path('red.jpg'), '--output', join(pkg, 'lines.jsonl'), '--annotate', join(pkg, 'drawn')];
      expect(await run(pkg, args)).toMatchObject({ code: 0, stdout: '', stderr: '' });
      expect((await run(pkg, args)).code).toBe(0);
      const lines = parseLines(await readFile(join(pkg, 'lines.jsonl'), 'utf8'));
      expect(lines).toHaveLength(2);
      expect(lines[0]?.result).toMatchObject({
        boxes: [{ label: 'red', box: [1, 1, 3, 3] }, { label: 'blue' }],
      });
      expect(await readdir(join(pkg, 'drawn'))).toEqual(['red-000000.jpg']);
      const { data, info } = await sharp(join(pkg, 'drawn/red-000000.jpg')).raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height]).toEqual([64, 48]);
      const at = (x: number, y: number) => [...data.subarray((y * 64 + x) * 3, (y * 64 + x) * 3 + 3)];
      // The second box has the colour of its class on its lower edge; between the boxes the picture is as it was.
      expect(at(48, 41)[2]).toBeGreaterThan(150);
      expect(at(4, 40)).toEqual([expect.closeTo(250, -1.5), expect.closeTo(10, -1.5), expect.closeTo(20, -1.5)]);
    });

    it('says what is wrong with a command line in one line', async () => {
      const pkg = await pack();
      const cases: [string[], RegExp][] = [
        [[], /nothing to do/],
        [['picture.jpg'], /--input picture\.jpg/],
        [['--frobnicate'], /no option --frobnicate/],
        [['--input', 'ftp://host/x'], /kind of address/],
        [['--input', 'raw:0x4'], /raw:WIDTHxHEIGHT/],
        [['--input', pictures.path('red.jpg'), '--watch'], /not a folder/],
        [['--input', 'camera:/dev/video0', '--input', 'x.jpg'], /only be the last/],
        [['--serve', ':1', '--json'], /does not go with --serve/],
        [['--bench', '--seconds', '0'], /1 \.\. 600/],
      ];
      for (const [args, message] of cases) {
        const done = await run(pkg, args);
        expect([args, done.code, done.stdout]).toEqual([args, 2, '']);
        expect(done.stderr).toMatch(message);
        expect(done.stderr).toMatch(/^run: [^\n]* \[USAGE\]\n$/);
      }
      const help = await run(pkg, ['--help']);
      expect([help.code, help.stderr]).toEqual([0, '']);
      expect(help.stdout).toContain('newest frame');
    });

    it('fails clearly for a camera that is not there', async () => {
      const done = await run(await pack(), ['--input', 'camera:/dev/no-such-camera']);
      expect([done.code, answers(done.stdout)]).toEqual([6, ['FILE_UNREADABLE']]);
      expect(done.stderr).toContain('/dev/no-such-camera cannot be opened');
    });

    it('describes itself', async () => {
      const pkg = await pack();
      const text = await run(pkg, ['--describe']);
      expect(text.stdout).toContain('picture float32 [1, 3, 8, 8]');
      const json = JSON.parse((await run(pkg, ['--describe', '--json'])).stdout);
      expect(json).toMatchObject({
        model: 'colours',
        engineDescription: 'fake 1',
        outputs: [{ name: 'scores', dataType: 'float32', shape: [1, 3] }],
        labels: ['red', 'green', 'blue'],
        steps: [],
      });
      expect((await run(pkg, ['--version'])).stdout).toBe('colours 3 (linux-amd64, xnnpack, fp32)\n');
    });

    it('compares its golden sample in the order of the model', async () => {
      expect(await run(await pack(), ['--self-test'])).toMatchObject({ code: 0, stdout: expect.stringContaining('passed') });
      const wrong = await run(await pack({ goldenError: 0.01 }), ['--self-test']);
      expect(wrong).toMatchObject({ code: 6, stdout: '', stderr: expect.stringContaining('off by 0.01') });
      const without = await run(await pack({ manifest: { goldenFile: null } }), ['--self-test']);
      expect(without).toMatchObject({ code: 0, stdout: expect.stringContaining('no golden sample') });
    });

    it('refuses a damaged package with the file and the member', async () => {
      const manifest = await run(await pack({ manifest: { modelFile: '../model.bin' } }), ['--input', pictures.path('red.jpg')]);
      expect(manifest).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/manifest\.json: "modelFile" must be/) });
      const model = await run(await pack({ model: 'nonsense' }), ['--input', pictures.path('red.jpg')]);
      expect(model).toMatchObject({ code: 2, stderr: expect.stringContaining('[MODEL_INVALID]') });
      const chain = await run(await pack({ manifest: { preproc: { pipeline: ['dance'] } } }), ['--describe']);
      expect([chain.code, chain.stdout]).toEqual([2, '']);
      const refusing = await run(await pack({ model: 'refuse' }), ['--input', pictures.path('red.jpg')]);
      expect([refusing.code, answers(refusing.stdout)]).toEqual([6, ['INFERENCE_FAILED']]);
    });

    it('uses another model file when told so', async () => {
      const pkg = await pack({ model: 'nonsense' });
      await writeFile(join(pkg, 'other.bin'), 'classes');
      const done = await run(pkg, ['--input', pictures.path('red.jpg'), '--model', join(pkg, 'other.bin')]);
      expect([done.code, answers(done.stdout)]).toEqual([0, ['red']]);
    });

    it('measures itself', async () => {
      const pkg = await pack({ model: 'classes 2' });
      const made = nativeBenchSchema.parse(JSON.parse((await run(pkg, ['--bench', '--seconds', '1', '--json'])).stdout));
      expect(made.stagesMs.infer).toBeGreaterThanOrEqual(2);
      expect(made.latencyMs.p50).toBeLessThanOrEqual(made.latencyMs.p99);
      expect(made.coldStartMs).toBeGreaterThan(2);
      expect(made.rssBytes).toBeGreaterThan(100_000);
      const given = await run(pkg, [
        '--bench',
        '--seconds',
        '1',
        '--input',
        pictures.path('red.jpg'),
        '--input',
        pictures.path('green.png'),
      ]);
      expect(given).toMatchObject({ code: 0, stdout: expect.stringMatching(/^images {7}\d+ in/), stderr: '' });
      const none = await run(pkg, ['--bench', '--input', pictures.path('missing.jpg')]);
      expect([none.code, none.stdout]).toEqual([2, '']);
    });

    it('finds its package through a symbolic link and from its own folder', async () => {
      const pkg = await pack();
      const elsewhere = await emptyFolder();
      await symlink(join(pkg, 'run'), join(elsewhere, 'digits'));
      const linked = await startApp([...runner(), join(elsewhere, 'digits'), '--version']).finished;
      expect(linked.stdout).toContain('colours 3');
      const relative = await startApp([...runner(), './run', '--version'], { cwd: pkg }).finished;
      expect(relative.stdout).toContain('colours 3');
    });

    it.skipIf(process.getuid?.() !== 0)('runs in a folder that holds nothing else', async () => {
      const pkg = await pack();
      await copyFile(pictures.path('red.jpg'), join(pkg, 'red.jpg'));
      const emulator = runner()[0];
      const inside: string[] = [];
      if (emulator !== undefined) {
        await copyFile(`/usr/bin/${emulator}`, join(pkg, 'emulator'));
        await chmod(join(pkg, 'emulator'), 0o755);
        inside.push('/emulator', ...runner().slice(1));
      }
      const done = await startApp(['/usr/sbin/chroot', pkg, ...inside, '/run', '--input', 'red.jpg', '--annotate', 'drawn']).finished;
      expect([done.code, answers(done.stdout), done.stderr]).toEqual([0, ['red'], '']);
      const bench = await startApp(['/usr/sbin/chroot', pkg, ...inside, './run', '--bench', '--json', '--seconds', '1']).finished;
      expect(nativeBenchSchema.parse(JSON.parse(bench.stdout)).cpuTemperatureC).toBeNull();
    });

    it('serves the same result over HTTP', async () => {
      const pkg = await pack();
      const app = start(pkg, ['--serve', ':0', '--queue', '4']);
      const { port } = listeningSchema.parse((await app.waitForLines(1))[0]);
      const body = await pictures.bytes('green.jpg');
      const url = `http://127.0.0.1:${port}/v1/infer`;
      const post = () => fetch(url, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body });
      let answer = await post();
      for (const deadline = Date.now() + 20_000; answer.status === 503 && Date.now() < deadline; answer = await post()) await answer.text();
      const served = inferResultSchema.parse(await answer.json());
      const [line] = parseLines((await run(pkg, ['--input', pictures.path('green.jpg')])).stdout);
      expect(served.result).toEqual(line?.result);
      app.stop('SIGTERM');
      expect((await app.finished).code).toBe(0);
    });

    it('ends at Ctrl-C with what it has', async () => {
      const app = start(
        await pack({ model: 'classes 100' }),
        Array.from({ length: 50 }, () => ['--input', pictures.path('red.jpg')]).flat(),
      );
      await app.waitForLines(2);
      app.stop('SIGINT');
      const done = await app.finished;
      expect(done.code).toBe(130);
      expect(done.stderr).toContain('[INTERRUPTED]');
    });
  });
}
