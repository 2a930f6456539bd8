import { type AnyDocument, API_VERSION, type Device, type InferenceModel, type RolloutPolicy } from '@selvedge/contract';
import { matchesLabels } from './labels.ts';

export interface DeploymentChoice {
  readonly name: string;
  readonly model: string;
  /** A version or an alias. */
  readonly version: string;
  readonly selector: Record<string, string>;
  /** How it reaches devices: null for all at once without a trial, undefined for what holds already. */
  readonly rollout?: RolloutPolicy | null | undefined;
}

type InferenceModelDocument = Extract<AnyDocument, { kind: 'InferenceModel' }>;

const FRESH: InferenceModel['spec'] = { modelName: '', deployToLayer: 'edge', frameworkType: 'onnx' };

/** The document that says "serve this there". A deployment that exists keeps what the dialog does not ask about. */
export function deploymentDocument(choice: DeploymentChoice, existing?: InferenceModel): InferenceModelDocument {
  const { nodeName: _replacedBySelector, rollout: before, ...kept } = existing?.spec ?? FRESH;
  const rollout = choice.rollout === undefined ? before : (choice.rollout ?? undefined);
  const { labels, annotations } = existing?.metadata ?? {};
  return {
    apiVersion: API_VERSION,
    kind: 'InferenceModel',
    metadata: { name: choice.name, ...(labels === undefined ? {} : { labels }), ...(annotations === undefined ? {} : { annotations }) },
    spec: {
      ...kept,
      modelName: choice.model,
      targetVersion: choice.version,
      nodeSelector: choice.selector,
      ...(rollout === undefined ? {} : { rollout }),
    },
  };
}

/** The devices that a selector means, as far as labels say; the server decides. */
export function selectedDevices(devices: readonly Device[], selector: Record<string, string>): readonly Device[] {
  return devices.filter((device) => matchesLabels(device.metadata.labels, selector));
}
