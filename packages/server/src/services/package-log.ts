import { AppError, type Package } from '@selvedge/contract';
import { sleep } from '@selvedge/runtime';
import { isSettled } from '../domain/package-plan.ts';
import type { Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { packageNotFound } from './package-not-found.ts';

const POLL_MS = 300;

export interface PackageLogOptions {
  store: Store;
  tools: ToolClient;
}

/** The log of a package's last build, as it stands or as it grows. */
export class PackageLog {
  readonly #options: PackageLogOptions;

  constructor(options: PackageLogOptions) {
    this.#options = options;
  }

  /** @throws AppError NOT_FOUND before the first line. */
  async open(name: string, options: { follow: boolean; signal: AbortSignal }): Promise<AsyncGenerator<string | Buffer>> {
    const one = await this.#options.store.get('Package', name);
    if (one === undefined) throw packageNotFound(name);
    return this.#lines(one, options);
  }

  async *#lines(first: Package, { follow, signal }: { follow: boolean; signal: AbortSignal }): AsyncGenerator<string | Buffer> {
    const { name } = first.metadata;
    let shown = 0;
    for (let one: Package | undefined = first; one !== undefined; one = await this.#options.store.get('Package', name)) {
      const isLast = !follow || isSettled(one);
      for await (const chunk of this.#read(one, signal)) {
        if (chunk.position + chunk.bytes.length <= shown) continue;
        yield chunk.bytes.subarray(Math.max(0, shown - chunk.position));
        shown = chunk.position + chunk.bytes.length;
      }
      if (isLast) {
        const { error } = one.status;
        if (one.status.phase === 'Failed' && error !== null) yield `== failed: ${error.message} (${error.code})\n`;
        return;
      }
      await sleep(POLL_MS, signal);
    }
  }

  async *#read({ status }: Package, signal: AbortSignal): AsyncGenerator<{ bytes: Buffer; position: number }> {
    if (status.artifact === null) return;
    try {
      const stream = await this.#options.tools.openLog('build', status.artifact, { follow: false, signal });
      let position = 0;
      for await (const chunk of stream ?? []) {
        const bytes = Buffer.from(chunk);
        yield { bytes, position };
        position += bytes.length;
      }
    } catch (error) {
      signal.throwIfAborted();
      const isDown = error instanceof AppError ? error.code === 'TOOL_UNAVAILABLE' : error instanceof Error && 'code' in error;
      if (!isDown) throw error; // a tool that is down is read again in the next round, if there is one
    }
  }
}
