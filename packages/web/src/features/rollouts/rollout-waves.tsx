import type { Rollout } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { plural } from '../../lib/format.ts';
import { rolloutWaveStatus } from '../../lib/status.ts';
import { Progress } from '../../ui/progress.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';

/** Each wave with how many of its devices have passed. */
export function RolloutWaves({ rollout }: { rollout: Rollout }): ReactNode {
  const { waves, devices } = rollout.status;
  return (
    <ol className="grid gap-3">
      {waves.map((wave) => {
        const members = devices.filter((device) => device.wave === wave.index);
        const passed = members.filter(({ state }) => state === 'passed').length;
        const label = `Wave ${wave.index + 1}`;
        return (
          <li key={wave.index}>
            <div className="mb-1 flex items-center gap-2 text-sm">
              <span className="font-medium">{label}</span>
              <span className="flex-1 text-xs text-ink-2">
                {passed} of {plural(wave.devices, 'device')} passed
              </span>
              <StatusBadge status={rolloutWaveStatus(wave.state)} />
            </div>
            <Progress value={wave.devices === 0 ? 1 : passed / wave.devices} label={label} />
            {wave.message !== '' && (
              <p className={`mt-1 text-xs break-words ${wave.state === 'failed' ? 'text-bad' : 'text-ink-2'}`}>{wave.message}</p>
            )}
          </li>
        );
      })}
    </ol>
  );
}
