import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstalledTarget } from '@selvedge/toolchain';
import sharp from 'sharp';
import { afterAll, beforeAll } from 'vitest';
import * as z from 'zod';
import { type AppPackageOptions, type AppRunOptions, buildApp, makeAppPackage, type RunningApp, startApp } from './app-package.ts';
import { runnerOf, testTarget } from './targets.ts';

/** Targets that the command line is tested on: this machine's, and one that is emulated where an emulator is installed. */
export const APP_TARGETS: readonly string[] = ['linux-amd64', 'linux-armv7'];

const lineSchema = z.object({
  input: z.string(),
  index: z.int(),
  model: z.string(),
  version: z.string(),
  latencyMs: z.number().optional(),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
const topSchema = z.object({ label: z.string() });

export const parseLines = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => lineSchema.parse(JSON.parse(line)));

/** Per line the best label, or the code of the error. */
export const answers = (text: string): string[] =>
  parseLines(text).map(({ result, error }) => error?.code ?? (result === undefined ? 'nothing' : topSchema.parse(result.top).label));

export const COLOURS = { red: '#fa0a14', green: '#0af01e', blue: '#0014ff' };

export interface ColourPictures {
  folder: () => string;
  /** Path of `red.jpg`, `red.png`, ... or `broken.jpg`; of `missing.jpg`, which does not exist. */
  path: (name: string) => string;
  bytes: (...names: string[]) => Promise<Buffer>;
}

/** Registers hooks that make and remove a folder of pictures of 64 x 48 in one colour each. */
export function colourPictures(): ColourPictures {
  let folder = '';
  const path = (name: string) => join(folder, name);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'selvedge-pictures-'));
    for (const [name, background] of Object.entries(COLOURS)) {
      const image = sharp({ create: { width: 64, height: 48, channels: 3, background } });
      await image
        .clone()
        .jpeg()
        .toFile(path(`${name}.jpg`));
      await image
        .clone()
        .png()
        .toFile(path(`${name}.png`));
    }
    await writeFile(path('broken.jpg'), (await readFile(path('red.jpg'))).subarray(0, 200));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const bytes = async (...names: string[]) => Buffer.concat(await Promise.all(names.map((name) => readFile(path(name)))));
  return { folder: () => folder, path, bytes };
}

export interface AppRuns {
  target: () => InstalledTarget;
  /** Words in front of the program; `[]` when it runs here by itself. */
  runner: () => readonly string[];
  /** False where no emulator for the target is installed. */
  canRun: () => boolean;
  /** Path of a program to be built in the fixture's own folder. */
  programPath: (name: string) => string;
  /** Makes a package folder; all are removed at the end. @param program - default `run` without steps. */
  pack: (options?: AppPackageOptions, program?: string) => Promise<string>;
  /** An empty folder that is removed at the end. */
  emptyFolder: () => Promise<string>;
  start: (pkg: string, args: readonly string[], options?: AppRunOptions) => RunningApp;
  run: (pkg: string, args: readonly string[], options?: AppRunOptions) => RunningApp['finished'];
}

/** Registers hooks that build `run` for a target and clean up. */
export function appRuns(name: string): AppRuns {
  const folders: string[] = [];
  let folder = '';
  let target: InstalledTarget | undefined;
  const opened = () => {
    if (target === undefined) throw new Error('used before it was built');
    return target;
  };
  const emptyFolder = async () => {
    const made = await mkdtemp(join(tmpdir(), 'selvedge-run-'));
    folders.push(made);
    return made;
  };
  beforeAll(async () => {
    target = await testTarget(name);
    folder = await emptyFolder();
    await buildApp(target, join(folder, 'run'));
  });
  afterAll(async () => {
    for (const made of folders) await rm(made, { recursive: true, force: true });
  });
  const runner = () => runnerOf(opened()) ?? [];
  const pack = async (options: AppPackageOptions = {}, program = join(folder, 'run')) => {
    const made = await makeAppPackage(program, options);
    folders.push(made);
    return made;
  };
  const start: AppRuns['start'] = (pkg, args, options) => startApp([...runner(), join(pkg, 'run'), ...args], options);
  return {
    target: opened,
    runner,
    canRun: () => runnerOf(opened()) !== undefined,
    programPath: (program) => join(folder, program),
    pack,
    emptyFolder,
    start,
    run: (pkg, args, options) => start(pkg, args, options).finished,
  };
}
