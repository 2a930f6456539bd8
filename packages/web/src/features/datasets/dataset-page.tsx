import { type DatasetVersion, describeDatasetSource } from '@selvedge/contract';
import { Link, useParams } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { formatBytes, shortDigest } from '../../lib/format.ts';
import { useList, useResource } from '../../lib/queries.ts';
import { datasetStatus } from '../../lib/status.ts';
import { buttonClasses } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { Segmented } from '../../ui/segmented.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { RecallButton } from '../rollouts/recall-dialog.tsx';
import { splitsText } from './content.ts';
import { DatasetChanges } from './dataset-changes.tsx';
import { DatasetBalance, DatasetFindings } from './dataset-findings.tsx';
import { DatasetSamples } from './dataset-samples.tsx';
import { VerifyVersion } from './verify-version.tsx';

const CHOICES_SHOWN = 6;

/** A dataset: what is in a version, what it looks like, what was found wrong with it, and who needs it. */
export function DatasetPage(): ReactNode {
  const { name } = useParams({ from: '/shell/datasets/$name' });
  const dataset = useResource('Dataset', name);
  const all = useList('DatasetVersion');
  const [picked, setPicked] = useState<string>();
  const versions = (all.data ?? [])
    .filter(({ spec, status }) => spec.dataset === name && status.sameAs === undefined)
    .toSorted((a, b) => b.spec.version - a.spec.version);
  const shown = versions.find(({ spec }) => String(spec.version) === picked) ?? versions[0];
  const options = versions.slice(0, CHOICES_SHOWN).map(({ spec }) => ({ id: String(spec.version), text: `v${spec.version}` }));
  return (
    <Page
      title={name}
      trail={
        <Link to="/datasets" className="hover:underline">
          Datasets
        </Link>
      }
      beside={shown !== undefined && <StatusBadge status={datasetStatus(shown.status.phase)} />}
      actions={
        <>
          {options.length > 1 && (
            <Segmented label="Version" options={options} value={String(shown?.spec.version ?? '')} onChange={setPicked} />
          )}
          <CliHint commands={hints(name, shown)} />
        </>
      }
    >
      <QueryView query={dataset} label={`dataset ${name}`} rows={4}>
        {() =>
          shown === undefined ? (
            <Card>
              <EmptyState icon="dataset" title="No version yet" command={`selvedge dataset add ${name} --from FOLDER`}>
                Versions are immutable: adding data makes a new one.
              </EmptyState>
            </Card>
          ) : (
            <Version key={shown.metadata.uid} version={shown} previous={versions[versions.indexOf(shown) + 1]} />
          )
        }
      </QueryView>
    </Page>
  );
}

function hints(name: string, version: DatasetVersion | undefined): string[] {
  const reference = version === undefined ? name : `${name}@${version.spec.version}`;
  return [
    `selvedge dataset show ${reference}`,
    `selvedge dataset split ${reference} --shares train=0.8,validation=0.1,test=0.1`,
    `selvedge dataset verify ${reference}`,
    `selvedge dataset export ${reference} --to FOLDER`,
    `selvedge recall --dataset ${reference}`,
    `selvedge dataset rm ${reference}`,
  ];
}

function Version({ version, previous }: { version: DatasetVersion; previous: DatasetVersion | undefined }): ReactNode {
  const { content, phase } = version.status;
  if (content === null) return <Unfinished version={version} />;
  const { dataset, version: number } = version.spec;
  const archive = `/api/v1/datasets/${encodeURIComponent(dataset)}/versions/${number}/archive`;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)]">
      <div className="grid min-w-0 gap-4">
        {content.type !== 'tabular' && phase === 'Ready' && <DatasetSamples version={version} />}
        <DatasetBalance version={version} />
      </div>
      <div className="grid min-w-0 gap-4">
        <Card
          title={`Version ${number}`}
          actions={
            <>
              <a href={archive} download={`${dataset}-${number}.tar`} className={buttonClasses('quiet', 'sm')}>
                Download
              </a>
              <RecallButton source={{ dataset, datasetVersion: number }} size="sm" />
            </>
          }
        >
          <KeyValue
            items={[
              ['Type', content.type ?? 'image-classification'],
              ['Splits', splitsText(content)],
              ['Files', `${content.files.toLocaleString('en')}, ${formatBytes(content.sizeBytes)}`],
              ['Classes', `${content.labels.length}: ${content.labels.join(', ')}`],
              ['Source', describeDatasetSource(version)],
              [
                'Digest',
                <span key="digest" className="font-mono text-xs">
                  {shortDigest(content.digest)}
                </span>,
                content.digest,
              ],
              ['Added', <RelativeTime key="added" at={version.metadata.createdAt} missing="unknown" />],
            ]}
          />
          <VerifyVersion version={version} />
        </Card>
        {previous?.status.content != null && <DatasetChanges from={previous} to={version} />}
        <DatasetFindings version={version} />
      </div>
    </div>
  );
}

/** What is being imported, or has failed to be. */
function Unfinished({ version }: { version: DatasetVersion }): ReactNode {
  const { error, message } = version.status;
  return (
    <Card title={`Version ${version.spec.version}`}>
      <div className="grid gap-3">
        <p className="text-sm break-words whitespace-pre-wrap">{error?.message ?? (message === '' ? 'Being imported.' : message)}</p>
        {error?.hint !== undefined && <p className="text-sm text-ink-2">{error.hint}</p>}
        <KeyValue items={[['Source', describeDatasetSource(version)]]} />
      </div>
    </Card>
  );
}
