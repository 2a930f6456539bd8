import type { Device } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Loop, Stage } from '../../lib/loop.ts';
import { deviceStatus, type Tone } from '../../lib/status.ts';
import { classNames } from '../../ui/class-names.ts';
import { Icon, type IconName } from '../../ui/icon.tsx';
import { Skeleton } from '../../ui/skeleton.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';

/**
 * Dataset → run → model → devices and back, drawn as a weft thread that goes through four stations and turns at the
 * edge of the cloth. A thread moves while something moves on that way.
 */
export function LoopPicture({ loop, devices }: { loop: Loop; devices: readonly Device[] }): ReactNode {
  return (
    <div className="px-4 pt-4 pb-3 md:px-6 md:pt-6">
      <ol className="grid grid-cols-1 md:grid-cols-[1fr_3rem_1fr_3rem_1fr_3rem_1fr]">
        <Station icon="dataset" noun="Dataset" stage={loop.dataset} />
        <Thread moving={loop.flows.toRun} />
        <Station icon="run" noun="Run" stage={loop.run} to="/runs" />
        <Thread moving={loop.flows.toModel} />
        <Station icon="model" noun="Model" stage={loop.model} to="/models" />
        <Thread moving={loop.flows.toDevices} />
        <Station icon="device" noun="Devices" stage={loop.devices} to="/devices">
          <Fleet devices={devices} />
        </Station>
      </ol>
      <ReturnThread alive={devices.some((device) => device.status.online)} />
    </div>
  );
}

/** Stands in the picture's place, as tall, while the first answers come in. */
export function LoopSkeleton(): ReactNode {
  return (
    <div role="status" aria-label="Loading the loop" className="grid gap-12 px-4 pt-4 pb-14 md:grid-cols-4 md:px-6 md:pt-6">
      {['dataset', 'run', 'model', 'devices'].map((name) => (
        <Skeleton key={name} className="h-33 w-full" />
      ))}
    </div>
  );
}

interface StationProps {
  icon: IconName;
  noun: string;
  stage: Stage;
  to?: '/runs' | '/models' | '/devices';
  children?: ReactNode;
}

function Station({ icon, noun, stage, to, children }: StationProps): ReactNode {
  return (
    <li className="relative flex min-h-33 min-w-0 flex-col rounded-lg border border-line bg-canvas p-3.5 transition-colors has-[a:hover]:border-line-strong">
      <div className="flex items-center gap-2 text-xs font-medium text-ink-3">
        <Icon name={icon} size={15} />
        {noun}
        <span className="ml-auto tabular-nums">{stage.count}</span>
      </div>
      <p className="mt-2 truncate text-lg font-semibold tracking-tight" title={stage.name}>
        {to === undefined ? (
          stage.name
        ) : (
          <Link
            to={to}
            className="after:absolute after:inset-0 after:rounded-lg focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:outline-accent"
          >
            {stage.name}
          </Link>
        )}
      </p>
      <p className="truncate text-sm text-ink-2 tabular-nums" title={stage.detail}>
        {stage.detail}
      </p>
      <div className="mt-auto flex min-h-5.5 items-end justify-between gap-2 pt-2">
        {stage.status === null ? <span className="text-xs text-ink-3">Nothing yet</span> : <StatusBadge status={stage.status} />}
        {children}
      </div>
    </li>
  );
}

const DOTS: Record<Tone, string> = {
  ok: 'bg-ok',
  busy: 'bg-busy pulse',
  warn: 'bg-warn rotate-45 rounded-none!',
  bad: 'bg-bad rotate-45 rounded-none!',
  idle: 'border border-line-strong',
};
const SHOWN_DEVICES = 24;

/** One mark per device: full is online, hollow offline, a diamond has trouble. The numbers stand beside in words. */
function Fleet({ devices }: { devices: readonly Device[] }): ReactNode {
  return (
    <span aria-hidden="true" className="flex w-max max-w-20 shrink-0 flex-wrap justify-end gap-[3px]">
      {devices.slice(0, SHOWN_DEVICES).map((device) => (
        <span key={device.metadata.uid} className={classNames('size-[7px] rounded-[2px]', DOTS[deviceStatus(device).tone])} />
      ))}
    </span>
  );
}

function Thread({ moving }: { moving: boolean }): ReactNode {
  return (
    <li aria-hidden="true" className="grid place-items-center max-md:h-8">
      <svg aria-hidden="true" viewBox="0 0 48 24" className="h-6 w-12 max-md:rotate-90" fill="none" strokeWidth="1.6" strokeLinecap="round">
        <path d="M3 8h38M3 16h38" className={classNames(moving ? 'thread-flow stroke-accent' : 'stroke-line-strong/60')} />
        <path d="M37 5.500l7 6.500-7 6.500" className={moving ? 'stroke-accent' : 'stroke-line-strong/60'} strokeLinejoin="round" />
      </svg>
    </li>
  );
}

/** The way back: what devices report. It runs in red, as the thread along a selvedge does. */
function ReturnThread({ alive }: { alive: boolean }): ReactNode {
  return (
    <div className="relative mx-[11%] h-8 text-thread max-md:mx-0 max-md:mt-3 max-md:h-5">
      <div
        aria-hidden="true"
        className="absolute inset-x-0 top-0 h-5 rounded-b-xl border-x-2 border-b-2 border-dashed border-current/70 max-md:h-0 max-md:rounded-none max-md:border-x-0"
      />
      <Icon name="up" size={14} className="absolute -top-1.5 -left-1.5 max-md:hidden" />
      <p className="absolute inset-x-0 top-2.5 text-center text-xs text-ink-3 max-md:-top-2">
        <span className="bg-surface px-3">{alive ? 'devices report state, telemetry and results' : 'no device reports'}</span>
      </p>
    </div>
  );
}
