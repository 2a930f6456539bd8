import { AppError } from '@selvedge/contract';

/**
 * The index among `wanted` of each class of a dataset, by name.
 *
 * @throws AppError INPUT_INVALID (user) when the dataset has a class that is not among them.
 */
export function labelIndices(own: readonly string[], wanted: readonly string[]): number[] {
  const indices = own.map((label) => wanted.indexOf(label));
  const unknown = own.filter((_, i) => indices[i] === -1);
  if (unknown.length === 0) return indices;
  const shown = unknown.slice(0, 5).map((label) => JSON.stringify(label));
  throw new AppError('INPUT_INVALID', {
    message: `The dataset has classes that are not among the labels asked for: ${shown.join(', ')}${unknown.length > 5 ? ` and ${unknown.length - 5} more` : ''}.`,
    hint: `Asked for: ${wanted.slice(0, 20).join(', ')}.`,
  });
}
