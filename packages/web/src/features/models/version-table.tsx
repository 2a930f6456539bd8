import { type ModelVersion, ROUTES, routeUrl } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { formatBytes, formatMetric, plural } from '../../lib/format.ts';
import { gatesStatus } from '../../lib/gates.ts';
import { mainMetricName, orderMetricNames } from '../../lib/metrics.ts';
import { Button, buttonClasses } from '../../ui/button.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { Icon } from '../../ui/icon.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { type Column, Table } from '../../ui/table.tsx';

export interface VersionTableProps {
  versions: readonly ModelVersion[];
  aliases: Record<string, string>;
  onDeploy: (version: string) => void;
}

const METRICS_SHOWN = 4;

/** Versions with their metrics side by side; the best value of each metric is marked. */
export function VersionTable({ versions, aliases, onDeploy }: VersionTableProps): ReactNode {
  if (versions.length === 0) {
    return (
      <EmptyState icon="model" title="No version yet" command="selvedge pipeline run NAME --watch">
        A run that succeeds registers one.
      </EmptyState>
    );
  }
  const all = orderMetricNames(versions.flatMap((version) => Object.keys(version.spec.metrics)));
  const main = mainMetricName(all);
  const metricNames = [...(main === null ? [] : [main]), ...all.filter((name) => name !== main)].slice(0, METRICS_SHOWN);
  const columns = [
    versionColumn(aliases),
    ...metricNames.map((name) => metricColumn(name, versions)),
    ...(versions.some(({ status }) => gatesStatus(status.gates ?? []) !== undefined) ? [GATES] : []),
    SERVED,
    SIZE,
    CREATED,
    actionColumn(onDeploy),
  ];
  return (
    <Table
      caption="All versions"
      columns={columns}
      rows={versions}
      keyOf={(version) => version.metadata.uid}
      pageSize={10}
      order={{ column: 'created', direction: 'descending' }}
    />
  );
}

function versionColumn(aliases: Record<string, string>): Column<ModelVersion> {
  return {
    id: 'version',
    head: 'Version',
    sort: ({ spec }) => spec.version,
    cell: ({ spec }) => (
      <span className="inline-flex items-center gap-1.5">
        <span className="font-mono font-medium">{spec.version}</span>
        {Object.entries(aliases)
          .filter(([, version]) => version === spec.version)
          .map(([alias]) => (
            <span key={alias} className="rounded bg-accent-soft px-1.5 text-xs font-medium text-accent">
              {alias}
            </span>
          ))}
      </span>
    ),
  };
}

function metricColumn(name: string, versions: readonly ModelVersion[]): Column<ModelVersion> {
  const values = versions.flatMap((version) => version.spec.metrics[name] ?? []);
  const best = /loss|error|(^|\/)ece$/i.test(name) ? Math.min(...values) : Math.max(...values);
  return {
    id: `metric:${name}`,
    head: name,
    align: 'right',
    from: 'sm',
    first: 'descending',
    sort: ({ spec }) => spec.metrics[name] ?? null,
    cell: ({ spec }) => {
      const value = spec.metrics[name];
      if (value === undefined) return <span className="text-ink-3">–</span>;
      if (value !== best || values.length < 2) return formatMetric(name, value);
      return (
        <strong className="font-semibold text-ok" title="Best of all versions">
          {formatMetric(name, value)}
          <span className="sr-only"> (best)</span>
        </strong>
      );
    },
  };
}

/** Only where a task has gates. */
const GATES: Column<ModelVersion> = {
  id: 'gates',
  head: 'Gates',
  from: 'md',
  cell: ({ status }) => {
    const told = gatesStatus(status.gates ?? []);
    return told === undefined ? <span className="text-ink-3">none</span> : <StatusBadge status={told} />;
  },
};

const SERVED: Column<ModelVersion> = {
  id: 'served',
  head: 'Served by',
  sort: ({ status }) => status.servedBy,
  first: 'descending',
  cell: ({ status }) =>
    status.servedBy === 0 ? (
      <span className="text-ink-3">none</span>
    ) : (
      <StatusBadge status={{ tone: 'ok', text: plural(status.servedBy, 'device') }} />
    ),
};

const SIZE: Column<ModelVersion> = {
  id: 'size',
  head: 'Size',
  align: 'right',
  from: 'lg',
  sort: ({ spec }) => spec.file.sizeBytes,
  cell: ({ spec }) => formatBytes(spec.file.sizeBytes),
};

const CREATED: Column<ModelVersion> = {
  id: 'created',
  head: 'Made',
  align: 'right',
  from: 'md',
  first: 'descending',
  sort: ({ metadata }) => metadata.createdAt,
  cell: ({ metadata }) => <RelativeTime at={metadata.createdAt} />,
};

function actionColumn(onDeploy: (version: string) => void): Column<ModelVersion> {
  return {
    id: 'actions',
    head: 'Actions',
    align: 'right',
    cell: ({ spec }) => (
      <span className="inline-flex gap-1">
        <a
          href={routeUrl(ROUTES.downloadModel, { params: { name: spec.model, version: spec.version } })}
          download={`${spec.model}-${spec.version}.onnx`}
          className={buttonClasses('quiet', 'sm')}
          title="Download the ONNX file"
        >
          <Icon name="download" size={14} />
          ONNX<span className="sr-only"> of version {spec.version}</span>
        </a>
        <Button size="sm" onClick={() => onDeploy(spec.version)}>
          Deploy<span className="sr-only"> version {spec.version}</span>
        </Button>
      </span>
    ),
  };
}
