import type { InferenceModel, Module, Run } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Activity } from '../../lib/activity.ts';
import { useNow } from '../../lib/clock.ts';
import { formatDuration, formatMetric, plural } from '../../lib/format.ts';
import { orderMetricNames } from '../../lib/metrics.ts';
import { runSeconds } from '../../lib/run-times.ts';
import { deploymentStatus, moduleStatus, runStatus, stepStatus } from '../../lib/status.ts';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Icon, type IconName } from '../../ui/icon.tsx';
import { Progress } from '../../ui/progress.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge, StatusIcon } from '../../ui/status-badge.tsx';

const LINK = 'font-medium text-ink underline-offset-2 hover:underline';

/** The last run: how far it is, how long it took, what came out. */
export function LastRun({ run, hasDataset }: { run: Run | undefined; hasDataset: boolean }): ReactNode {
  const now = useNow(1000);
  if (run === undefined) {
    return (
      <EmptyState
        icon="run"
        title="Nothing has run yet"
        command={hasDataset ? 'selvedge pipeline run NAME --watch' : 'selvedge dataset add NAME --from FOLDER'}
      >
        {hasDataset
          ? 'A run takes a dataset through a pipeline and leaves a model version.'
          : 'It begins with a dataset: a folder of pictures, one folder per class.'}
      </EmptyState>
    );
  }
  const { phase, steps, metrics, message } = run.status;
  const seconds = runSeconds(run.status, now);
  const current = steps.find((step) => step.state === 'running');
  return (
    <div className="grid gap-3">
      <div className="flex min-w-0 items-center gap-2">
        <Link to="/runs/$name" params={{ name: run.metadata.name }} title={run.metadata.name} className={`${LINK} truncate`}>
          {run.metadata.name}
        </Link>
        <StatusBadge status={runStatus(phase)} />
        <span className="ml-auto shrink-0 text-sm text-ink-2 tabular-nums">{seconds === null ? '' : formatDuration(seconds)}</span>
      </div>
      <ol className="flex flex-wrap gap-x-4 gap-y-1.5 text-sm">
        {steps.map((step) => (
          <li key={step.name} className="inline-flex items-center gap-1" title={stepStatus(step.state).text}>
            <StatusIcon tone={stepStatus(step.state).tone} />
            <span className={step.state === 'pending' ? 'text-ink-3' : ''}>{step.name}</span>
            <span className="sr-only">: {step.state}</span>
          </li>
        ))}
      </ol>
      {current !== undefined && <Progress value={current.progress} label={`Progress of ${current.name}`} />}
      {phase === 'Failed' && <p className="text-sm text-bad">{message}</p>}
      <MetricLine metrics={metrics} />
    </div>
  );
}

function MetricLine({ metrics }: { metrics: Record<string, number> }): ReactNode {
  const shown = orderMetricNames(Object.keys(metrics))
    .slice(0, 4)
    .flatMap((name) => (metrics[name] === undefined ? [] : [[name, metrics[name]] as const]));
  if (shown.length === 0) return null;
  return (
    <dl className="flex flex-wrap gap-x-6 gap-y-2 border-t border-line pt-3">
      {shown.map(([name, value]) => (
        <div key={name}>
          <dt className="text-xs text-ink-3">{name}</dt>
          <dd className="text-lg font-semibold tracking-tight tabular-nums">{formatMetric(name, value)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Which version is served where, as the devices say themselves. */
export function ServingList({ deployments }: { deployments: readonly InferenceModel[] }): ReactNode {
  if (deployments.length === 0) {
    return (
      <EmptyState icon="deployment" title="Nothing is deployed" command="selvedge apply -f inference-model.yaml">
        Open a model and press Deploy, or apply an InferenceModel.
      </EmptyState>
    );
  }
  return (
    <ul className="divide-y divide-line">
      {deployments.map((item) => {
        const { servingVersion, devices, resolvedVersion } = item.status;
        const serving = devices.filter((device) => device.state === 'serving').length;
        return (
          <li key={item.metadata.uid} className="flex items-center gap-3 px-4 py-2.5 text-sm">
            <div className="min-w-0 flex-1">
              <Link
                to="/models/$name"
                params={{ name: item.spec.modelName }}
                className={`${LINK} block truncate`}
                title={item.metadata.name}
              >
                {item.metadata.name}
              </Link>
              <p className="truncate text-xs text-ink-3">
                {servingVersion === ''
                  ? `versions differ, ${resolvedVersion || 'none'} wanted`
                  : `${item.spec.modelName}/${servingVersion}`}{' '}
                · {serving} of {plural(devices.length, 'device')}
              </p>
            </div>
            <StatusBadge status={deploymentStatus(item)} />
          </li>
        );
      })}
    </ul>
  );
}

/** The tools and how they are. */
export function ModuleList({ modules }: { modules: readonly Module[] }): ReactNode {
  if (modules.length === 0) return <p className="p-4 text-sm text-ink-3">The server runs without tools.</p>;
  return (
    <ul className="divide-y divide-line">
      {modules.map((module) => (
        <li key={module.name} className="flex h-10.5 items-center gap-3 px-4 text-sm">
          <span className="w-20 shrink-0 truncate font-medium" title={module.name}>
            {module.name}
          </span>
          <span className="min-w-0 flex-1 truncate text-xs text-ink-3" title={module.busyWith ?? undefined}>
            {module.busyWith === null ? 'idle' : `makes ${module.busyWith}`}
            {module.queued > 0 && `, ${module.queued} waiting`}
            {module.restarts > 0 && ` · ${plural(module.restarts, 'restart')}`}
          </span>
          <StatusBadge status={moduleStatus(module.state)} />
        </li>
      ))}
    </ul>
  );
}

const NOUN_ICONS: Record<Activity['noun'], IconName> = {
  dataset: 'dataset',
  run: 'run',
  model: 'model',
  device: 'device',
  deployment: 'deployment',
};

export function ActivityList({ activities }: { activities: readonly Activity[] }): ReactNode {
  if (activities.length === 0) return <p className="p-4 text-sm text-ink-3">Nothing has happened yet.</p>;
  return (
    <ol className="divide-y divide-line">
      {activities.map((activity) => (
        <li key={activity.id} className="flex items-start gap-3 px-4 py-2 text-sm">
          <Icon name={NOUN_ICONS[activity.noun]} size={15} className="mt-0.5 text-ink-3" />
          <p className="line-clamp-2 min-w-0 flex-1 break-words" title={`${activity.name} ${activity.text}`}>
            <ActivityName activity={activity} />{' '}
            <span className={activity.tone === 'bad' ? 'text-bad' : 'text-ink-2'}>{activity.text}</span>
          </p>
          <span className="shrink-0 text-xs leading-5 text-ink-3">
            <RelativeTime at={activity.at} />
          </span>
        </li>
      ))}
    </ol>
  );
}

function ActivityName({ activity: { noun, name } }: { activity: Activity }): ReactNode {
  if (noun === 'device') {
    return (
      <Link to="/devices/$name" params={{ name }} className={LINK}>
        {name}
      </Link>
    );
  }
  if (noun === 'run') {
    return (
      <Link to="/runs/$name" params={{ name }} className={LINK}>
        {name}
      </Link>
    );
  }
  return <span className="font-medium">{name}</span>;
}
