import { type FileFault, MAX_NAMED_FILES } from '@selvedge/contract';
import { badFiles } from './source-sample.ts';

/** The broken files of an import: counted all, named up to a bound. */
export class Faults {
  readonly #skip: boolean;
  readonly #files: FileFault[] = [];
  #count = 0;

  constructor(initial: readonly FileFault[], skip: boolean) {
    this.#skip = skip;
    for (const fault of initial) this.add(fault);
  }

  add(fault: FileFault): void {
    this.#count += 1;
    if (this.#files.length < MAX_NAMED_FILES) this.#files.push(fault);
  }

  /** True when as many are known as can be named, and they will refuse the data anyway. */
  get isEnough(): boolean {
    return !this.#skip && this.#count >= MAX_NAMED_FILES;
  }

  /** @throws AppError DATASET_FORMAT (user) that names them, unless they are to be skipped. */
  refuse(): void {
    if (this.#count > 0 && !this.#skip) throw badFiles(this.#sorted(), this.#count);
  }

  summary(): { count: number; files: FileFault[] } {
    return { count: this.#count, files: this.#sorted() };
  }

  #sorted(): FileFault[] {
    return this.#files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }
}
