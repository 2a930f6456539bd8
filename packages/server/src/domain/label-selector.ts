import { AppError, labelsSchema } from '@selvedge/contract';

/**
 * Parses a label selector: `key=value` or `key==value`, several joined by commas; all must hold.
 *
 * @throws AppError INPUT_INVALID (user) for any other syntax, with each faulty part.
 */
export function parseLabelSelector(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  const issues: { path: string; message: string }[] = [];
  for (const part of text.split(',').map((piece) => piece.trim())) {
    if (part === '') continue;
    const match = /^([^=!\s]+)\s*==?\s*([^=!\s]*)$/.exec(part);
    const [, key = '', value = ''] = match ?? [];
    if (match === null || !labelsSchema.safeParse({ [key]: value }).success) {
      issues.push({ path: 'selector', message: `"${part}" is not key=value` });
    } else {
      labels[key] = value;
    }
  }
  if (issues.length > 0) {
    throw new AppError('INPUT_INVALID', {
      message: `The selector "${text}" is not valid.`,
      hint: 'Write it like app=camera,site=north.',
      issues,
    });
  }
  return labels;
}
