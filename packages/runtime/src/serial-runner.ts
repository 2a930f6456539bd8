/** Runs one piece of work at a time, in the order of the calls. A piece that fails does not hold up the next. No nesting: work that awaits its own runner never ends. */
export class SerialRunner {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined); // the caller has the rejection; the queue goes on
    return result;
  }
}
