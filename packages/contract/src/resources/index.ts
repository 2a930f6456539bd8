import * as z from 'zod';
import { bundleSchema } from './bundle.ts';
import { datasetDocumentSchema, datasetSchema, datasetVersionSchema } from './dataset.ts';
import { deviceDocumentSchema, deviceSchema } from './device.ts';
import { deviceGroupDocumentSchema, deviceGroupSchema } from './device-group.ts';
import { inferenceModelDocumentSchema, inferenceModelSchema } from './inference-model.ts';
import { modelDocumentSchema, modelSchema, modelVersionSchema } from './model.ts';
import { operationSchema } from './operation.ts';
import { packageDocumentSchema, packageSchema } from './package.ts';
import { pipelineDocumentSchema, pipelineSchema } from './pipeline.ts';
import { rolloutSchema } from './rollout.ts';
import { runSchema } from './run.ts';
import { taskDocumentSchema, taskSchema } from './task.ts';

export * from './bundle.ts';
export * from './dataset.ts';
export * from './device.ts';
export * from './device-group.ts';
export * from './envelope.ts';
export * from './inference-model.ts';
export * from './model.ts';
export * from './operation.ts';
export * from './package.ts';
export * from './pipeline.ts';
export * from './rollout.ts';
export * from './run.ts';
export * from './task.ts';

/** Every kind: its plural (in paths and on the command line), what a user may apply, and what the server returns. */
export const KINDS = {
  Device: { plural: 'devices', document: deviceDocumentSchema, resource: deviceSchema },
  DeviceGroup: { plural: 'devicegroups', document: deviceGroupDocumentSchema, resource: deviceGroupSchema },
  Dataset: { plural: 'datasets', document: datasetDocumentSchema, resource: datasetSchema },
  DatasetVersion: { plural: 'datasetversions', document: null, resource: datasetVersionSchema },
  Task: { plural: 'tasks', document: taskDocumentSchema, resource: taskSchema },
  Pipeline: { plural: 'pipelines', document: pipelineDocumentSchema, resource: pipelineSchema },
  Run: { plural: 'runs', document: null, resource: runSchema },
  Model: { plural: 'models', document: modelDocumentSchema, resource: modelSchema },
  ModelVersion: { plural: 'modelversions', document: null, resource: modelVersionSchema },
  Package: { plural: 'packages', document: packageDocumentSchema, resource: packageSchema },
  InferenceModel: { plural: 'inferencemodels', document: inferenceModelDocumentSchema, resource: inferenceModelSchema },
  Rollout: { plural: 'rollouts', document: null, resource: rolloutSchema },
  Operation: { plural: 'operations', document: null, resource: operationSchema },
  Bundle: { plural: 'bundles', document: null, resource: bundleSchema },
} as const;
export type Kind = keyof typeof KINDS;

export const KIND_NAMES = [
  'Device',
  'DeviceGroup',
  'Dataset',
  'DatasetVersion',
  'Task',
  'Pipeline',
  'Run',
  'Model',
  'ModelVersion',
  'Package',
  'InferenceModel',
  'Rollout',
  'Operation',
  'Bundle',
] as const satisfies readonly Kind[];
export const kindSchema = z.enum(KIND_NAMES);

/** Anything `apply` takes, told apart by `kind`. */
export const anyDocumentSchema = z.discriminatedUnion('kind', [
  deviceDocumentSchema,
  deviceGroupDocumentSchema,
  datasetDocumentSchema,
  taskDocumentSchema,
  pipelineDocumentSchema,
  modelDocumentSchema,
  packageDocumentSchema,
  inferenceModelDocumentSchema,
]);
export type AnyDocument = z.infer<typeof anyDocumentSchema>;

export const anyResourceSchema = z.discriminatedUnion('kind', [
  deviceSchema,
  deviceGroupSchema,
  datasetSchema,
  datasetVersionSchema,
  taskSchema,
  pipelineSchema,
  runSchema,
  modelSchema,
  modelVersionSchema,
  packageSchema,
  inferenceModelSchema,
  rolloutSchema,
  operationSchema,
  bundleSchema,
]);
export type AnyResource = z.infer<typeof anyResourceSchema>;

/** Finds a kind by name, plural or lower-case singular: `Device`, `devices`, `device`. */
export function findKind(text: string): Kind | undefined {
  const wanted = text.toLowerCase();
  return KIND_NAMES.find((kind) => kind.toLowerCase() === wanted || KINDS[kind].plural === wanted);
}
