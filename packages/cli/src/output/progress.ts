import type { OutputStream } from '../io.ts';
import { oneLine } from './table.ts';

/**
 * Progress of one piece of work on stderr: on a terminal one line that is rewritten, elsewhere a plain line each time the
 * milestone changes.
 */
export class ProgressLine {
  readonly #stream: OutputStream;
  readonly #isOn: boolean;
  readonly #isLive: boolean;
  #milestone: string | undefined;
  #isDrawn = false;

  constructor(stream: OutputStream, options: { quiet: boolean }) {
    this.#stream = stream;
    this.#isOn = !options.quiet;
    this.#isLive = stream.isTTY === true;
  }

  /** @param milestone - what must change for a new line where lines cannot be rewritten, e.g. `upload 30%`. */
  update(text: string, milestone: string): void {
    if (!this.#isOn) return;
    if (this.#isLive) {
      const width = Math.max(20, (this.#stream.columns ?? 80) - 1);
      this.#stream.write(`\r\u001b[K${oneLine(text).slice(0, width)}`);
      this.#isDrawn = true;
    } else if (milestone !== this.#milestone) {
      this.#stream.write(`${oneLine(text)}\n`);
    }
    this.#milestone = milestone;
  }

  /** Writes a line that stays, above whatever comes next. */
  keep(text: string): void {
    if (!this.#isOn) return;
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  /** Takes the line away, so that something else can be printed. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write('\r\u001b[K');
    this.#isDrawn = false;
  }
}
