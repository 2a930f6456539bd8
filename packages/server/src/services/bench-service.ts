import {
  AppError,
  type benchRequestSchema,
  type benchResponseSchema,
  type Device,
  type NativePackageReference,
  type Package,
  type PackageBenchmark,
  toAppError,
} from '@selvedge/contract';
import type * as z from 'zod';
import { builtOf, targetsOf } from '../domain/native-choice.ts';
import type { Store } from '../ports/store.ts';
import { type DeviceCommands, deviceOffline, unexpectedReply } from './device-commands.ts';
import { draftOf } from './draft-of.ts';
import type { FleetView } from './fleet-view.ts';
import { readSelection } from './label-selection.ts';
import { packageNotFound } from './package-not-found.ts';

export interface BenchRequest extends z.output<typeof benchRequestSchema> {
  /** The package. */
  name: string;
  signal?: AbortSignal;
}
type BenchResponse = z.output<typeof benchResponseSchema>;

export interface BenchServiceOptions {
  store: Store;
  view: FleetView;
  isOnline: (device: string) => boolean;
  commands: DeviceCommands;
  clock: () => Date;
}

const DEFAULT_SECONDS = 10;
/** What a device may take besides measuring: to fetch the package over a slow line and check it. */
const EXTRA_MS = 120_000;
const MAX_PARALLEL = 8;
/** Devices whose measurement a package keeps. */
const MAX_BENCHMARKS = 200;

/** Measures packages on real devices, and keeps what they measured. */
export class BenchService {
  readonly #options: BenchServiceOptions;
  /** `device/sha256` of the archives that devices are being asked to measure: they may fetch those, deployed or not. */
  readonly #granted = new Map<string, number>();

  constructor(options: BenchServiceOptions) {
    this.#options = options;
  }

  mayFetch(device: string, sha256: string): boolean {
    return this.#granted.has(`${device}/${sha256}`);
  }

  /** See DevicePlane.bench. */
  async bench(request: BenchRequest): Promise<BenchResponse> {
    const one = await this.#options.store.get('Package', request.name);
    if (one === undefined) throw packageNotFound(request.name);
    const native = builtOf(one);
    if (native === undefined) {
      const hint = `"selvedge package show ${request.name}" tells how its build stands.`;
      throw new AppError('CONFLICT', { message: `Package "${request.name}" is not built yet.`, hint });
    }
    const queue = await this.#choose(request, native);
    const response: BenchResponse = { results: [], failures: [] };
    const worker = async () => {
      for (let device = queue.shift(); device !== undefined; device = queue.shift())
        await this.#benchOne(one, device, native, request, response);
    };
    await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, queue.length) }, worker));
    return response;
  }

  async #choose({ device, selector }: BenchRequest, { target }: NativePackageReference): Promise<Device[]> {
    const { store, view, isOnline } = this.#options;
    if (device !== undefined) {
      const named = view.devices.get(device);
      if (named === undefined)
        throw new AppError('NOT_FOUND', { message: `There is no device "${device}".`, hint: '"selvedge device list" shows all devices.' });
      return [named];
    }
    const selection = await readSelection(store, selector ?? '');
    const matching = [...view.devices.values()].filter((one) => targetsOf(one).includes(target) && selection.matches(one.metadata.labels));
    const online = matching.filter((one) => isOnline(one.metadata.name));
    if (online.length > 0) return online.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const [away] = matching;
    if (away !== undefined) throw deviceOffline(away.metadata.name);
    throw new AppError('NOT_FOUND', {
      message: `No device ${selector === undefined ? '' : 'with these labels '}runs packages for ${target}.`,
      hint: '"selvedge device list" shows all devices.',
    });
  }

  async #benchOne(
    one: Package,
    device: Device,
    native: NativePackageReference,
    request: BenchRequest,
    response: BenchResponse,
  ): Promise<void> {
    const { name } = device.metadata;
    const { commands, clock, isOnline } = this.#options;
    const { seconds = DEFAULT_SECONDS, threads = 1, signal } = request;
    const grant = `${name}/${native.archive.sha256}`;
    this.#granted.set(grant, (this.#granted.get(grant) ?? 0) + 1);
    try {
      if (!isOnline(name)) throw deviceOffline(name);
      if (!targetsOf(device).includes(native.target)) {
        const message = `Device "${name}" does not run packages for ${native.target}.`;
        throw new AppError('CONFLICT', { message });
      }
      const outcome = await commands.ask(
        name,
        { type: 'bench', native, seconds, threads },
        { timeoutMs: seconds * 1000 + EXTRA_MS, signal },
      );
      if (!('bench' in outcome)) throw unexpectedReply(name);
      const { cpuModel = '' } = device.status.info ?? {};
      const measured = { device: name, cpuModel, at: clock().toISOString(), archiveSha256: native.archive.sha256 };
      const result = { ...outcome.bench, ...measured };
      await this.#keep(one, result);
      response.results.push(result);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'INTERRUPTED' || error.kind === 'bug') throw thrown;
      response.failures.push({ device: name, code: error.code, message: error.message });
    } finally {
      const left = (this.#granted.get(grant) ?? 1) - 1;
      if (left > 0) this.#granted.set(grant, left);
      else this.#granted.delete(grant);
    }
  }

  /** The newest per device; those of the longest ago go first. */
  async #keep({ metadata }: Package, result: PackageBenchmark): Promise<void> {
    await this.#options.store.update('Package', metadata.name, (current) => {
      if (current.metadata.uid !== metadata.uid) return undefined;
      const kept = current.status.benchmarks.filter((benchmark) => benchmark.device !== result.device);
      const benchmarks = [...kept, result].sort((a, b) => (a.at < b.at ? -1 : 1)).slice(-MAX_BENCHMARKS);
      return draftOf(current, { status: { ...current.status, benchmarks } });
    });
  }
}
