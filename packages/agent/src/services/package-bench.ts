import { AppError, type Command, type NativeBench, nativeBenchSchema } from '@selvedge/contract';
import { SerialRunner } from '@selvedge/runtime';
import type { VersionRecord } from '../domain/agent-state.ts';
import { otherTarget } from '../domain/runtime-choice.ts';
import { versionKey } from '../domain/version-key.ts';
import type { VersionStore } from '../ports/version-store.ts';

export type BenchCommand = Extract<Command, { type: 'bench' }>;

export interface PackageBenchOptions {
  /** Apart from the store of what is served: measuring must not touch that. */
  store: VersionStore;
  targets: readonly string[];
  /** Runs a package's executable to its end and returns what it printed. */
  run: (folder: string, args: readonly string[], timeoutMs: number) => Promise<string>;
}

const WORKLOAD = 'bench';
/** What loading and warming up may take on top of the measured time, also on a slow device or an emulated one. */
const START_MS = 90_000;
const DOWNLOAD_MS = 600_000;

/** Measures native packages on this device, one at a time. The newest one stays on disk, so that a repetition is quick. */
export class PackageBench {
  readonly #options: PackageBenchOptions;
  readonly #queue = new SerialRunner();

  constructor(options: PackageBenchOptions) {
    this.#options = options;
  }

  /** @throws AppError CONFLICT (user) when the package is for another target; as fetching does; WORKLOAD_FAILED when it does not run. */
  measure(command: BenchCommand): Promise<NativeBench> {
    return this.#queue.run(() => this.#measure(command));
  }

  async #measure({ native, seconds, threads }: BenchCommand): Promise<NativeBench> {
    const { store, targets, run } = this.#options;
    if (!targets.includes(native.target)) throw new AppError('CONFLICT', { message: otherTarget(native.target, targets) });
    const record: VersionRecord = {
      key: versionKey('package', native.manifestSha256),
      model: native.model,
      version: native.version,
      manifest: native.archive,
      native,
    };
    await store.fetch(WORKLOAD, record, () => undefined, AbortSignal.timeout(DOWNLOAD_MS));
    await store.verify(WORKLOAD, record, AbortSignal.timeout(DOWNLOAD_MS));
    await store.sweep(WORKLOAD, [record.key]);
    const args = ['--bench', '--json', '--seconds', String(seconds), '--threads', String(threads)];
    const printed = await run(store.folder(WORKLOAD, record.key), args, seconds * 1000 + START_MS);
    const parsed = nativeBenchSchema.safeParse(parse(printed));
    if (parsed.success) return parsed.data;
    throw new AppError('WORKLOAD_FAILED', { message: `The package printed no benchmark: ${printed.slice(0, 200)}` });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // refused by the schema
  }
}
