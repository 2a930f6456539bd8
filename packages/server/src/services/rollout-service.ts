import {
  AppError,
  type DeployRequest,
  type InferenceModelSpec,
  type RecallSource,
  type RecallView,
  type Rollout,
} from '@selvedge/contract';
import { recallView } from '../domain/lineage.ts';
import { actOnRollout, type RolloutAction } from '../domain/rollout-actions.ts';
import { EMERGENCY_ANNOTATION } from '../domain/rollout-draft.ts';
import { rolloutNumber } from '../domain/rollout-history.ts';
import type { Store } from '../ports/store.ts';
import { draftOf } from './draft-of.ts';
import type { ModelRegistry } from './model-registry.ts';
import { readAll } from './read-all.ts';

export interface RolloutServiceOptions {
  store: Store;
  registry: Pick<ModelRegistry, 'version'>;
  clock: () => Date;
}

export interface Deployed {
  inferenceModel: string;
  generation: number;
  version: string;
  action: 'created' | 'configured' | 'unchanged';
}

/** Rollouts as people meet them: what they decide is written, and the controller acts on it. */
export class RolloutService {
  readonly #options: RolloutServiceOptions;

  constructor(options: RolloutServiceOptions) {
    this.#options = options;
  }

  /**
   * Lets an InferenceModel serve another version of its model, under this policy.
   *
   * @throws AppError NOT_FOUND (model or version); CONFLICT when the InferenceModel serves another model.
   */
  async deploy(name: string, request: DeployRequest): Promise<Deployed> {
    const { store, registry } = this.#options;
    const { spec } = await registry.version(request.model, request.version);
    let before = 0;
    const updated = await store.update('InferenceModel', name, (current) => {
      if (current.spec.modelName !== request.model)
        throw new AppError('CONFLICT', {
          message: `InferenceModel "${name}" serves model "${current.spec.modelName}", not "${request.model}".`,
          hint: 'Name another with --to, or apply the InferenceModel with another modelName.',
        });
      before = current.metadata.generation;
      return draftOf(current, { spec: withVersion(current.spec, request.version, request.rollout) });
    });
    const version = spec.version;
    if (updated !== undefined) {
      const { generation } = updated.metadata;
      return { inferenceModel: name, generation, version, action: generation === before ? 'unchanged' : 'configured' };
    }
    const { nodeSelector } = request;
    const fresh: InferenceModelSpec = {
      modelName: request.model,
      deployToLayer: 'edge',
      frameworkType: 'onnx',
      ...(nodeSelector === undefined ? {} : { nodeSelector }),
    };
    const status = { url: '', servingVersion: '', resolvedVersion: '', observedGeneration: 0, devices: [], conditions: [] };
    const draft = { name, labels: {}, annotations: {}, spec: withVersion(fresh, request.version, request.rollout), status };
    const created = await store.create('InferenceModel', draft);
    return { inferenceModel: name, generation: created.metadata.generation, version, action: 'created' };
  }

  /** @throws AppError NOT_FOUND; CONFLICT when its phase does not allow it, or a newer rollout has taken its place. */
  async act(name: string, action: RolloutAction, options: { keep?: boolean | undefined } = {}): Promise<Rollout> {
    const { store, clock } = this.#options;
    const found = await store.get('Rollout', name);
    if (found === undefined) throw notFound(name);
    await this.#refuseOvertaken(found);
    const nowIso = clock().toISOString();
    const written = await store.update('Rollout', name, (current) =>
      draftOf(current, { status: actOnRollout(current, action, nowIso, { keep: options.keep === true }) }),
    );
    if (written === undefined) throw notFound(name);
    return written;
  }

  /** Only the newest rollout of an InferenceModel says what devices have. */
  async #refuseOvertaken({ metadata, spec }: Rollout): Promise<void> {
    const number = rolloutNumber({ metadata });
    const own = (await readAll(this.#options.store, 'Rollout')).filter((one) => one.spec.inferenceModel === spec.inferenceModel);
    const newer = own.find((one) => rolloutNumber(one) > number);
    if (newer === undefined) return;
    throw new AppError('CONFLICT', {
      message: `Rollout "${metadata.name}" was overtaken by "${newer.metadata.name}".`,
      hint: `To bring its version back: selvedge deploy ${spec.model}:${spec.toVersion} --to ${spec.inferenceModel}`,
    });
  }

  /** @throws AppError INPUT_INVALID unless exactly one thing is named. */
  async findRecall(source: RecallSource): Promise<RecallView> {
    checkSource(source);
    const { store } = this.#options;
    return recallView(source, {
      versions: await readAll(store, 'ModelVersion'),
      inferenceModels: await readAll(store, 'InferenceModel'),
      devices: await readAll(store, 'Device'),
    });
  }

  /**
   * Rolls every InferenceModel that serves something made from it to another version: at once, without a trial, whatever its policy.
   *
   * @throws AppError NOT_FOUND (a model without that version); CONFLICT when that version was made from it as well.
   */
  async recall(source: RecallSource, to: string) {
    const { store, registry } = this.#options;
    const view = await this.findRecall(source);
    for (const model of new Set(view.deployments.map((one) => one.model))) {
      const { version } = (await registry.version(model, to)).spec;
      if (view.versions.some((one) => one.model === model && one.version === version))
        throw new AppError('CONFLICT', {
          message: `${model}:${version} is to be recalled itself.`,
          hint: 'Choose an earlier or a newer version.',
        });
    }
    const deployments: { name: string; version: string; generation: number }[] = [];
    for (const { name, model } of view.deployments) {
      const { version } = (await registry.version(model, to)).spec;
      const updated = await store.update('InferenceModel', name, (current) => {
        const spec = withVersion(current.spec, version, undefined);
        const isSame = JSON.stringify(spec) === JSON.stringify(current.spec);
        const generation = current.metadata.generation + (isSame ? 0 : 1);
        return draftOf(current, { spec, annotations: { ...current.metadata.annotations, [EMERGENCY_ANNOTATION]: String(generation) } });
      });
      if (updated !== undefined) deployments.push({ name, version, generation: updated.metadata.generation });
    }
    return { view, deployments };
  }
}

function withVersion(spec: InferenceModelSpec, targetVersion: string, policy: DeployRequest['rollout']): InferenceModelSpec {
  const { rollout, ...rest } = spec;
  const kept = policy === undefined ? rollout : (policy ?? undefined);
  return { ...rest, targetVersion, ...(kept === undefined ? {} : { rollout: kept }) };
}

function checkSource({ dataset, model, modelVersion, run }: RecallSource): void {
  const named = [dataset, model, run].filter((one) => one !== undefined);
  if (named.length === 1 && (model === undefined) === (modelVersion === undefined)) return;
  throw new AppError('INPUT_INVALID', { message: 'Name a dataset, a model with its version, or a run.' });
}

function notFound(name: string): AppError {
  return new AppError('NOT_FOUND', { message: `There is no rollout "${name}".`, hint: '"selvedge rollout list" shows what there is.' });
}
