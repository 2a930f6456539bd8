import { budgetText, type Device } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { BUDGET_FIELDS, type BudgetFaults, type BudgetForm } from '../../lib/device-budgets.ts';
import { SelectField, TextField } from '../../ui/field.tsx';

/** What the device may use; empty fields are left to the device. */
export function BudgetFields(props: {
  form: BudgetForm;
  faults: BudgetFaults;
  device: Device;
  onChange: (form: BudgetForm) => void;
}): ReactNode {
  const { form, faults, device, onChange } = props;
  const inEffect = device.status.upkeep?.budgets?.inEffect ?? [];
  return (
    <fieldset className="grid min-w-0 grid-cols-1 gap-x-4 gap-y-2 sm:grid-cols-2">
      <legend className="pb-1 text-sm font-medium">Budgets</legend>
      <p className="text-xs text-ink-3 sm:col-span-2">
        Empty: as the device has it. Where the device has set a value itself, the stricter one holds.
      </p>
      {BUDGET_FIELDS.map(({ name, label, choices }) => {
        const known = inEffect.find((one) => one.name === name);
        const field = {
          label,
          value: form[name] ?? '',
          error: faults[name],
          hint: known === undefined ? undefined : `In effect: ${budgetText(known).slice(name.length + 1)}`,
        };
        return choices === undefined ? (
          <TextField key={name} {...field} inputMode="decimal" onChange={(event) => onChange({ ...form, [name]: event.target.value })} />
        ) : (
          <SelectField key={name} {...field} onChange={(event) => onChange({ ...form, [name]: event.target.value })}>
            <option value="">Not set</option>
            {choices.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </SelectField>
        );
      })}
    </fieldset>
  );
}
