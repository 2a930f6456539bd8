import type { Target } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { plural } from '../../lib/format.ts';
import { classNames } from '../../ui/class-names.ts';

export interface TargetChoiceProps {
  targets: readonly Target[];
  /** Devices online per target. */
  devices: ReadonlyMap<string, number>;
  chosen: readonly string[];
  onToggle: (name: string) => void;
}

/** Targets to build for; one without a toolchain says how to get it. */
export function TargetChoice({ targets, devices, chosen, onToggle }: TargetChoiceProps): ReactNode {
  return (
    <fieldset>
      <legend className="mb-1 text-sm font-medium">Targets</legend>
      <ul className="divide-y divide-line rounded-md border border-line">
        {targets.map((target) => (
          <li key={target.name}>
            <TargetLine
              target={target}
              devices={devices.get(target.name) ?? 0}
              isChosen={chosen.includes(target.name)}
              onToggle={() => onToggle(target.name)}
            />
          </li>
        ))}
      </ul>
    </fieldset>
  );
}

function TargetLine({
  target,
  devices,
  isChosen,
  onToggle,
}: {
  target: Target;
  devices: number;
  isChosen: boolean;
  onToggle: () => void;
}): ReactNode {
  const { name, description, installed } = target;
  return (
    <label className={classNames('flex items-start gap-2.5 px-3 py-2 text-sm', installed && 'cursor-pointer hover:bg-sunken/60')}>
      <input
        type="checkbox"
        className="mt-0.5 size-4 shrink-0 accent-accent"
        checked={isChosen}
        disabled={!installed}
        onChange={onToggle}
      />
      <span className="min-w-0 flex-1">
        <span className="flex flex-wrap items-baseline justify-between gap-x-3">
          <span className={classNames('font-mono text-xs font-medium', !installed && 'text-ink-2')}>{name}</span>
          {devices > 0 && <span className="text-xs text-ink-2">{plural(devices, 'device')} online</span>}
        </span>
        <span className="block text-xs text-ink-2">{description}</span>
        {!installed && (
          <span className="block text-xs text-ink-2">
            No toolchain; on the server: <code className="font-mono break-words text-ink">selvedge target install {name}</code>
          </span>
        )}
      </span>
    </label>
  );
}
