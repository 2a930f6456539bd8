import { join } from 'node:path';
import { AppError, KNOWN_TARGETS, type Target, targetsFileSchema } from '@selvedge/contract';
import { readJsonFile } from '@selvedge/runtime';

/** Platforms that packages can be built for, as `selvedge target` has written them down. */
export class TargetCatalog {
  readonly #folder: string;

  /** @param folder - the targets folder; need not be there. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** By name; those that nothing is installed of are there too. */
  async list(): Promise<Target[]> {
    const file = await this.#read();
    const byName = new Map([...KNOWN_TARGETS, ...(file?.targets ?? [])].map((target) => [target.name, target]));
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The path stays on this machine: who asks over the network has no use for it. */
  async #read() {
    try {
      return await readJsonFile(join(this.#folder, 'targets.json'), targetsFileSchema);
    } catch (cause) {
      const hint = 'Run "selvedge target list" on the machine of the server; it writes the file anew.';
      throw new AppError('FILE_UNREADABLE', { message: 'The list of installed targets cannot be read.', hint }, { cause });
    }
  }
}
