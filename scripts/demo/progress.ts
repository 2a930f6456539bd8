import { AppError, toAppError } from '@selvedge/contract';

interface DoneStep {
  name: string;
  elapsedS: number;
  note: string;
}

/** Times the steps and shows the running one: a line that rewrites itself on a terminal, plain lines elsewhere. */
export class StepTimer {
  readonly steps: DoneStep[] = [];
  readonly #setupS: number;
  readonly #startedAt = performance.now();
  #line: ((text: string) => void) | undefined;

  constructor(setupSeconds: number) {
    this.#setupS = setupSeconds;
    this.steps.push({ name: 'setup', elapsedS: setupSeconds, note: 'packages and bundles' });
  }

  get elapsedS(): number {
    return this.#setupS + (performance.now() - this.#startedAt) / 1000;
  }

  progress(text: string): void {
    this.#line?.(text);
  }

  /** @throws AppError with the step's name before the message. */
  async step<T>(name: string, work: () => Promise<{ value: T; note: string }>): Promise<T> {
    const begin = performance.now();
    const seconds = () => (performance.now() - begin) / 1000;
    const live = process.stdout.isTTY === true;
    let latest = '';
    let shownAt = 0;
    const show = () =>
      process.stdout.write(`\r\x1b[K${name.padEnd(10)} ${seconds().toFixed(1)} s  ${latest.slice(0, (process.stdout.columns ?? 80) - 22)}`);
    this.#line = (text) => {
      latest = text;
      // Without a terminal one line a second is enough to see that something moves.
      if (!live && performance.now() - shownAt >= 1000) {
        shownAt = performance.now();
        process.stdout.write(`${name.padEnd(10)} ${text}\n`);
      }
    };
    const timer = live ? setInterval(show, 100) : undefined;
    if (!live) process.stdout.write(`${name.padEnd(10)} ...\n`);
    try {
      const { value, note } = await work();
      this.steps.push({ name, elapsedS: seconds(), note });
      process.stdout.write(`${live ? '\r\x1b[K' : ''}${name.padEnd(10)} done in ${seconds().toFixed(1)} s: ${note}\n`);
      return value;
    } catch (thrown) {
      if (live) process.stdout.write('\r\x1b[K');
      const error = toAppError(thrown);
      throw new AppError(error.code, { ...error.details, message: `Step "${name}" failed: ${error.message}` }, { cause: thrown });
    } finally {
      clearInterval(timer);
      this.#line = undefined;
    }
  }
}
