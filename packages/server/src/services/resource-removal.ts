import { AppError, type Kind } from '@selvedge/contract';
import { describeError, type Logger } from '@selvedge/runtime';
import { isSettledState } from '../domain/operation-plan.ts';
import { triedArtifacts } from '../domain/run-requests.ts';
import { isFinishedPhase } from '../domain/run-view.ts';
import { graphOfRun } from '../domain/step-graph.ts';
import type { ResourceOf, Store } from '../ports/store.ts';
import type { ToolClient } from '../ports/tool-client.ts';
import { draftOf } from './draft-of.ts';
import { modelVersionName } from './model-registry.ts';

export interface ResourceRemovalOptions {
  store: Store;
  tools: ToolClient;
  /** Revokes a device and removes its resource. */
  removeDevice: (name: string) => Promise<boolean>;
  /** Removes a dataset version that nothing needs, with its space. */
  removeDatasetVersion: (name: string) => Promise<void>;
  log: Logger;
}

/** The rules of deletion: what still needs a resource keeps it, and what only it needed goes with it. */
export class ResourceRemoval {
  readonly #options: ResourceRemovalOptions;

  constructor(options: ResourceRemovalOptions) {
    this.#options = options;
  }

  /** @throws AppError CONFLICT (user) with what to do first. */
  async remove(kind: Kind, name: string): Promise<void> {
    const { store } = this.#options;
    switch (kind) {
      case 'Device':
        await this.#options.removeDevice(name);
        return;
      case 'Dataset':
        await this.#refuseDatasetWithVersions(name);
        break;
      case 'DatasetVersion':
        return this.#options.removeDatasetVersion(name);
      case 'Pipeline':
        await this.#refuseRunning((run) => run.spec.pipeline === name, `Pipeline "${name}"`);
        break;
      case 'Run':
        return this.#removeRun(name);
      case 'Model':
        return this.#removeModel(name);
      case 'ModelVersion':
        return this.#removeModelVersion(name);
      case 'Package':
        return this.#removePackage(name);
      case 'Task':
        await this.#refuseTaskWithPipelines(name);
        break;
      case 'Operation':
        await this.#refuseUnfinishedOperation(name);
        break;
      case 'Bundle':
        await this.#refuseLivingBundle(name);
        break;
      case 'Rollout':
        throw new AppError('CONFLICT', {
          message: `Rollout "${name}" goes with its InferenceModel, or when twenty newer ones are there.`,
          hint: `"selvedge rollout abort ${name}" ends one that is under way.`,
        });
      case 'InferenceModel':
        break;
    }
    await store.delete(kind, name);
  }

