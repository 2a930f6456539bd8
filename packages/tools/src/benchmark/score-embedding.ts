import { AppError } from '@selvedge/contract';
import { type Ranking, retrievalRankings, summariseRankings } from '@selvedge/graph/metrics';
import { MAX_MISTAKES, type Mistake, type ScoreOptions, type Scores, WorstOf } from './scores.ts';

/**
 * Every picture of the test split looks for the others of its identity among all.
 *
 * @throws AppError SHAPE_MISMATCH when the model does not give one vector per sample; INPUT_INVALID when no identity has two.
 */
export async function scoreEmbedding({ runner, labels: names, postproc: _, ...batches }: ScoreOptions): Promise<Scores> {
  const identities = await batches.test.readLabels();
  let embeddings = new Float32Array();
  let size = 0;
  await runner.forEach(batches, (sample, values, shape) => {
    if (size === 0) {
      size = values.length;
      embeddings = new Float32Array(identities.length * size);
    }
    if (shape.filter((edge) => edge !== 1).length > 1)
      throw new AppError('SHAPE_MISMATCH', { message: `The model gives [${shape.join(', ')}] per sample; expected one vector.` });
    embeddings.set(normalised(values), sample * size);
  });
  const rankings = retrievalRankings({ embeddings, identities });
  const { rank1, rank5, map, queries } = summariseRankings(rankings);
  return {
    kind: 'embedding',
    metrics: { rank1, rank5, mAP: map },
    perClass: perIdentity(rankings, identities, names),
    confusion: [],
    mistakes: mistakesOf(rankings, identities, names),
    notes: [
      `${queries} of ${identities.length} pictures have another one of their identity in the test split; each of these looks for it among all others by cosine similarity.`,
      'rank1: the most similar picture shows the same identity. mAP: mean average precision of the rankings.',
    ],
  };
}

/** Scaled to length 1, so that the scalar product is the cosine. */
function normalised(values: Float32Array): Float32Array {
  const length = Math.hypot(...values);
  return length === 0 ? values : values.map((value) => value / length);
}

function perIdentity(rankings: readonly Ranking[], identities: Int32Array, names: readonly string[]): Scores['perClass'] {
  const groups = new Map<number, Ranking[]>();
  for (const ranking of rankings) {
    const identity = identities[ranking.row] ?? -1;
    const group = groups.get(identity);
    if (group === undefined) groups.set(identity, [ranking]);
    else group.push(ranking);
  }
  return [...groups]
    .sort(([a], [b]) => a - b)
    .map(([identity, own]) => {
      const { rank1, map } = summariseRankings(own);
      return { label: names[identity] ?? String(identity), support: own.length, rank1, map };
    });
}

/** Queries whose most similar picture is somebody else, those first that found their own latest. */
function mistakesOf(rankings: readonly Ranking[], identities: Int32Array, names: readonly string[]): Mistake[] {
  const worst = new WorstOf<Mistake>(MAX_MISTAKES);
  const name = (row: number) => names[identities[row] ?? -1] ?? '';
  for (const { row, first, nearest, similarity } of rankings) {
    if (first === 0) continue;
    worst.offer(first, () => ({ sample: row, actual: name(row), predicted: name(nearest), confidence: similarity, beside: nearest }));
  }
  return worst.values;
}
