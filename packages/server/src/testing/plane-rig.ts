import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { Readable } from 'node:stream';
import {
  type Device,
  type InferenceModel,
  type InferenceModelSpec,
  type PackageManifest,
  packageManifestSchema,
  type Rollout,
} from '@selvedge/contract';
import { createLogger, waitUntil } from '@selvedge/runtime';
import { makeDelta, makePackageDelta } from '@selvedge/runtime/delta-making';
import { FsBlobStore } from '../adapters/fs/fs-blob-store.ts';
import { openStore } from '../adapters/sql/open-store.ts';
import { type ServerConfig, serverConfigSchema } from '../config.ts';
import { createDevicePlane, type DevicePlane } from '../device-plane.ts';
import type { Store } from '../ports/store.ts';
import { EventHub } from '../services/event-hub.ts';
import { type Identity, join, TestDevice } from './device-client.ts';

/** A device plane on a real store, real blobs and a real port, in a folder of its own. */
export class PlaneRig {
  readonly folder: string;
  readonly store: Store;
  readonly blobs: FsBlobStore;
  readonly hub: EventHub;
  /** Added to the real time that the plane sees. */
  skewMs = 0;
  /** What the plane asks for golden sets. */
  prepareGolden: (rollout: Rollout) => void = () => undefined;
  plane: DevicePlane;
  port = 0;
  readonly #config: ServerConfig;
  readonly #devices: TestDevice[] = [];

  private constructor(folder: string, store: Store, blobs: FsBlobStore, hub: EventHub, settings: Partial<ServerConfig>) {
    this.folder = folder;
    this.store = store;
    this.blobs = blobs;
    this.hub = hub;
    this.#config = serverConfigSchema.parse({ dataDir: folder, devicePort: 0, toolCommand: ['none'], ...settings });
    this.plane = this.#create();
  }

  static async start(settings: Partial<ServerConfig> = {}): Promise<PlaneRig> {
    const folder = await mkdtemp(joinPath(tmpdir(), 'plane-'));
    const hub = new EventHub();
    const log = createLogger({ name: 'test', level: 'error' });
    const announce = (action: 'written' | 'deleted', resource: Parameters<Parameters<typeof openStore>[0]['announce']>[1]) =>
      hub.publish({ type: 'resource', action, resource });
    const store = await openStore({ file: joinPath(folder, 'server.db'), announce, log });
    const blobs = new FsBlobStore(folder);
    await blobs.start();
    const rig = new PlaneRig(folder, store, blobs, hub, settings);
    rig.port = (await rig.plane.start()).port;
    return rig;
  }

  /** A server restart: a new plane on the same store, and on the same port. */
  async restart(): Promise<void> {
    await this.plane.stop();
    this.#config.devicePort = this.port;
    this.plane = this.#create();
    await this.plane.start();
  }

  async stop(): Promise<void> {
    for (const device of this.#devices) device.client.end(true);
    await this.plane.stop();
    await this.store.close();
    await rm(this.folder, { recursive: true });
  }

  async join(name?: string, labels: Record<string, string> = {}): Promise<Identity> {
    const { token } = await this.plane.desk.createToken({ labels });
    return await join(this.port, token, name);
  }

  async connect(identity: Identity, instanceId?: string): Promise<TestDevice> {
    const device = await TestDevice.connect(this.port, identity, instanceId);
    this.#devices.push(device);
    return device;
  }

  /** Registers a version whose package has one file of these bytes. */
  async addVersion(model: string, version: string, content: Uint8Array = Buffer.from(`${model}/${version}`)): Promise<PackageManifest> {
    const file = await this.blobs.put(Readable.from([content]));
    const manifest = packageManifestSchema.parse({
      formatVersion: 1,
      runtime: 'model-server',
      model,
      version,
      files: [{ path: 'model.onnx', ...file }],
      modelFile: 'model.onnx',
      goldenFile: null,
      inputs: [],
      outputs: [],
      labels: [],
      preproc: { pipeline: [] },
      postproc: { pipeline: [] },
    });
    const bundle = await this.blobs.put(Readable.from([JSON.stringify(manifest)]));
    const empty = { labels: {}, annotations: {} };
    const spec = {
      inputs: [],
      outputs: [],
      labels: [],
      preproc: manifest.preproc,
      postproc: manifest.postproc,
      metrics: {},
      lineage: null,
    };
    await this.store.create('ModelVersion', {
      ...empty,
      name: `${model}.v${version}`,
      spec: { model, version, format: 'onnx', file, bundle, ...spec },
      status: { servedBy: 0 },
    });
    if ((await this.store.get('Model', model)) === undefined)
      await this.store.create('Model', { ...empty, name: model, spec: {}, status: { aliases: {}, versions: [] } });
    await this.store.update('Model', model, ({ status }) => ({
      ...empty,
      name: model,
      spec: {},
      status: { aliases: { ...status.aliases, latest: version }, versions: [...status.versions, version] },
    }));
    return manifest;
  }

  /** Applies an InferenceModel: creates it or changes its spec. */
  async deploy(name: string, spec: Partial<InferenceModelSpec> = {}): Promise<void> {
    const full: InferenceModelSpec = { modelName: 'digits', deployToLayer: 'edge', frameworkType: 'onnx', ...spec };
    const status = { url: '', servingVersion: '', resolvedVersion: '', observedGeneration: 0, devices: [], conditions: [] };
    const draft = { name, labels: {}, annotations: {}, spec: full, status };
    const updated = await this.store.update('InferenceModel', name, (current) => ({ ...draft, status: current.status }));
    if (updated === undefined) await this.store.create('InferenceModel', draft);
  }

  untilModel(name: string, check: (model: InferenceModel) => boolean): Promise<InferenceModel> {
    const look = async () => {
      const model = await this.store.get('InferenceModel', name);
      return model !== undefined && check(model) ? model : undefined;
    };
    return waitUntil(look, { timeoutMs: 30_000, intervalMs: 5, what: `a status of InferenceModel ${name}` });
  }

  untilDevice(name: string, check: (device: Device) => boolean): Promise<Device> {
    const look = async () => {
      const device = await this.store.get('Device', name);
      return device !== undefined && check(device) ? device : undefined;
    };
    return waitUntil(look, { timeoutMs: 30_000, intervalMs: 5, what: `a status of device ${name}` });
  }

  #create(): DevicePlane {
    const { store, blobs, hub } = this;
    const log = createLogger({ name: 'test', level: 'error' });
    const clock = () => new Date(Date.now() + this.skewMs);
    return createDevicePlane({
      config: this.#config,
      store,
      blobs,
      hub,
      log,
      clock,
      prepareGolden: (rollout) => this.prepareGolden(rollout),
      makeDelta: async ({ base, target, path, maxBytes, kind }) => {
        const given = { base: blobs.path(base), target: blobs.path(target), patch: path, maxBytes };
        if (kind === 'package') return makePackageDelta(given);
        const sizeBytes = await makeDelta(given);
        return sizeBytes === undefined ? undefined : { sizeBytes };
      },
    });
  }
}
