import type { ReactNode } from 'react';
import { recentActivity } from '../../lib/activity.ts';
import { loopOf, newest } from '../../lib/loop.ts';
import { useList, useModules } from '../../lib/queries.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { LoopPicture, LoopSkeleton } from './loop-picture.tsx';
import { ActivityList, LastRun, ModuleList, ServingList } from './overview-cards.tsx';

const COMMANDS = [
  'selvedge run list',
  'selvedge model list',
  'selvedge device list',
  'selvedge module list',
  'selvedge get inferencemodels',
];

/** The whole loop at a glance, live. */
export function OverviewPage(): ReactNode {
  const queries = {
    datasets: useList('Dataset'),
    datasetVersions: useList('DatasetVersion'),
    runs: useList('Run'),
    models: useList('Model'),
    modelVersions: useList('ModelVersion'),
    devices: useList('Device'),
    deployments: useList('InferenceModel'),
  };
  const modules = useModules();
  const all = Object.values(queries);
  const failed = all.find((query) => query.isError && query.data === undefined);
  const pending = all.some((query) => query.isPending);
  const sources = {
    datasets: queries.datasets.data ?? [],
    datasetVersions: queries.datasetVersions.data ?? [],
    runs: queries.runs.data ?? [],
    models: queries.models.data ?? [],
    modelVersions: queries.modelVersions.data ?? [],
    devices: queries.devices.data ?? [],
    deployments: queries.deployments.data ?? [],
  };
  const retryAll = () => {
    for (const query of all) if (query.isError) void query.refetch();
  };
  return (
    <Page title="Overview" actions={<CliHint commands={COMMANDS} />}>
      <Card className="mb-4" flush>
        {failed !== undefined ? (
          <ErrorState error={failed.error} retry={retryAll} />
        ) : pending ? (
          <LoopSkeleton />
        ) : (
          <LoopPicture loop={loopOf(sources)} devices={sources.devices} />
        )}
      </Card>
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.35fr)_minmax(0,1fr)]">
        <div className="grid min-w-0 gap-4">
          <Card title="Last run" flush>
            <QueryView query={queries.runs} label="the last run" rows={3}>
              {(runs) => (
                <div className="p-4">
                  <LastRun run={newest(runs)} hasDataset={sources.datasets.length > 0} />
                </div>
              )}
            </QueryView>
          </Card>
          <Card title="Recent activity" flush>
            <QueryView query={queries.runs} label="recent activity" rows={8}>
              {() => <ActivityList activities={recentActivity(sources, 12)} />}
            </QueryView>
          </Card>
        </div>
        <div className="grid min-w-0 gap-4">
          <Card title="Serving" flush>
            <QueryView query={queries.deployments} label="deployments" rows={2}>
              {(deployments) => <ServingList deployments={deployments} />}
            </QueryView>
          </Card>
          <Card title="Tools" flush>
            <QueryView query={modules} label="tools" rows={6}>
              {(list) => <ModuleList modules={list} />}
            </QueryView>
          </Card>
        </div>
      </div>
    </Page>
  );
}
