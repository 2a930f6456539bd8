import { AppError, type Operation, type operationRequestSchema } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import type * as z from 'zod';
import { isSettledState, newOperationStatus, type OperationSituation } from '../domain/operation-plan.ts';
import type { Store } from '../ports/store.ts';
import { chooseDevices } from './choose-devices.ts';
import type { FleetView } from './fleet-view.ts';
import { nameByTime } from './name-by-time.ts';
import { OperationDriver } from './operation-driver.ts';
import type { OperationHandlers } from './operation-handler.ts';
import { readAll } from './read-all.ts';

export type OperationRequest = z.output<typeof operationRequestSchema> & {
  /** Who asks. */
  by: string;
};

export interface OperationServiceOptions {
  store: Store;
  view: FleetView;
  isOnline: (device: string) => boolean;
  handlers: OperationHandlers;
  log: Logger;
  clock: () => Date;
}

const DEFAULT_PARALLEL = 8;
const MAX_DEVICES = 10_000;
const MAX_TARGET_LENGTH = 2048;
/** Operations that have not ended: each is kept in memory. */
const MAX_ACTIVE = 1_000;
/** What devices may take to connect again after the server was away. */
const RETURN_MS = 45_000;

/**
 * What is asked of devices: takes it on, drives it to its end, and takes it up again after a restart of the server. The Operation
 * resource is all there is of it.
 */
export class OperationService {
  readonly #options: OperationServiceOptions;
  readonly #drivers = new Map<string, OperationDriver>();
  /** Connected, and subscribed to what it is told. */
  readonly #ready = new Set<string>();
  #graceUntilMs = 0;
  #started = false;

  constructor(options: OperationServiceOptions) {
    this.#options = options;
  }

  /** Goes on with what had not ended. */
  async start(): Promise<void> {
    this.#graceUntilMs = this.#options.clock().getTime() + RETURN_MS;
    this.#started = true;
    for (const operation of await readAll(this.#options.store, 'Operation'))
      if (!isSettledState(operation.status.state)) this.#drive(operation);
  }

  async stop(): Promise<void> {
    this.#started = false;
    await Promise.all([...this.#drivers.values()].map((driver) => driver.stop()));
    this.#drivers.clear();
    this.#ready.clear();
  }

  /** A device has connected and hears what it is told. */
  deviceIsReady(device: string): void {
    this.#ready.add(device);
    for (const driver of this.#drivers.values()) if (driver.concerns(device)) driver.wake();
  }

  deviceWentOffline(device: string): void {
    this.#ready.delete(device);
    for (const driver of this.#drivers.values()) if (driver.concerns(device)) driver.wake();
  }

  /** @throws AppError NOT_FOUND (the device, or none that matches), INPUT_INVALID, RATE_LIMITED, as the task's handler does. */
  async create(request: OperationRequest): Promise<Operation> {
    const { store, handlers, clock } = this.#options;
    const { task, parallel = DEFAULT_PARALLEL, by } = request;
    const handler = handlers.get(task.type);
    if (handler === undefined)
      throw new AppError('INPUT_INVALID', {
        message: `This server cannot ask devices for "${task.type}".`,
        issues: [{ path: 'task.type', message: 'is not known here' }],
      });
    await handler.check?.(task);
    if (this.#drivers.size >= MAX_ACTIVE)
      throw new AppError('RATE_LIMITED', { message: `${MAX_ACTIVE} operations are under way already.` });
    const devices = await this.#choose(request);
    const { wait = handler.waitsForDevices, expiresInS = handler.expiresInS } = request;
    const now = clock();
    const operation = await store.create('Operation', {
      name: nameByTime('op', now),
      labels: {},
      annotations: {},
      spec: {
        task,
        target: (request.device ?? request.selector ?? devices.join(' ')).slice(0, MAX_TARGET_LENGTH),
        parallel,
        wait,
        expiresAt: new Date(now.getTime() + expiresInS * 1000).toISOString(),
        by,
      },
      status: newOperationStatus(devices),
    });
    this.#drive(operation);
    return operation;
  }

  /** Nothing changes where it has ended already. @throws AppError NOT_FOUND. */
  async cancel(name: string, by: string): Promise<Operation> {
    await this.#drivers.get(name)?.cancel(by);
    const operation = await this.#options.store.get('Operation', name);
    if (operation !== undefined) return operation;
    throw new AppError('NOT_FOUND', { message: `There is no operation "${name}".`, hint: '"selvedge operation list" shows them.' });
  }

  async #choose(request: OperationRequest): Promise<string[]> {
    const found = await chooseDevices(this.#options.view, this.#options.store, request);
    if (found.length > MAX_DEVICES) throw new AppError('INPUT_INVALID', { message: `An operation may have ${MAX_DEVICES} devices.` });
    return found;
  }

  #drive(operation: Operation): void {
    const { store, handlers, log, clock } = this.#options;
    const { name } = operation.metadata;
    const handler = handlers.get(operation.spec.task.type);
    if (handler === undefined || !this.#started || this.#drivers.has(name)) return;
    const driver = new OperationDriver({ store, operation, handler, situation: () => this.#situation(), log, clock });
    this.#drivers.set(name, driver);
    void driver.ended.then(() => this.#drivers.delete(name));
    driver.wake();
  }

  #situation(): OperationSituation {
    const { view, isOnline, clock } = this.#options;
    return {
      nowMs: clock().getTime(),
      isKnown: (device) => view.devices.has(device),
      isConnected: isOnline,
      isReady: (device) => this.#ready.has(device),
      graceUntilMs: this.#graceUntilMs,
    };
  }
}
