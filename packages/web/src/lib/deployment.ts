import { type AnyDocument, API_VERSION, type Device, type InferenceModel } from '@selvedge/contract';
import { matchesLabels } from './labels.ts';

export interface DeploymentChoice {
  readonly name: string;
  readonly model: string;
  /** A version or an alias. */
  readonly version: string;
  readonly selector: Record<string, string>;
}

type InferenceModelDocument = Extract<AnyDocument, { kind: 'InferenceModel' }>;

/** The document that says "serve this there". A deployment that exists keeps what the dialog does not ask about. */
export function deploymentDocument(choice: DeploymentChoice, existing?: InferenceModel): InferenceModelDocument {
  const { nodeName: _replacedBySelector, ...kept } = existing?.spec ?? { deployToLayer: 'edge' as const, frameworkType: 'onnx' };
  const { labels, annotations } = existing?.metadata ?? {};
  return {
    apiVersion: API_VERSION,
    kind: 'InferenceModel',
    metadata: { name: choice.name, ...(labels === undefined ? {} : { labels }), ...(annotations === undefined ? {} : { annotations }) },
    spec: { ...kept, modelName: choice.model, targetVersion: choice.version, nodeSelector: choice.selector },
  };
}

/** The devices that a selector means, as far as labels say; the server decides. */
export function selectedDevices(devices: readonly Device[], selector: Record<string, string>): readonly Device[] {
  return devices.filter((device) => matchesLabels(device.metadata.labels, selector));
}
