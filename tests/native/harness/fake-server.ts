import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { compileSources, linkExecutable, nativeDir, runtimeSources } from '@selvedge/toolchain';
import { TEST_OBJECTS_DIR, testTarget } from './targets.ts';

/** Warnings are errors in our own code. */
const WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Werror'];
const FLAGS = ['-fno-exceptions', '-fno-rtti', '-DRAPIDJSON_HAS_STDSTRING=1', ...WARNINGS];

/**
 * Builds the server with the made-up model. SELVEDGE_TEST_SERVE_FAKE names one that is built otherwise, with sanitizers say.
 *
 * @returns the path of the executable.
 */
export async function buildFakeServer(): Promise<string> {
  const given = process.env.SELVEDGE_TEST_SERVE_FAKE;
  if (given !== undefined) return given;
  const target = await testTarget('linux-amd64');
  const own = ['runtime/base/exit_code.cc', 'tests/serve_fake_main.cc'].map((path) => join(nativeDir(), path));
  const sources = [...(await runtimeSources('serve')), ...own];
  const objects = await compileSources(target, {
    sources: sources.map((path) => ({ path })),
    includeDirs: [join(nativeDir(), 'runtime')],
    flags: FLAGS,
    cacheDir: TEST_OBJECTS_DIR,
  });
  const output = join(await mkdtemp(join(tmpdir(), 'selvedge-fake-')), 'serve-fake');
  await linkExecutable(target, { objects, libraries: ['event_core', 'llhttp', 'pthread'], output });
  return output;
}

export interface FakeServer {
  port: number;
  url: string;
  folder: string;
  child: ChildProcess;
  /** Log lines so far. */
  log: () => string;
  /** Sends SIGTERM and waits. @returns the exit code. */
  stop: () => Promise<number | null>;
}

export interface FakeServerOptions {
  program: string;
  args?: string[];
  env?: Record<string, string>;
  /** Content of the model file; default a gain of 1. */
  model?: string;
}

/** A folder with a manifest and a model file that the fake pipeline can load. */
export async function makeFakePackage(model = '1'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-serve-'));
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ model: 'colours', version: '1' }));
  await writeFile(join(folder, 'model.txt'), model);
  return folder;
}

export async function startFakeServer(options: FakeServerOptions): Promise<FakeServer> {
  const folder = await makeFakePackage(options.model);
  const child = spawn(options.program, ['--package', folder, ...(options.args ?? [])], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr?.on('data', (chunk) => {
    log += String(chunk);
  });
  const exited = once(child, 'exit');
  if (child.stdout === null) throw new Error('the server has no stdout');
  const [line] = await once(createInterface(child.stdout), 'line');
  const { port } = JSON.parse(String(line));
  const stop = async () => {
    child.kill('SIGTERM');
    const [code] = await exited;
    await rm(folder, { recursive: true, force: true });
    return typeof code === 'number' ? code : null;
  };
  return { port, url: `http://127.0.0.1:${port}`, folder, child, log: () => log, stop };
}

/** Asks until the answer fits. @throws when it does not within ten seconds. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`not within ten seconds: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const ready = (url: string) => until('ready', async () => (await fetch(`${url}/v2/health/ready`)).status === 200);

/** Resident memory, kB. */
export async function residentKb(server: FakeServer): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/resident_memory_bytes\{[^}]*\} (\d+)/.exec(text)?.[1]) / 1024;
}

/** A client that says exactly the bytes that it is told to. */
export class RawClient {
  readonly socket: Socket;
  text = '';
  isClosed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
    });
    this.socket.on('end', () => this.socket.end());
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    this.socket.on('error', () => undefined); // a reset is a way of closing, which the tests look at
  }

  write(bytes: string | Buffer): this {
    this.socket.write(bytes);
    return this;
  }

  /** @returns everything that came until the server closed. */
  async closed(): Promise<string> {
    await until('the server closes', () => this.isClosed);
    return this.text;
  }

  async has(pattern: RegExp): Promise<string> {
    await until(`an answer with ${pattern}`, () => pattern.test(this.text));
    return this.text;
  }
}

/** Sends raw bytes and returns what comes back until the server closes. */
export const raw = (port: number, bytes: string | Buffer): Promise<string> => new RawClient(port).write(bytes).closed();

export const tensor = (data: unknown, shape = [1, 3, 4, 4]) => ({ inputs: [{ name: 'input', shape, datatype: 'FP32', data }] });
export const VALUES = Array.from({ length: 48 }, (_, index) => (index < 16 ? 0.5 : 0.25));

/** A whole POST of a tensor, as bytes. */
export function rawInfer(more = ''): string {
  const body = JSON.stringify(tensor(VALUES));
  return `POST /v2/models/colours/infer HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
}
