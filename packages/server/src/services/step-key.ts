import { createHash } from 'node:crypto';
import type { Run, RunStep } from '@selvedge/contract';
import { datasetOfStep, type GraphStep } from '../domain/step-graph.ts';

interface KeyedStep {
  run: Run;
  graph: readonly GraphStep[];
  step: GraphStep;
  stored: RunStep;
  /** After substitution. */
  parameters: Record<string, unknown>;
  version: string;
  codeDigest: string;
}

/**
 * Digest over everything that decides what a step makes: steps with one key make the same. An input counts by the key of
 * the step that made it, the dataset by the digest of its content.
 *
 * `isReusable` is false when that is not known of something: a URL without a digest, an input of unknown origin, or a step
 * that says that it is to be made anew. Its key is then the run's own, so that what depends on it is made anew as well.
 */
export function stepKey({ run, graph, step, stored, parameters, version, codeDigest }: KeyedStep): { key: string; isReusable: boolean } {
  const inputs = Object.entries(step.inputs).map(([name, from]) => {
    if (typeof from !== 'string' && 'url' in from) return [name, from.sha256];
    if (typeof from !== 'string' && 'model' in from) return [name, run.spec.models?.[from.model]];
    const id = typeof from === 'string' ? from : from.step;
    const file = typeof from === 'string' ? undefined : from.file;
    const source = graph.find((other) => other.id === id);
    const digest =
      source?.kind === 'dataset' ? datasetOfStep(run.spec, source).digest : run.status.steps.find((other) => other.name === id)?.key;
    return [name, digest, file];
  });
  const isReusable = step.cache && inputs.every(([, source]) => source !== undefined);
  const own = isReusable ? null : [run.metadata.uid, step.id, stored.try ?? 1];
  return { key: sha256Of(['step-1', step.tool, version, codeDigest, parameters, inputs.sort(byName), own]), isReusable };
}

function byName([a = '']: readonly (string | undefined)[], [b = '']: readonly (string | undefined)[]): number {
  return a < b ? -1 : 1;
}

function sha256Of(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
  return createHash('sha256').update(text).digest('hex');
}
