import { join } from 'node:path';
import {
  AppError,
  type benchResponseSchema,
  type CaStatus,
  type DeviceTopic,
  type inferResponseSchema,
  type operationInputSchema,
  type Rollout,
} from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type * as z from 'zod';
import { DeviceListener, type TlsCredentials } from './adapters/device-port/device-listener.ts';
import { FsDeltaStore, type MakeDelta } from './adapters/fs/fs-delta-store.ts';
import { FsTransferFiles } from './adapters/fs/fs-transfer-files.ts';
import { CertificateAuthority } from './adapters/tls/certificate-authority.ts';
import { deviceUrl } from './addresses.ts';
import type { ServerConfig } from './config.ts';
import { brokerAddress, externalBroker } from './device-broker.ts';
import { deviceHandlers } from './device-handlers.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { BrokerHandlers, DeviceBroker } from './ports/device-broker.ts';
import type { Store } from './ports/store.ts';
import { type BenchRequest, BenchService } from './services/bench-service.ts';
import { pruneBundles } from './services/bundle-retention.ts';
import { BundleService } from './services/bundle-service.ts';
import { CaRotation } from './services/ca-rotation.ts';
import { DeploymentController, type PublishToDevice } from './services/deployment-controller.ts';
import { rebootHandler, restartHandler, writeInput } from './services/device-actions.ts';
import { DeviceCommands } from './services/device-commands.ts';
import { DeviceContent } from './services/device-content.ts';
import { DeviceEnrolment } from './services/device-enrolment.ts';
import { DeviceLink } from './services/device-link.ts';
import { DeviceLogService } from './services/device-log-service.ts';
import { DeviceService } from './services/device-service.ts';
import type { EventHub } from './services/event-hub.ts';
import { InferenceService, type InferRequest } from './services/inference-service.ts';
import { JoinDesk } from './services/join-desk.ts';
import { handlerEntry } from './services/operation-handler.ts';
import { contentOf, pruneOperations } from './services/operation-retention.ts';
import { OperationService } from './services/operation-service.ts';
import type { PackageTrust } from './services/package-builder.ts';
import { ProgramOperation } from './services/program-operation.ts';
import { RemoteOutput } from './services/remote-output.ts';
import { ResultsImport } from './services/results-import.ts';
import { TransferService } from './services/transfer-service.ts';

export interface DevicePlaneOptions {
  config: ServerConfig;
  store: Store;
  blobs: BlobStore;
  /** Must announce what the store writes: the plane acts on it. */
  hub: EventHub;
  log: Logger;
  clock: () => Date;
  /** Begins to make the golden set of a rollout; asked for again until the rollout has it. */
  prepareGolden?: (rollout: Rollout) => void;
  /** Makes patches between files of versions; without it, devices fetch whole files. */
  makeDelta?: MakeDelta;
}

