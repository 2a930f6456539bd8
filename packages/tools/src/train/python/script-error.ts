import { relative } from 'node:path';
import { AppError, type ErrorDetails } from '@selvedge/contract';
import type { ProcessEnd } from './run-process.ts';

const KEPT_LINES = 20;
const SHOWN_LINES = 5;
const FRAME = /^\s*File "([^"]+)", line (\d+)/;

/** The last lines that a script wrote to stderr, and where its own code stood. */
export class ErrorLines {
  readonly #folder: string;
  readonly #lines: string[] = [];
  #frame: { file: string; line: number } | undefined;

  /** @param folder - where the files of the script are. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  add(line: string): void {
    if (line.trim() === '') return;
    this.#lines.push(line.trimEnd());
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    if (line.startsWith('Traceback ')) this.#frame = undefined;
    const [, path, number] = FRAME.exec(line) ?? [];
    // The innermost call of the script's own: libraries below it say little to its author.
    if (path?.startsWith(`${this.#folder}/`)) this.#frame = { file: relative(this.#folder, path), line: Number(number) };
  }

  /** What went wrong, as the artifact's status says it. */
  failure(script: string, { code, signal }: ProcessEnd): AppError {
    const how = signal === null ? `with code ${code}` : `by signal ${signal}`;
    const where = this.#frame === undefined ? '' : ` at ${this.#frame.file}, line ${this.#frame.line}`;
    const last = this.#lines.slice(-SHOWN_LINES).map((line) => line.trim());
    const details: ErrorDetails = {
      message: `${script} ended ${how}${where}${last.length === 0 ? '' : `; its last lines: ${last.join(' | ')}`}`,
      hint:
        signal === 'SIGKILL' ? 'Look for an out-of-memory kill in the log of the machine.' : 'The log of the step has all that it wrote.',
      ...(this.#frame === undefined
        ? {}
        : { issues: [{ path: this.#frame.file, message: `line ${this.#frame.line}: ${last.at(-1) ?? ''}`, ...this.#frame }] }),
    };
    return new AppError('STEP_FAILED', details);
  }
}
