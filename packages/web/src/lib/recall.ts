import type { ModelVersion, RecallSource, RecallView, Rollout } from '@selvedge/contract';
import { newestRollout } from './rollout.ts';
import { shellWord } from './shell-word.ts';

/** What is recalled, as the command line names it: `digits@2`, `digits:3`. */
export function recallName({ dataset, datasetVersion, model, modelVersion, run }: RecallSource): string {
  if (dataset !== undefined) return datasetVersion === undefined ? dataset : `${dataset}@${datasetVersion}`;
  return model === undefined ? (run ?? '') : `${model}:${modelVersion}`;
}

export function recallCommand(source: RecallSource, to?: string): string {
  const option = source.dataset !== undefined ? '--dataset' : source.model !== undefined ? '--model' : '--run';
  const doing = to === undefined ? '' : ` --to ${shellWord(to)} --yes`;
  return `selvedge recall ${option} ${shellWord(recallName(source))}${doing}`;
}

/**
 * Versions to which devices can go, newest first: there is one of that name of every model that is deployed, and none of them was made
 * from what is recalled.
 */
export function recallTargets({ versions: recalled, deployments }: RecallView, versions: readonly ModelVersion[]): readonly ModelVersion[] {
  const models = [...new Set(deployments.map(({ model }) => model))];
  const isRecalled = ({ spec }: ModelVersion) => recalled.some((one) => one.model === spec.model && one.version === spec.version);
  const usable = versions.filter((one) => models.includes(one.spec.model) && !isRecalled(one));
  const hasAll = ({ spec: { version } }: ModelVersion) =>
    models.every((model) => usable.some(({ spec }) => spec.model === model && spec.version === version));
  const [first] = models;
  return usable
    .filter((one) => one.spec.model === first && hasAll(one))
    .toSorted((a, b) => b.metadata.createdAt.localeCompare(a.metadata.createdAt));
}

/** The rollout that carries a recall out; undefined until the server has begun it. */
export function rolloutSince(rollouts: readonly Rollout[], inferenceModel: string, generation: number): Rollout | undefined {
  const newest = newestRollout(rollouts, inferenceModel);
  return newest !== undefined && newest.spec.generation >= generation ? newest : undefined;
}
