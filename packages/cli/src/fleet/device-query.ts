import { AppError, nameSchema } from '@selvedge/contract';

/** A device's name, or anything else as labels that devices have, as `device list -l` takes them. */
export function deviceQuery(text: string): { device: string } | { selector: string } {
  return nameSchema.safeParse(text).success ? { device: text } : { selector: text };
}

/** The same for several words: one is a name or labels, several are names. @throws AppError USAGE (user). */
export function devicesQuery(words: readonly string[]): { devices: string[] } | { selector: string } {
  const other = words.find((word) => !nameSchema.safeParse(word).success);
  if (other === undefined) return { devices: [...words] };
  if (words.length === 1) return { selector: other };
  throw new AppError('USAGE', { message: `"${other}" is not a device's name.`, hint: 'Give names, or one query like site=lab or @group.' });
}
