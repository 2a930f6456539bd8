import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Rollout, ServerReady } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import { readJsonFile, SerialRunner, writeJsonAtomic } from '@selvedge/runtime';
import * as z from 'zod';
import packageJson from '../package.json' with { type: 'json' };
import { lockFolder } from './adapters/folder-lock/folder-lock.ts';
import { FsBlobStore } from './adapters/fs/fs-blob-store.ts';
import { makeDeltaInChild } from './adapters/fs/make-delta-in-child.ts';
import { readProjectTools } from './adapters/fs/read-project-tools.ts';
import { readToolToken } from './adapters/fs/read-tool-token.ts';
import { S3Objects } from './adapters/s3/s3-source.ts';
import { openStore } from './adapters/sql/open-store.ts';
import { HttpToolClient } from './adapters/tool-http/http-tool-client.ts';
import { deviceUrl, localUrl } from './addresses.ts';
import { HttpServer } from './api/http-server.ts';
import type { ServerConfig } from './config.ts';
import { createDevicePlane, type DevicePlane } from './device-plane.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { Store } from './ports/store.ts';
import type { ToolClient } from './ports/tool-client.ts';
import { AuthService, loadAdminToken, newSecret } from './services/auth-service.ts';
import { DatasetCatalog } from './services/dataset-catalog.ts';
import { DatasetGarbage } from './services/dataset-garbage.ts';
import { DatasetImporter } from './services/dataset-importer.ts';
import { DatasetService } from './services/dataset-service.ts';
import { EventHub } from './services/event-hub.ts';
import { GoldenSets } from './services/golden-sets.ts';
import { MlflowArtifacts } from './services/mlflow-artifacts.ts';
import { MlflowService } from './services/mlflow-service.ts';
import { ModelCatalog } from './services/model-catalog.ts';
import { ModelRegistry } from './services/model-registry.ts';
import { ModuleSupervisor } from './services/module-supervisor.ts';
import { PackageController } from './services/package-controller.ts';
import { PackageLog } from './services/package-log.ts';
import { ResourceService } from './services/resource-service.ts';
import { RolloutService } from './services/rollout-service.ts';
import { RunCoordinator } from './services/run-coordinator.ts';
import { runEnvironment } from './services/run-environment.ts';
import { RunLog } from './services/run-log.ts';
import { RunReports } from './services/run-report.ts';
import { RunService } from './services/run-service.ts';
import { TargetCatalog } from './services/target-catalog.ts';
import { TaskService } from './services/task-service.ts';
import { ToolDirectory } from './services/tool-directory.ts';
import { TriggerController } from './services/trigger-controller.ts';
import { TriggerService } from './services/trigger-service.ts';

/** What the tools get to end in; the whole stop stays below five seconds. */
const TOOL_GRACE_MS = 2500;
const identitySchema = z.strictObject({ id: z.string().min(1) });

export interface RunningServer {
  ready: ServerReady;
  /** Ends everything in order; what was acknowledged is on disk. */
  stop(): Promise<void>;
}

/** The same over restarts: after a crash the server need not wait for its own leases to run out. */
async function loadIdentity(dataDir: string): Promise<string> {
  const path = join(dataDir, 'identity.json');
  const known = await readJsonFile(path, identitySchema);
  if (known !== undefined) return known.id;
  const id = randomUUID();
  await writeJsonAtomic(path, { id });
  return id;
}

/**
 * Starts the whole control plane on one data folder. What is begun is ended again when a later part cannot start.
 *
 * @throws AppError DATA_FOLDER_LOCKED, PORT_IN_USE (user), DISK_FULL (operational).
 */
