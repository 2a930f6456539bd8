import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileSources, type InstalledTarget, linkExecutable, nativeDir, runtimeSources } from '@selvedge/toolchain';
import { writeGoldenFile } from '../../../packages/tools/src/build/golden-file.ts';
import { TEST_OBJECTS_DIR } from './targets.ts';

const COMPONENTS = ['base', 'image', 'ops', 'pipeline', 'input', 'output', 'serve', 'app'];
const WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Werror'];
const FLAGS = ['-fno-rtti', '-ffp-contract=off', '-DRAPIDJSON_HAS_STDSTRING=1', ...WARNINGS];
/** What the whole executable is linked with, besides an engine's own. */
export const APP_LIBRARIES: readonly string[] = ['jpeg', 'png16', 'z', 'event_core', 'llhttp'];

export interface AppBuildOptions {
  /** Sources below native/tests with steps of a user, compiled as a package's `build.sources` are. */
  steps?: readonly string[];
  /** A source below native/tests whose `main` is taken instead of the command line's. */
  main?: string;
}

/** Builds `run` with the made-up engine of native/tests/fake_engine.cc. */
export async function buildApp(target: InstalledTarget, output: string, options: AppBuildOptions = {}): Promise<void> {
  const native = nativeDir();
  const inTests = (name: string) => join(native, 'tests', name);
  const all = (await Promise.all(COMPONENTS.map(runtimeSources))).flat();
  const runtime = options.main === undefined ? all : [...all.filter((path) => !path.endsWith('/app/main.cc')), inTests(options.main)];
  const objects = await compileSources(target, {
    sources: [
      ...[...runtime, inTests('fake_engine.cc')].map((path) => ({ path, flags: ['-fno-exceptions'] })),
      ...(options.steps ?? []).map((name) => ({ path: inTests(name), flags: ['-fexceptions'] })),
    ],
    includeDirs: [join(native, 'runtime'), native],
    flags: FLAGS,
    cacheDir: TEST_OBJECTS_DIR,
  });
  await linkExecutable(target, { objects, libraries: APP_LIBRARIES, output });
}

export interface AppPackageOptions {
  /** First word of the model file: see native/tests/fake_engine.cc. Default `classes`. */
  model?: string;
  manifest?: Record<string, unknown>;
  /** Added to every expected value of the golden sample; default 0. */
  goldenError?: number;
}

const GOLDEN_INPUT = Array.from({ length: 3 * 64 }, (_, index) => (index % 2 === 0 ? 0 : 0.1 * (Math.floor(index / 64) + 1)));

/** A package folder with `run`, a manifest, a model file and a golden sample. */
export async function makeAppPackage(program: string, options: AppPackageOptions = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-app-'));
  await copyFile(program, join(folder, 'run'));
  const boxes = options.model?.startsWith('boxes') === true;
  const manifest = {
    formatVersion: 1,
    runtime: 'native',
    model: 'colours',
    version: '3',
    target: 'linux-amd64',
    engine: 'xnnpack',
    precision: 'fp32',
    modelFile: 'model.bin',
    goldenFile: 'golden.safetensors',
    labels: ['red', 'green', 'blue'],
    preproc: { pipeline: ['resize', 'hwctochw', 'scale'], params: { resize: [8, 8], scale: [0, 1] } },
    postproc: boxes
      ? { pipeline: ['nms'], params: { nms: { IoU_thr: 0.5, conf_thr: 0.3 } } }
      : { pipeline: ['topk'], params: { topk: { k: 2 } } },
    dctScaling: true,
    ...options.manifest,
  };
  const output = [0.05, 0.1, 0.15].map((value) => value + (options.goldenError ?? 0));
  const golden = writeGoldenFile({
    input: { name: 'picture', shape: [1, 3, 8, 8], data: Float32Array.from(GOLDEN_INPUT), isHalf: false },
    output: { name: 'scores', shape: [1, 3], data: Float32Array.from(output) },
    tolerance: 1e-5,
  });
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  await writeFile(join(folder, 'golden.safetensors'), golden);
  await writeFile(join(folder, 'model.bin'), options.model ?? 'classes');
  return folder;
}

export interface RunningApp {
  /** Lines of stdout so far, parsed when they are asked for. */
  lines: () => unknown[];
  /** Resolves with the first `count` lines. */
  waitForLines: (count: number) => Promise<unknown[]>;
  /** Resolves when stderr has the text. */
  waitForError: (text: string) => Promise<void>;
  stop: (signal: NodeJS.Signals) => void;
  finished: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

export interface AppRunOptions {
  stdin?: Uint8Array;
  cwd?: string;
  env?: Record<string, string>;
}

/** Starts a program; it is killed when it takes longer than a minute. */
export function startApp(words: readonly string[], options: AppRunOptions = {}): RunningApp {
  const [program = '', ...args] = words;
  const child = spawn(program, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  // A program that needs no more of its stdin closes it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? new Uint8Array());
  const closed = once(child, 'close');
  const whole = () => stdout.split('\n').slice(0, -1);
  const lines = () => whole().map((line): unknown => JSON.parse(line));
  const waitUntil = async (isDone: () => boolean) => {
    while (!isDone()) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended early: ${stderr}`);
      await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), closed]);
    }
  };
  const waitForLines = async (count: number) => {
    await waitUntil(() => whole().length >= count);
    return lines();
  };
  const waitForError = (text: string) => waitUntil(() => stderr.includes(text));
  const finished = closed.then(([code]) => ({ code: typeof code === 'number' ? code : null, stdout, stderr }));
  return { lines, waitForLines, waitForError, stop: (signal) => void child.kill(signal), finished };
}
