import type { Rollout, RolloutDevice } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { formatBytes } from '../../lib/format.ts';
import { rolloutDeviceStatus, type Tone } from '../../lib/status.ts';
import { classNames } from '../../ui/class-names.ts';
import { StatusIcon } from '../../ui/status-badge.tsx';

const TILES: Record<Tone, string> = {
  ok: 'border-ok/40 bg-ok-soft',
  busy: 'border-busy/40 bg-busy-soft',
  warn: 'border-warn/40 bg-warn-soft',
  bad: 'border-bad/40 bg-bad-soft',
  idle: 'border-line bg-surface',
};
/** More tiles than these say nothing more; failures come first. */
const SHOWN = 200;

function order(devices: readonly RolloutDevice[]): RolloutDevice[] {
  if (devices.length <= SHOWN) return [...devices];
  const isTrouble = ({ state }: RolloutDevice) => state === 'failed' || state === 'reverting' || state === 'reverted';
  return devices.toSorted((a, b) => Number(isTrouble(b)) - Number(isTrouble(a))).slice(0, SHOWN);
}

/** A tile per device, coloured and named by its state. */
export function RolloutDevices({ rollout }: { rollout: Rollout }): ReactNode {
  const { devices } = rollout.status;
  if (devices.length === 0) return <p className="text-sm text-ink-2">No device matches the InferenceModel.</p>;
  return (
    <>
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(13rem,1fr))] gap-2">
        {order(devices).map((device) => (
          <Tile key={device.device} device={device} />
        ))}
      </ul>
      {devices.length > SHOWN && <p className="mt-2 text-xs text-ink-2">and {devices.length - SHOWN} more</p>}
    </>
  );
}

function Tile({ device }: { device: RolloutDevice }): ReactNode {
  const { tone, text } = rolloutDeviceStatus(device.state);
  const { transfer } = device;
  const reverted = device.revertedInMs === null ? '' : ` in ${Math.round(device.revertedInMs)} ms`;
  return (
    <li className={classNames('min-w-0 rounded-md border px-2.5 py-1.5', TILES[tone])}>
      <Link
        to="/devices/$name"
        params={{ name: device.device }}
        title={device.device}
        className="block truncate text-sm font-medium underline-offset-2 hover:underline"
      >
        {device.device}
      </Link>
      <p className="flex items-center gap-1 text-xs text-ink-2">
        <StatusIcon tone={tone} size={12} />
        <span className="truncate">
          {text}
          {reverted} · wave {device.wave + 1}
        </span>
      </p>
      {transfer !== null && (
        <p className="text-xs text-ink-2">
          {formatBytes(transfer.fetchedBytes)} of {formatBytes(transfer.wholeBytes)} sent
        </p>
      )}
      {device.message !== '' && (
        <p className="mt-0.5 line-clamp-3 text-xs break-words text-ink-2" title={device.message}>
          {device.message}
        </p>
      )}
    </li>
  );
}