  async #refuseDatasetWithVersions(name: string): Promise<void> {
    const dataset = await this.#options.store.get('Dataset', name);
    const versions = dataset?.status.versions ?? [];
    if (versions.length === 0) return;
    throw new AppError('CONFLICT', {
      message: `Dataset "${name}" has ${versions.length === 1 ? 'a version' : `${versions.length} versions`}.`,
      hint: `Delete them first: ${versions
        .slice(0, 3)
        .map((version) => `datasetversion/${name}.v${version}`)
        .join(', ')}${versions.length > 3 ? ', …' : ''}.`,
    });
  }

  async #refuseTaskWithPipelines(name: string): Promise<void> {
    for (let after: string | null | undefined; after !== null; ) {
      const page = await this.#options.store.list('Pipeline', after === undefined ? {} : { after });
      const user = page.items.find((pipeline) => pipeline.spec.task === name);
      if (user !== undefined) {
        throw new AppError('CONFLICT', {
          message: `Task "${name}" is what pipeline "${user.metadata.name}" is for.`,
          hint: 'Delete the pipeline first, or apply it with another task.',
        });
      }
      after = page.next;
    }
  }

  async #refuseRunning(matches: (run: ResourceOf<'Run'>) => boolean, what: string): Promise<void> {
    for (let after: string | null | undefined; after !== null; ) {
      const page = await this.#options.store.list('Run', after === undefined ? {} : { after });
      const active = page.items.find((run) => !isFinishedPhase(run.status.phase) && matches(run));
      if (active !== undefined) {
        const run = active.metadata.name;
        throw new AppError('CONFLICT', {
          message: `${what} is in use by run "${run}".`,
          hint: `Cancel it with "selvedge run cancel ${run}", or wait.`,
        });
      }
      after = page.next;
    }
  }

  async #refuseUnfinishedOperation(name: string): Promise<void> {
    const operation = await this.#options.store.get('Operation', name);
    if (operation === undefined || isSettledState(operation.status.state)) return;
    throw new AppError('CONFLICT', {
      message: `Operation "${name}" is in progress.`,
      hint: `Cancel it first with "selvedge operation cancel ${name}".`,
    });
  }

  /** What devices may still take, or must hear is revoked, is not forgotten. */
  async #refuseLivingBundle(name: string): Promise<void> {
    const bundle = await this.#options.store.get('Bundle', name);
    if (bundle === undefined || Date.parse(bundle.spec.expiresAt) < Date.now()) return;
    throw new AppError('CONFLICT', {
      message: `Bundle "${name}" can be applied until ${bundle.spec.expiresAt}.`,
      hint: `"selvedge bundle revoke ${name}" voids it; the record stays until then.`,
    });
  }

  async #removeRun(name: string): Promise<void> {
    const { store } = this.#options;
    const run = await store.get('Run', name);
    if (run === undefined) return;
    if (!isFinishedPhase(run.status.phase)) {
      throw new AppError('CONFLICT', {
        message: `Run "${name}" is in progress.`,
        hint: `Cancel it first with "selvedge run cancel ${name}".`,
      });
    }
    const used = await this.#artifactsOfOthers(name);
    for (const step of graphOfRun(run.spec)) {
      const stored = run.status.steps.find((known) => known.name === step.id);
      if (step.kind !== 'tool' || stored === undefined) continue;
      const artifacts = new Set([...triedArtifacts(name, stored), ...(stored.artifact === null ? [] : [stored.artifact])]);
      for (const artifact of artifacts) if (!used.has(`${step.tool} ${artifact}`)) await this.#removeArtifact(step.tool, artifact);
    }
    await store.delete('Run', name);
  }

  /** What other runs have taken instead of making it goes with the last of them. */
  async #artifactsOfOthers(name: string): Promise<Set<string>> {
    const used = new Set<string>();
    for (let after: string | null | undefined; after !== null; ) {
      const page = await this.#options.store.list('Run', after === undefined ? {} : { after });
      for (const { metadata, status } of page.items)
        if (metadata.name !== name) for (const step of status.steps) used.add(`${step.tool ?? step.name} ${step.artifact ?? ''}`);
      after = page.next;
    }
    return used;
  }

  /** Best effort: what a tool that is down keeps is space, not truth. */
  async #removeArtifact(tool: string, artifact: string): Promise<void> {
    try {
      await this.#options.tools.removeArtifact(tool, artifact);
    } catch (error) {
      this.#options.log.warn('artifact not removed', { tool, artifact, ...describeError(error) });
    }
  }

  /** Devices that run it go back to the model server, or to another package of the version. */
  async #removePackage(name: string): Promise<void> {
    const { store } = this.#options;
    const one = await store.get('Package', name);
    await store.delete('Package', name);
    if (one?.status.artifact != null) await this.#removeArtifact('build', one.status.artifact);
  }

  /** What was built of a version is of no use without it. */
  async #removePackagesOf(model: string, version?: string): Promise<void> {
    for (let after: string | null | undefined; after !== null; ) {
      const page = await this.#options.store.list('Package', after === undefined ? {} : { after });
      for (const { metadata, spec } of page.items)
        if (spec.model === model && (version === undefined || spec.version === version)) await this.#removePackage(metadata.name);
      after = page.next;
    }
  }

  async #servedAs(model: string, version?: string): Promise<string | undefined> {
    const { items } = await this.#options.store.list('InferenceModel');
    const serving = items.find(({ spec, status }) => {
      if (spec.modelName !== model) return false;
      if (version === undefined) return true;
      return status.resolvedVersion === version || status.devices.some((device) => device.servingVersion === version);
    });
    return serving?.metadata.name;
  }

  async #removeModel(name: string): Promise<void> {
    const { store } = this.#options;
    const served = await this.#servedAs(name);
    if (served !== undefined) throw servedConflict(`Model "${name}"`, served);
    const model = await store.get('Model', name);
    await this.#removePackagesOf(name);
    for (const version of model?.status.versions ?? []) await store.delete('ModelVersion', modelVersionName(name, version));
    await store.delete('Model', name);
  }

  async #removeModelVersion(name: string): Promise<void> {
    const { store } = this.#options;
    const found = await store.get('ModelVersion', name);
    if (found === undefined) return;
    const { model, version } = found.spec;
    const served = await this.#servedAs(model, version);
    if (served !== undefined) throw servedConflict(`Model version "${name}"`, served);
    await this.#removePackagesOf(model, version);
    await store.delete('ModelVersion', name);
    await store.update('Model', model, (current) => {
      const versions = current.status.versions.filter((candidate) => candidate !== version);
      const kept = Object.entries(current.status.aliases).filter(([, target]) => target !== version);
      const latest = versions.at(-1);
      const aliases = { ...Object.fromEntries(kept), ...(latest === undefined ? {} : { latest }) };
      return draftOf(current, { status: { versions, aliases } });
    });
  }
}

function servedConflict(what: string, inferenceModel: string): AppError {
  return new AppError('CONFLICT', {
    message: `${what} is served as "${inferenceModel}".`,
    hint: `Delete inferencemodel/${inferenceModel} first, or let it serve another version.`,
  });
}
