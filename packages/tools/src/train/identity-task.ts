import { AppError } from '@selvedge/contract';
import { retrievalMetrics } from '@selvedge/graph/metrics';
import { forEachOutput, type TaskData, type TrainingTask } from './training-task.ts';

/**
 * Learns the identities of the training split, which may be a part of those that the dataset has: validation and test
 * may show others.
 *
 * @throws AppError INPUT_INVALID (user) when there is nothing to tell apart, or nothing to find in the validation split.
 */
export function identityTask({ train, validation }: TaskData, seed: number): TrainingTask {
  const identities = [...new Set(train.labels)].sort((a, b) => a - b);
  const indexOf = new Map(identities.map((label, index) => [label, index]));
  if (identities.length < 2)
    throw new AppError('INPUT_INVALID', {
      message: `The training samples show ${identities.length} identity; at least 2 must be told apart.`,
    });
  if (validation.count > 0 && new Set(validation.labels).size === validation.count) {
    throw new AppError('INPUT_INVALID', {
      message: 'No identity of the validation samples has a second sample, so there is nothing to find.',
      hint: 'Raise split.validation, or set it to 0; groups in the dataset keep identities whole.',
    });
  }
  return {
    kind: 'identity',
    loss: { kind: 'identity', identities: identities.length, seed },
    measuresTraining: false,
    labels: (indices) => indices.map((index) => indexOf.get(train.labels[index] ?? -1) ?? 0),
    measure: async (trainer, source, indices, signal) => {
      const parts: Float32Array[] = [];
      await forEachOutput(trainer, source, indices, signal, (outputs) => {
        parts.push(outputs);
      });
      const size = parts.reduce((sum, { length }) => sum + length, 0);
      const embeddings = new Float32Array(size);
      let at = 0;
      for (const part of parts) {
        embeddings.set(part, at);
        at += part.length;
      }
      const { rank1, rank5, map } = retrievalMetrics({ embeddings, identities: indices.map((index) => source.labels[index] ?? 0) });
      return { rank1, rank5, map };
    },
  };
}
