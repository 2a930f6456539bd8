import type { ReactNode } from 'react';
import { type ReadPolicy, ROLLOUT_CHOICES, type RolloutChoice, type RolloutForm } from '../../lib/rollout.ts';
import { SelectField, TextField } from '../../ui/field.tsx';

const TEXTS: Record<RolloutChoice, { text: string; hint: string }> = {
  keep: { text: 'as it is set', hint: 'the policy of the deployment stays as it is' },
  'at-once': { text: 'all devices at once', hint: 'without a trial' },
  waves: { text: 'in waves', hint: 'each device tries the version, and goes back when a gate fails' },
  shadow: { text: 'in waves, shadow', hint: 'the old version answers until the new one has passed' },
  split: { text: 'in waves, split', hint: 'the new version answers a tenth of the requests until it has passed' },
};

export interface RolloutFieldsProps {
  form: RolloutForm;
  read: ReadPolicy;
  /** The deployment has a policy that can be kept. */
  hasPolicy: boolean;
  onChange: (form: RolloutForm) => void;
}

/** How a version reaches the devices, with defaults for everything. */
export function RolloutFields({ form, read, hasPolicy, onChange }: RolloutFieldsProps): ReactNode {
  const choices = ROLLOUT_CHOICES.filter((choice) => choice !== 'keep' || hasPolicy);
  const errorOf = (field: 'waves' | 'gates' | 'trialS') => (!read.ok && read.field === field ? read.message : undefined);
  const hasTrial = form.choice !== 'keep' && form.choice !== 'at-once';
  return (
    <>
      <SelectField
        label="Reaches devices"
        value={form.choice}
        onChange={(event) => {
          const choice = choices.find((one) => one === event.target.value);
          if (choice !== undefined) onChange({ ...form, choice });
        }}
        hint={TEXTS[form.choice].hint}
      >
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {TEXTS[choice].text}
          </option>
        ))}
      </SelectField>
      {hasTrial && (
        <>
          <TextField
            label="Waves"
            value={form.waves}
            onChange={(event) => onChange({ ...form, waves: event.target.value })}
            hint="devices or shares, each with those before it"
            error={errorOf('waves')}
          />
          <TextField
            label="Trial on each device, seconds"
            inputMode="numeric"
            value={form.trialS}
            onChange={(event) => onChange({ ...form, trialS: event.target.value })}
            error={errorOf('trialS')}
          />
          <div className="sm:col-span-2">
            <TextField
              label="Gates"
              className="font-mono"
              value={form.gates}
              onChange={(event) => onChange({ ...form, gates: event.target.value })}
              hint="what the version must keep"
              error={errorOf('gates')}
            />
          </div>
          <label className="flex items-center gap-2 pb-2 text-sm sm:col-span-2">
            <input type="checkbox" checked={form.manual} onChange={(event) => onChange({ ...form, manual: event.target.checked })} />
            Wait for me after each wave
          </label>
        </>
      )}
    </>
  );
}
