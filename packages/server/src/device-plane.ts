import { join } from 'node:path';
import {
  AppError,
  type benchResponseSchema,
  type deviceTokenRequestSchema,
  type deviceTokenSchema,
  type inferResponseSchema,
  type Rollout,
} from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import type * as z from 'zod';
import { DeviceListener, type TlsCredentials } from './adapters/device-port/device-listener.ts';
import { CertificateAuthority } from './adapters/tls/certificate-authority.ts';
import { deviceUrl } from './addresses.ts';
import type { ServerConfig } from './config.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { Store } from './ports/store.ts';
import { type BenchRequest, BenchService } from './services/bench-service.ts';
import { DeploymentController, type PublishToDevice } from './services/deployment-controller.ts';
import { DeviceCommands } from './services/device-commands.ts';
import { DeviceContent } from './services/device-content.ts';
import { DeviceEnrolment } from './services/device-enrolment.ts';
import { DeviceService } from './services/device-service.ts';
import type { EventHub } from './services/event-hub.ts';
import { InferenceService, type InferRequest } from './services/inference-service.ts';
import type { PackageTrust } from './services/package-builder.ts';

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
  /** Makes a join token; its secret is shown here once and stored as a digest. */
  createToken(request: z.output<typeof deviceTokenRequestSchema>): Promise<z.output<typeof deviceTokenSchema>>;
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
  readonly #enrolment: DeviceEnrolment;
  readonly #devices: DeviceService;
  readonly #controller: DeploymentController;
  readonly #inference: InferenceService;
  readonly #bench: BenchService;
  #port: number | undefined;
  #unsubscribe: (() => void) | undefined;
  #housekeepingTimer: NodeJS.Timeout | undefined;
  #housekeeping: Promise<void> = Promise.resolve();

  constructor(options: DevicePlaneOptions) {
    const { config, store, blobs, hub, log, clock, prepareGolden } = options;
    this.#options = options;
    this.#authority = new CertificateAuthority({ folder: join(config.dataDir, 'authority'), clock });
    this.#enrolment = new DeviceEnrolment({ store, signer: this.#authority, url: () => this.#url(), log, clock });
    const publish: PublishToDevice = (device, topic, payload, how) => this.#listener.mqtt.publish(device, topic, payload, how);
    this.#controller = new DeploymentController({ store, hub, publish, log, clock, prepareGolden });
    const commands = new DeviceCommands({ publish, clock });
    const { view } = this.#controller;
    const isOnline = (device: string) => this.#devices.isOnline(device);
    this.#inference = new InferenceService({ view, isOnline, commands });
    this.#bench = new BenchService({ store, view, isOnline, commands, clock });
    this.#devices = new DeviceService({
      store,
      onReply: (device, reply) => commands.takeReply(device, reply),
      onOffline: (device) => commands.deviceWentOffline(device),
      log,
      clock,
    });
    const content = new DeviceContent(store, blobs, (device, sha256) => this.#bench.mayFetch(device, sha256));
    const enrolment = this.#enrolment;
    this.#listener = new DeviceListener({
      host: config.deviceHost,
      port: config.devicePort,
      log,
      handlers: {
        identify: (certificate) => enrolment.identify(certificate),
        connected: (session) => this.#devices.connected(session),
        disconnected: (session) => this.#devices.disconnected(session),
        received: (session, topic, payload) => this.#devices.received(session, topic, payload),
        join: (request, address) => enrolment.join(request, address),
        renew: (certificate, csrPem) => enrolment.renew(certificate, csrPem),
        statBlob: async (certificate, sha256) => {
          const { name } = await enrolment.identify(certificate);
          return (await content.mayFetch(name, sha256)) ? await blobs.stat(sha256) : undefined;
        },
        openBlob: (sha256, range) => blobs.open(sha256, range),
      },
    });
  }

  async start(): Promise<{ port: number }> {
    const { hub, log } = this.#options;
    await this.#authority.start();
    try {
      await this.#listener.mqtt.start();
      await this.#devices.start();
      await this.#controller.start();
      this.#port = await this.#listener.start(await this.#credentials());
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#unsubscribe = hub.subscribe((event) => {
      if (event.type === 'resource' && event.action === 'deleted' && event.resource.kind === 'Device')
        this.#cutOff(event.resource.metadata.name);
    });
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
    await this.#listener.stop();
    await this.#controller.stop();
    await this.#devices.stop();
    await this.#housekeeping;
  }

  createToken(request: z.output<typeof deviceTokenRequestSchema>): Promise<z.output<typeof deviceTokenSchema>> {
    return this.#enrolment.createToken(request);
  }

  async removeDevice(name: string): Promise<boolean> {
    const removed = await this.#options.store.delete('Device', name);
    this.#cutOff(name);
    await this.#options.store.deletePendingCertificate(name);
    return removed;
  }

  infer(request: InferRequest): Promise<z.output<typeof inferResponseSchema>> {
    return this.#inference.infer(request);
  }

  bench(request: BenchRequest): Promise<z.output<typeof benchResponseSchema>> {
    return this.#bench.bench(request);
  }

  get trust(): PackageTrust {
    const authority = this.#authority;
    return {
      signer: () => authority.packageSigner(),
      get caPem() {
        return authority.caPem;
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
    return { ...(await this.#authority.serverCredentials(this.#options.config.advertise)), ca: this.#authority.caPem };
  }

  /** Renews the port's certificate when it is time, and drops telemetry that is older than the retention. */
  async #keepHouse(): Promise<void> {
    const { store, config, clock, log } = this.#options;
    try {
      this.#listener.setCredentials(await this.#credentials());
      const removed = await store.pruneTelemetry(new Date(clock().getTime() - config.telemetryRetentionDays * DAY_MS).toISOString());
      if (removed > 0) log.info('old telemetry removed', { samples: removed });
    } catch (error) {
      log.error('housekeeping of the device port failed', describeError(error));
    }
  }

  #url(): string {
    if (this.#port === undefined) throw new AppError('INTERNAL', { message: 'The device port is not open.' });
    return deviceUrl(this.#options.config, this.#port);
  }
}
