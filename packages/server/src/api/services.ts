import type { benchResponseSchema, CaStatus, inferResponseSchema, operationInputSchema } from '@selvedge/contract';
import type { Logger } from '@selvedge/runtime';
import type * as z from 'zod';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Store } from '../ports/store.ts';
import type { ToolAddress, ToolClient } from '../ports/tool-client.ts';
import type { AuthService } from '../services/auth-service.ts';
import type { BenchRequest } from '../services/bench-service.ts';
import type { BundleService } from '../services/bundle-service.ts';
import type { DatasetCatalog } from '../services/dataset-catalog.ts';
import type { DatasetGarbage } from '../services/dataset-garbage.ts';
import type { DatasetService } from '../services/dataset-service.ts';
import type { DeviceLogService } from '../services/device-log-service.ts';
import type { EventHub } from '../services/event-hub.ts';
import type { InferRequest } from '../services/inference-service.ts';
import type { JoinDesk } from '../services/join-desk.ts';
import type { MlflowArtifacts } from '../services/mlflow-artifacts.ts';
import type { MlflowService } from '../services/mlflow-service.ts';
import type { ModelCatalog } from '../services/model-catalog.ts';
import type { ModelRegistry } from '../services/model-registry.ts';
import type { ModuleSupervisor } from '../services/module-supervisor.ts';
import type { OperationService } from '../services/operation-service.ts';
import type { PackageTrust } from '../services/package-builder.ts';
import type { PackageLog } from '../services/package-log.ts';
import type { RemoteOutput } from '../services/remote-output.ts';
import type { ResourceService } from '../services/resource-service.ts';
import type { ResultsImport } from '../services/results-import.ts';
import type { RolloutService } from '../services/rollout-service.ts';
import type { RunLog } from '../services/run-log.ts';
import type { RunReports } from '../services/run-report.ts';
import type { RunService } from '../services/run-service.ts';
import type { TargetCatalog } from '../services/target-catalog.ts';
import type { TaskService } from '../services/task-service.ts';
import type { TransferService } from '../services/transfer-service.ts';
import type { TriggerService } from '../services/trigger-service.ts';

/** What the API needs of the device side. */
interface DeviceAccess {
  readonly desk: JoinDesk;
  caStatus(): Promise<CaStatus>;
  rotateCa(request: { finish?: boolean | undefined; force?: boolean | undefined }): Promise<CaStatus>;
  infer(request: InferRequest): Promise<z.output<typeof inferResponseSchema>>;
  bench(request: BenchRequest): Promise<z.output<typeof benchResponseSchema>>;
  readonly operations: Pick<OperationService, 'create' | 'cancel'>;
  readonly bundles: Pick<BundleService, 'create' | 'open' | 'revoke'>;
  readonly results: Pick<ResultsImport, 'import'>;
  readonly transfers: Pick<TransferService, 'files' | 'uploadState' | 'receiveUpload'>;
  readonly output: Pick<RemoteOutput, 'read'>;
  readonly logs: Pick<DeviceLogService, 'open'>;
  writeInput(operation: string, input: z.output<typeof operationInputSchema>, signal: AbortSignal): Promise<void>;
  readonly trust: Pick<PackageTrust, 'caPem'>;
  counts(): { total: number; online: number };
}

/** Everything that the HTTP API is a face of. */
export interface ApiServices {
  readonly version: string;
  readonly startedAt: Date;
  readonly devicePort: number;
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly tools: ToolClient;
  readonly toolAddress: ToolAddress;
  readonly toolToken: string;
  readonly auth: AuthService;
  readonly resources: ResourceService;
  readonly datasets: DatasetService;
  readonly datasetCatalog: DatasetCatalog;
  readonly datasetGarbage: DatasetGarbage;
  readonly runs: RunService;
  readonly rollouts: RolloutService;
  readonly triggers: TriggerService;
  readonly runLog: RunLog;
  readonly reports: RunReports;
  readonly tasks: TaskService;
  readonly registry: ModelRegistry;
  readonly catalog: ModelCatalog;
  readonly modules: ModuleSupervisor;
  readonly targets: TargetCatalog;
  readonly packageLog: PackageLog;
  readonly mlflow: MlflowService;
  readonly mlflowArtifacts: MlflowArtifacts;
  readonly devices: DeviceAccess;
  readonly hub: EventHub;
  readonly log: Logger;
  readonly clock: () => Date;
}
