import { AppError } from '@selvedge/contract';

/** What `{{ name }}` may stand for: the play's variables, `device`, and the device's labels as `labels.KEY`. */
export interface TemplateValues {
  readonly device: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly vars: Readonly<Record<string, string | number | boolean>>;
}

const PLACE = /\{\{\s*([^{}]*?)\s*\}\}/g;

function lookUp(name: string, values: TemplateValues): string | number | boolean | undefined {
  if (name === 'device') return values.device;
  if (name.startsWith('labels.')) {
    const key = name.slice('labels.'.length);
    return Object.hasOwn(values.labels, key) ? values.labels[key] : undefined;
  }
  return Object.hasOwn(values.vars, name) ? values.vars[name] : undefined;
}

/**
 * Puts values in place of each `{{ name }}`; there is nothing else to a template.
 *
 * @throws AppError INPUT_INVALID (user) that names what there is no value for.
 */
export function render(template: string, values: TemplateValues): string {
  return template.replace(PLACE, (_, name: string) => {
    const value = lookUp(name, values);
    if (value !== undefined) return String(value);
    const hint = 'There are the "vars" of the play, "device", and "labels.KEY".';
    throw new AppError('INPUT_INVALID', { message: `There is no value for {{ ${name} }} on ${values.device}.`, hint });
  });
}