export async function startServer(config: ServerConfig, log: Logger): Promise<RunningServer> {
  const ending: Endings = [];
  const stop = async (): Promise<void> => {
    for (const end of ending.splice(0).reverse()) await end();
  };
  try {
    return { ready: await start(config, log, ending), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where `selvedge target` installs toolchains to. */
function targetsFolder(config: ServerConfig): string {
  return config.targetsDir ?? join(config.dataDir, 'targets');
}

type Endings = (() => void | Promise<void>)[];

async function start(config: ServerConfig, log: Logger, ending: Endings): Promise<ServerReady> {
  const { dataDir } = config;
  const clock = () => new Date();
  ending.push(await lockFolder(dataDir));
  const owner = await loadIdentity(dataDir);
  const hub = new EventHub();
  const store = await openStore({
    file: join(dataDir, 'selvedge.sqlite'),
    announce: (action, resource) => hub.publish({ type: 'resource', action, resource }),
    log,
  });
  ending.push(() => store.close());
  const blobs = new FsBlobStore(dataDir);
  await blobs.start();
  let golden: GoldenSets | undefined; // needs the tools, which start after the device port
  const prepareGolden = (rollout: Rollout) => golden?.prepare(rollout);
  const devices = createDevicePlane({
    config,
    store,
    blobs,
    hub,
    log: log.child({ part: 'devices' }),
    clock,
    prepareGolden,
    ...(config.deltaCommand.length === 0 ? {} : { makeDelta: makeDeltaInChild(config.deltaCommand, (sha256) => blobs.path(sha256)) }),
  });
  const { port: devicePort } = await devices.start();
  ending.push(() => devices.stop());

  const toolToken = config.toolTokenFile === null ? newSecret() : await readToolToken(config.toolTokenFile);
  const directory = new ToolDirectory();
  const tools = new HttpToolClient({ addressOf: directory.addressOf, token: toolToken });
  ending.push(() => tools.close());
  const toolsDir = join(dataDir, 'tools');
  const projectTools = await readProjectTools(config);
  const modules = new ModuleSupervisor({
    toolCommand: config.toolCommand,
    toolsDir,
    targetsDir: targetsFolder(config),
    projectTools: projectTools.local,
    remoteTools: projectTools.remote,
    token: toolToken,
    directory,
    tools,
    hub,
    log,
    clock,
  });
  const auth = new AuthService({ store, clock, toolToken, adminToken: await loadAdminToken(join(dataDir, 'admin-token')) });
  const serial = new SerialRunner();
  const garbage = new DatasetGarbage({ store, blobs, tools, serial, clock, log: log.child({ part: 'datasets' }) });
  const datasets = new DatasetService({ store, blobs, tools, serial, maxUploadBytes: config.maxUploadBytes });
  golden = new GoldenSets({ store, blobs, tools, datasets, trust: devices.trust, clock, log: log.child({ part: 'rollouts' }) });
  ending.push(() => golden?.stop());
  const base: Base = {
    datasets,
    garbage,
    serial,
    config,
    log,
    clock,
    store,
    blobs,
    hub,
    devices,
    devicePort,
    toolToken,
    directory,
    tools,
    modules,
    auth,
  };
  const registry = new ModelRegistry({ store, blobs, tools, codeDigestOf: (tool) => modules.codeDigestOf(tool) });
  const runs = new RunService({ store, datasets, clock, hasTool: (tool) => modules.has(tool) });
  const http = createHttp(base, registry, runs);
  ending.push(() => http.stop());
  const { port } = await http.start();
  const url = localUrl('http', config.host, port);
  ending.push(() => modules.stop({ graceMs: TOOL_GRACE_MS }));
  const origin = config.toolOrigin === null ? url : new URL(config.toolOrigin).origin;
  await modules.start(origin);
  const coordinator = createCoordinator(base, registry, runs, { origin, owner });
  coordinator.start();
  ending.push(() => coordinator.stop());
  garbage.start();
  ending.push(() => garbage.stop());

  const serverFile = join(dataDir, 'server.json');
  const addresses = { url, deviceUrl: deviceUrl(config, devicePort) };
  await writeJsonAtomic(serverFile, { ...addresses, pid: process.pid }, { mode: 0o600 });
  ending.push(() => rm(serverFile, { force: true }));
  const { path } = await auth.createLoginCode();
  return { event: 'ready', ...addresses, dataDir, loginUrl: `${url}${path}` };
}

/** The parts that everything else is made of. */
interface Base {
  datasets: DatasetService;
  garbage: DatasetGarbage;
  serial: SerialRunner;
  config: ServerConfig;
  log: Logger;
  clock: () => Date;
  store: Store;
  blobs: BlobStore;
  hub: EventHub;
  devices: DevicePlane;
  devicePort: number;
  toolToken: string;
  directory: ToolDirectory;
  tools: ToolClient;
  modules: ModuleSupervisor;
  auth: AuthService;
}

function createHttp(base: Base, registry: ModelRegistry, runs: RunService): HttpServer {
  const { config, log, clock, store, blobs, devices, devicePort, directory, toolToken, tools, modules, auth, hub } = base;
  const { datasets, garbage, serial } = base;
  const targets = new TargetCatalog(targetsFolder(config));
  const reports = new RunReports({ store, tools });
  const services = {
    version: packageJson.version,
    startedAt: clock(),
    devicePort,
    store,
    blobs,
    tools,
    toolAddress: directory.addressOf,
    toolToken,
    auth,
    resources: new ResourceService({
      store,
      tools,
      removeDevice: (name) => devices.removeDevice(name),
      removeDatasetVersion: (name) => garbage.removeVersion(name),
      targets: () => targets.list(),
      log,
    }),
    datasets,
    runs,
    rollouts: new RolloutService({ store, registry, clock }),
    triggers: new TriggerService({ store, runs, clock }),
    datasetCatalog: new DatasetCatalog({ store, blobs, tools, datasets }),
    datasetGarbage: garbage,
    runLog: new RunLog({ store, tools }),
    reports,
    tasks: new TaskService({ store }),
    registry,
    catalog: new ModelCatalog({ store, registry, reports }),
    modules,
    targets,
    packageLog: new PackageLog({ store, tools }),
    mlflow: new MlflowService({ store, clock }),
    mlflowArtifacts: new MlflowArtifacts({ store, blobs, serial, maxUploadBytes: config.maxUploadBytes }),
    devices,
    hub,
    log: log.child({ part: 'http' }),
    clock,
  };
  return new HttpServer(services, { host: config.host, port: config.port, webDir: config.webDir });
}

function createCoordinator(base: Base, registry: ModelRegistry, runs: RunService, self: { origin: string; owner: string }): RunCoordinator {
  const { config, log, clock, store, blobs, tools, modules, hub, devices } = base;
  const origin = () => self.origin;
  const whyDown = (tool: string) => modules.whyDown(tool);
  const building = { store, blobs, tools, hub, trust: devices.trust, whyDown, origin, clock };
  const importer = new DatasetImporter({
    store,
    blobs,
    tools,
    objects: new S3Objects(),
    garbage: base.garbage,
    downloadsDir: join(config.dataDir, 'downloads'),
    origin,
    maxUploadBytes: config.maxUploadBytes,
    log,
  });
  return new RunCoordinator({
    store,
    tools,
    hub,
    registry,
    importer,
    packages: new PackageController({ ...building, log: log.child({ part: 'builds' }) }),
    triggers: new TriggerController({ store, runs, hub, clock, log: log.child({ part: 'triggers' }) }),
    whyDown,
    codeOf: (tool) => modules.codeOf(tool),
    endWork: (tool, artifact) => modules.endWork(tool, artifact),
    environment: runEnvironment(packageJson.version),
    origin,
    clock,
    owner: self.owner,
    log: log.child({ part: 'runs' }),
  });
}