/** Everything between the server and its devices: the device port, their identities, what they serve, and how to reach them. */
export interface DevicePlane {
  /**
   * Opens the device port and begins to reconcile. May be called again after `stop`.
   * @throws AppError PORT_IN_USE (user) when the port is taken; FILE_UNREADABLE (user) when the authority's file is damaged.
   */
  start(): Promise<{ port: number }>;
  /** Closes every connection, and returns when everything that was under way has been written. The store stays open. */
  stop(): Promise<void>;
  /** Tokens, and devices that wait for approval. */
  readonly desk: JoinDesk;
  /** Authorities, and how far a change of them has come. */
  caStatus(): Promise<CaStatus>;
  /**
   * Begins a change of authorities, or with `finish` ends it. @returns how it stands then.
   * @throws AppError CONFLICT (user) when there is nothing to end, or someone is not ready and `force` is not set.
   */
  rotateCa(request: { finish?: boolean | undefined; force?: boolean | undefined }): Promise<CaStatus>;
  /** Revokes the device and deletes its resource; its sockets close at once. False when there was none. */
  removeDevice(name: string): Promise<boolean>;
  /**
   * Sends one body to a device that serves the model and waits for its answer.
   * @throws AppError NOT_FOUND, PAYLOAD_TOO_LARGE, RATE_LIMITED, DEVICE_OFFLINE, DEVICE_TIMEOUT (30 s), WORKLOAD_NOT_SERVING,
   * INTERRUPTED (the signal), or what the device answered.
   */
  infer(request: InferRequest): Promise<z.output<typeof inferResponseSchema>>;
  /**
   * Measures a package on a device, or on all that are online and match, eight at a time; what was measured is kept in the
   * package's status. What goes wrong on a device is among the failures.
   * @throws AppError NOT_FOUND (package, device, or none that matches), CONFLICT (not built), DEVICE_OFFLINE, INTERRUPTED (the signal).
   */
  bench(request: BenchRequest): Promise<z.output<typeof benchResponseSchema>>;
  /** What is asked of devices and recorded as Operations. */
  readonly operations: Pick<OperationService, 'create' | 'cancel'>;
  /** What devices get, and bring back, on a stick. */
  readonly bundles: Pick<BundleService, 'create' | 'open' | 'revoke'>;
  readonly results: Pick<ResultsImport, 'import'>;
  /** Files that are on their way to and from devices. */
  readonly transfers: Pick<TransferService, 'files' | 'uploadState' | 'receiveUpload'>;
  /** What commands on devices write, while and after they run. */
  readonly output: Pick<RemoteOutput, 'read'>;
  readonly logs: Pick<DeviceLogService, 'open'>;
  /** Types into a shell. @throws AppError NOT_FOUND, CONFLICT, DEVICE_OFFLINE. */
  writeInput(operation: string, input: z.output<typeof operationInputSchema>, signal: AbortSignal): Promise<void>;
  /** What packages are signed with. The plane must have been started. */
  readonly trust: PackageTrust;
  counts(): { total: number; online: number };
}

const DAY_MS = 86_400_000;
const HOUSEKEEPING_MS = 3_600_000;

export function createDevicePlane(options: DevicePlaneOptions): DevicePlane {
  return new Plane(options);
}

/** Wires the device port to the services, and starts and stops them in order. */
class Plane implements DevicePlane {
  readonly #options: DevicePlaneOptions;
  readonly #authority: CertificateAuthority;
  readonly #listener: DeviceListener;
  readonly #broker: DeviceBroker;
  readonly #keepBrokerFiles: () => Promise<void>;
  readonly #enrolment: DeviceEnrolment;
  readonly #devices: DeviceService;
  readonly #controller: DeploymentController;
  readonly #inference: InferenceService;
  readonly #bench: BenchService;
  readonly #rotation: CaRotation;
  readonly desk: JoinDesk;
  readonly #transferFiles: FsTransferFiles;
  readonly #deltas: FsDeltaStore | undefined;
  readonly transfers: TransferService;
  readonly operations: OperationService;
  readonly bundles: BundleService;
  readonly results: ResultsImport;
  readonly output: RemoteOutput;
  readonly logs: DeviceLogService;
  readonly #link: DeviceLink;
  #port: number | undefined;
  #unsubscribe: (() => void) | undefined;
  #housekeepingTimer: NodeJS.Timeout | undefined;
  #housekeeping: Promise<void> = Promise.resolve();

