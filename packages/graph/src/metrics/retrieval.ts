import { AppError } from '@selvedge/contract';

/** Vectors of length 1, one after the other, and who is in each picture. */
export interface Gallery {
  /** float32 [n, size]. */
  readonly embeddings: Float32Array;
  readonly identities: ArrayLike<number>;
}

export interface RetrievalMetrics {
  /** Share of queries whose most similar picture shows the same identity. */
  readonly rank1: number;
  /** The same for the five most similar ones. */
  readonly rank5: number;
  /** Mean over the queries of the average precision of their ranking. */
  readonly map: number;
  /** Queries that have a picture to find; the others do not count. */
  readonly queries: number;
}

/** How one query found the pictures of its identity. */
export interface Ranking {
  /** The query's row. */
  readonly row: number;
  /** Place of the first right picture, from 0. */
  readonly first: number;
  /** Mean of the precision at each right picture. */
  readonly precision: number;
  /** Row of the most similar picture, right or wrong, and how similar it is. */
  readonly nearest: number;
  readonly similarity: number;
}

function similarity(a: Float32Array, atA: number, b: Float32Array, atB: number, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += (a[atA + i] ?? 0) * (b[atB + i] ?? 0);
  return sum;
}

function rank(query: Gallery, row: number, gallery: Gallery, size: number, same: boolean): Ranking | undefined {
  const scores = Float32Array.from({ length: gallery.identities.length }, (_, i) =>
    similarity(query.embeddings, row * size, gallery.embeddings, i * size, size),
  );
  const order = Int32Array.from(scores, (_, i) => i).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  let place = 0;
  let found = 0;
  let sum = 0;
  let first = -1;
  let nearest = -1;
  for (const at of order) {
    // A picture is not to find itself.
    if (same && at === row) continue;
    if (nearest < 0) nearest = at;
    place += 1;
    if (gallery.identities[at] !== query.identities[row]) continue;
    found += 1;
    sum += found / place;
    if (first < 0) first = place - 1;
  }
  return found === 0 ? undefined : { row, first, precision: sum / found, nearest, similarity: scores[nearest] ?? 0 };
}

function sizeOf({ embeddings, identities }: Gallery): number {
  const size = embeddings.length / identities.length;
  if (identities.length > 0 && Number.isInteger(size) && size > 0) return size;
  throw new AppError('SHAPE_MISMATCH', {
    message: `${embeddings.length} values are not one vector for each of ${identities.length} pictures.`,
  });
}

/**
 * The ranking of every query that has a picture to find.
 *
 * @param gallery - where to look; default: the queries themselves, each without itself.
 * @throws AppError SHAPE_MISMATCH when lengths do not fit; INPUT_INVALID when no query has anything to find.
 */
export function retrievalRankings(queries: Gallery, gallery: Gallery = queries): Ranking[] {
  const size = sizeOf(queries);
  if (sizeOf(gallery) !== size)
    throw new AppError('SHAPE_MISMATCH', { message: `Vectors of ${size} values cannot be compared with those of ${sizeOf(gallery)}.` });
  const rankings = Array.from(queries.identities, (_, row) => rank(queries, row, gallery, size, gallery === queries)).flatMap(
    (one) => one ?? [],
  );
  if (rankings.length > 0) return rankings;
  throw new AppError('INPUT_INVALID', {
    message: 'No identity has a second picture, so there is nothing to find.',
    hint: 'Measure with at least two pictures of an identity.',
  });
}

/**
 * How well pictures of an identity find each other by the scalar product of their vectors.
 *
 * @param gallery - where to look; default: the queries themselves, each without itself.
 * @throws AppError as `retrievalRankings`.
 */
export function retrievalMetrics(queries: Gallery, gallery: Gallery = queries): RetrievalMetrics {
  return summariseRankings(retrievalRankings(queries, gallery));
}

/** @param rankings - at least one. */
export function summariseRankings(rankings: readonly Ranking[]): RetrievalMetrics {
  const share = (isCounted: (ranking: Ranking) => boolean) => rankings.filter(isCounted).length / rankings.length;
  return {
    rank1: share(({ first }) => first < 1),
    rank5: share(({ first }) => first < 5),
    map: rankings.reduce((sum, { precision }) => sum + precision, 0) / rankings.length,
    queries: rankings.length,
  };
}
