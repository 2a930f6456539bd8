import type { Hyperparams } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { TextField } from '../../ui/field.tsx';

const NAMES = ['lr', 'batch_size', 'epochs', 'optimizer', 'seed'] as const;
const TITLES = { lr: 'Learning rate', batch_size: 'Batch size', epochs: 'Epochs', optimizer: 'Optimizer', seed: 'Seed' } as const;

export interface HyperparamFieldsProps {
  /** The pipeline's. */
  own: Hyperparams;
  changes: Readonly<Record<string, string>>;
  onChange: (changes: Readonly<Record<string, string>>) => void;
  fault: { name: string; message: string } | undefined;
}

/** Hyperparameters for one run: each field shows the pipeline's own value until something is written into it. */
export function HyperparamFields({ own, changes, onChange, fault }: HyperparamFieldsProps): ReactNode {
  return (
    <details className="col-span-2">
      <summary className="w-fit rounded text-sm font-medium text-ink-2 hover:text-ink">Parameters of this run</summary>
      <div className="mt-2 grid grid-cols-2 gap-x-4 gap-y-1 sm:grid-cols-3">
        {NAMES.map((name) => (
          <TextField
            key={name}
            label={TITLES[name]}
            value={changes[name] ?? ''}
            placeholder={String(own[name] ?? 'default')}
            error={fault?.name === name ? fault.message : undefined}
            onChange={(event) => onChange({ ...changes, [name]: event.target.value })}
          />
        ))}
      </div>
    </details>
  );
}
