import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const CLI_FOLDER = fileURLToPath(new URL('../..', import.meta.url));
const BANNER =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); import { fileURLToPath as __toPath } from 'node:url'; const __filename = __toPath(import.meta.url); const __dirname = __toPath(new URL('.', import.meta.url));";

/** A copy of the command line as it is shipped: `packages/cli/bin/selvedge.mjs` beside its bundle, below a new folder. */
export async function bundleCli(): Promise<{ root: string; bin: string }> {
  const root = await mkdtemp(join(tmpdir(), 'selvedge-cli-'));
  const folder = join(root, 'packages/cli');
  await mkdir(join(folder, 'bin'), { recursive: true });
  const bin = join(folder, 'bin/selvedge.mjs');
  await copyFile(join(CLI_FOLDER, 'bin/selvedge.mjs'), bin);
  await build({
    absWorkingDir: CLI_FOLDER,
    entryPoints: [{ in: 'src/main.ts', out: 'selvedge' }],
    outdir: join(folder, 'dist'),
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    mainFields: ['module', 'main'],
    banner: { js: BANNER },
    logLevel: 'warning',
  });
  return { root, bin };
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd: string;
  env?: Record<string, string>;
  stdin?: string;
}

/** The environment of a user who has set nothing of ours. */
function cleanEnv(extra: Record<string, string> | undefined): NodeJS.ProcessEnv {
  const own = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('SELVEDGE_') && key !== 'NODE_OPTIONS'));
  return { ...own, ...extra };
}

/** A call of the command line that goes on. */
export class RunningBin {
  readonly child: ChildProcessWithoutNullStreams;
  stdout = '';
  stderr = '';
  readonly #closed: Promise<unknown[]>;
  #changed: () => void = () => undefined;

  constructor(bin: string, args: readonly string[], options: RunOptions) {
    this.child = spawn(process.execPath, [bin, ...args], { cwd: options.cwd, env: cleanEnv(options.env) });
    this.child.stdout.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
      this.#changed();
    });
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.#changed();
    });
    this.#closed = once(this.child, 'close');
    void this.#closed.then(() => this.#changed());
    this.child.stdin.end(options.stdin ?? '');
  }

  /** Resolves once the output so far matches; rejects when the program ends without it. */
  async seen(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stdout + this.stderr)) {
      if (this.child.exitCode !== null) throw new Error(`ended without ${pattern}:\n${this.stdout}\n${this.stderr}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async ended(): Promise<Outcome> {
    const [code] = await this.#closed;
    return { code: typeof code === 'number' ? code : -1, stdout: this.stdout, stderr: this.stderr };
  }
}
