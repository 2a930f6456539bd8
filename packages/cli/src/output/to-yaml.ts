import { stringify } from 'yaml';

/** A value as YAML, without a newline at the end. A file of its own: it is loaded only for -o yaml. */
export function toYaml(value: unknown): string {
  return stringify(value, { aliasDuplicateObjects: false }).trimEnd();
}