  constructor(options: DevicePlaneOptions) {
    const { config, store, blobs, hub, log, clock, prepareGolden, makeDelta } = options;
    this.#options = options;
    this.#authority = new CertificateAuthority({ folder: join(config.dataDir, 'authority'), clock, broker: brokerAddress(config) });
    this.#enrolment = new DeviceEnrolment({ store, signer: this.#authority, log, clock });
    this.desk = new JoinDesk({
      store,
      caSha256: () => this.#authority.caSha256,
      isChanging: () => this.#authority.facts().next !== null,
      url: () => this.#url(),
      sign: ({ type: _, ...request }) => this.#enrolment.signRequest(request),
      log,
      clock,
    });
    const publish: PublishToDevice = (device, topic, payload, how) => this.#broker.publish(device, topic, payload, how);
    this.#controller = new DeploymentController({ store, hub, publish, log, clock, prepareGolden });
    const commands = new DeviceCommands({ publish, clock });
    const { view } = this.#controller;
    const isOnline = (device: string) => this.#devices.isOnline(device);
    this.#inference = new InferenceService({ view, isOnline, commands });
    this.#bench = new BenchService({ store, view, isOnline, commands, clock });
    this.#transferFiles = new FsTransferFiles(join(config.dataDir, 'transfers'));
    this.transfers = new TransferService({ files: this.#transferFiles, commands, maxBytes: config.maxUploadBytes, clock });
    this.#link = new DeviceLink(commands);
    this.output = new RemoteOutput(store, hub);
    this.logs = new DeviceLogService(this.#link, view);
    const programs = new ProgramOperation(this.#link, this.output);
    const handlers = new Map([
      ...this.transfers.handlers,
      handlerEntry('exec', programs.exec()),
      handlerEntry('shell', programs.shell()),
      handlerEntry('restart-workload', restartHandler(this.#link)),
      handlerEntry('reboot', rebootHandler(this.#link)),
    ]);
    this.operations = new OperationService({ store, view, isOnline, handlers, log, clock });
    this.#devices = new DeviceService({
      store,
      onReply: (device, reply) => commands.takeReply(device, reply),
      onOffline: (device) => {
        commands.deviceWentOffline(device);
        this.#link.deviceWentOffline(device);
        this.operations.deviceWentOffline(device);
      },
      onReady: (device) => {
        this.#link.deviceIsReady(device);
        this.operations.deviceIsReady(device);
      },
      log,
      clock,
    });
    this.#rotation = new CaRotation({
      authority: this.#authority,
      store,
      devices: () => view.devices.values(),
      isOnline,
      commands,
      takeEffect: async () => {
        this.#listener.setCredentials(await this.#credentials());
        await this.#keepBrokerFiles();
      },
      log,
      clock,
    });
    const content = new DeviceContent(
      store,
      blobs,
      (device, sha256) => this.#bench.mayFetch(device, sha256),
      () => view.packages.values(),
    );
    this.bundles = new BundleService({
      store,
      blobs,
      view,
      content,
      trust: this.trust,
      authoritySha256: () => this.#authority.caSha256,
      settle: () => this.#controller.settle(),
      log,
      clock,
    });
    this.results = new ResultsImport({
      store,
      judge: (certificate) => this.#authority.judge(certificate),
      // One that was never renewed, because the device never meets the server, still says who it is.
      identify: (certificate) => this.#enrolment.identify(certificate, { allowExpired: true }),
      take: (device, results) => this.#devices.takeResults(device, results),
      log,
      clock,
    });
    const folder = join(config.dataDir, 'deltas');
    const maxBytes = config.deltaCacheBytes;
    this.#deltas = makeDelta === undefined || maxBytes === 0 ? undefined : new FsDeltaStore({ folder, make: makeDelta, maxBytes, log });
    const enrolment = this.#enrolment;
    const channel: BrokerHandlers = {
      connected: (session) => this.#devices.connected(session),
      disconnected: (session) => this.#devices.disconnected(session),
      received: (session, topic, payload) => this.#devices.received(session, topic, payload),
    };
    this.#listener = new DeviceListener({
      host: config.deviceHost,
      port: config.devicePort,
      hasOtherBroker: config.broker !== null,
      log,
      handlers: {
        ...channel,
        identify: (certificate) => enrolment.identify(certificate),
        ...deviceHandlers({ enrolment, content, blobs, deltaStore: this.#deltas, transfers: this.transfers }),
      },
    });
    const brokerHandlers = {
      ...channel,
      isKnown: async (device: string) => (await store.get('Device', device)) !== undefined,
      receivedLate: (device: string, topic: DeviceTopic, payload: Uint8Array) => this.#devices.receivedLate(device, topic, payload),
    };
    const external =
      config.broker === null
        ? undefined
        : externalBroker(config.broker, { config, authority: this.#authority, handlers: brokerHandlers, log, clock });
    this.#broker = external?.broker ?? this.#listener.mqtt;
    this.#keepBrokerFiles = external?.keepFiles ?? (async () => undefined);
  }

  async start(): Promise<{ port: number }> {
    const { hub, log } = this.#options;
    await this.#authority.start();
    try {
      await this.#transferFiles.start();
      await this.#deltas?.start();
      await this.#keepBrokerFiles();
      await this.#broker.start();
      await this.#devices.start();
      await this.#controller.start();
      await this.operations.start();
      this.#port = await this.#listener.start(await this.#credentials());
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#unsubscribe = hub.subscribe((event) => {
      if (event.type === 'resource' && event.action === 'deleted' && event.resource.kind === 'Device')
        this.#cutOff(event.resource.metadata.name);
    });
    this.#rotation.start();
    this.#housekeepingTimer = setInterval(() => {
      this.#housekeeping = this.#keepHouse();
    }, HOUSEKEEPING_MS);
    log.info('device port open', { host: this.#options.config.deviceHost, port: this.#port });
    return { port: this.#port };
  }

  async stop(): Promise<void> {
    clearInterval(this.#housekeepingTimer);
    this.#unsubscribe?.();
    this.#port = undefined;
    await this.operations.stop();
    await this.#rotation.stop();
    await this.#deltas?.stop();
    await this.#listener.stop();
    await this.#broker.stop();
    await this.#controller.stop();
    await this.#devices.stop();
    await this.#housekeeping;
  }

  caStatus(): Promise<CaStatus> {
    return this.#rotation.status();
  }

  async rotateCa({ finish, force }: { finish?: boolean | undefined; force?: boolean | undefined }): Promise<CaStatus> {
    if (finish === true) await this.#rotation.finish(force === true);
    else await this.#rotation.begin();
    return this.#rotation.status();
  }

  async removeDevice(name: string): Promise<boolean> {
    const { store } = this.#options;
    const device = await store.get('Device', name);
    const certificates = [device?.status.certificate, await store.readPendingCertificate(name)];
    const removed = await store.delete('Device', name);
    this.#cutOff(name);
    await this.#broker.revoke(
      name,
      certificates.flatMap((certificate) => certificate ?? []),
    );
    if (device !== undefined) await this.bundles.voidFor(name, device.metadata.uid);
    await this.#options.store.deletePendingCertificate(name);
    await this.#options.store.joins.forgetDevice(name);
    return removed;
  }

  infer(request: InferRequest): Promise<z.output<typeof inferResponseSchema>> {
    return this.#inference.infer(request);
  }

  bench(request: BenchRequest): Promise<z.output<typeof benchResponseSchema>> {
    return this.#bench.bench(request);
  }

  writeInput(operation: string, input: z.output<typeof operationInputSchema>, signal: AbortSignal): Promise<void> {
    return writeInput(this.#options.store, this.#link, operation, input, signal);
  }

  get trust(): PackageTrust {
    const authority = this.#authority;
    return {
      signer: () => authority.packageSigner(),
      get caPem() {
        return authority.trust.packageCaPem;
      },
    };
  }

  counts(): { total: number; online: number } {
    return { total: this.#controller.view.devices.size, online: this.#devices.onlineCount };
  }

  #cutOff(device: string): void {
    this.#listener.disconnect(device);
    this.#devices.forget(device);
  }

  async #credentials(): Promise<TlsCredentials> {
    return { ...(await this.#authority.serverCredentials(this.#options.config.advertise)), ca: this.#authority.trust.caPem };
  }

  /** Renews the port's certificate when it is time, and drops telemetry, operations and bundles that are older than their retention. */
  async #keepHouse(): Promise<void> {
    const { store, config, clock, log } = this.#options;
    try {
      this.#listener.setCredentials(await this.#credentials());
      await this.#keepBrokerFiles();
      const daysAgo = (days: number) => new Date(clock().getTime() - days * DAY_MS).toISOString();
      const removed = await store.pruneTelemetry(daysAgo(config.telemetryRetentionDays), daysAgo(config.telemetrySummaryRetentionDays));
      await store.joins.prune(clock().toISOString());
      if (removed > 0) log.info('old telemetry removed', { samples: removed });
      const needed = new Set<string>();
      const operations = await pruneOperations(store, clock(), (operation) => {
        for (const sha256 of contentOf(operation)) needed.add(sha256);
      });
      await this.transfers.sweep((sha256) => needed.has(sha256));
      if (operations > 0) log.info('old operations removed', { operations });
      const bundles = await pruneBundles(store, this.#options.blobs, clock());
      if (bundles > 0) log.info('old bundles removed', { bundles });
    } catch (error) {
      log.error('housekeeping of the device port failed', describeError(error));
    }
  }

  #url(): string {
    if (this.#port === undefined) throw new AppError('INTERNAL', { message: 'The device port is not open.' });
    return deviceUrl(this.#options.config, this.#port);
  }
}
