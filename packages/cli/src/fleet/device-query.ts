import { nameSchema } from '@selvedge/contract';

/** A device's name, or anything else as labels that devices have, as `device list -l` takes them. */
export function deviceQuery(text: string): { device: string } | { selector: string } {
  return nameSchema.safeParse(text).success ? { device: text } : { selector: text };
}
