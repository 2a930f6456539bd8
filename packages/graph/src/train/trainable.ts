import { AppError } from '@selvedge/contract';

/** Whether a weight with one of these names is trained. */
export type WeightFilter = (names: readonly string[]) => boolean;

/** `*` stands for any characters, `?` for one. */
function matcher(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${escaped}$`, 's');
}

/** The weights that the patterns name; all of them without patterns. */
export function weightFilter(patterns: readonly string[] | undefined): WeightFilter {
  if (!patterns) return () => true;
  const matchers = patterns.map(matcher);
  return (names) => names.some((name) => matchers.some((expression) => expression.test(name)));
}

const SHOWN = 12;

export function noneTrainable(patterns: readonly string[], names: readonly string[]): AppError {
  return new AppError('INPUT_INVALID', {
    message: `No weight of the model matches ${patterns.map((pattern) => `"${pattern}"`).join(', ')}.`,
    hint: `The names of weights and layers are: ${names.slice(0, SHOWN).join(', ')}${names.length > SHOWN ? `, and ${names.length - SHOWN} more` : ''}.`,
  });
}
