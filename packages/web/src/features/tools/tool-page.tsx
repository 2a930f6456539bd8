import type { Module, ToolDescription } from '@selvedge/contract';
import { Link, useParams } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useArtifacts, useToolDescription } from '../../lib/containers.ts';
import { shortDigest } from '../../lib/format.ts';
import { useModules } from '../../lib/queries.ts';
import { moduleStatus } from '../../lib/status.ts';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';
import { StatusBadge } from '../../ui/status-badge.tsx';
import { ArtifactTable } from './artifact-table.tsx';

/** One tool: what it makes, how its process is, and all its artifacts. */
export function ToolPage(): ReactNode {
  const { name } = useParams({ from: '/shell/tools/$name' });
  const modules = useModules();
  const description = useToolDescription(name);
  const artifacts = useArtifacts(name);
  const found = modules.data?.find((one) => one.name === name);
  return (
    <Page
      title={name}
      trail={
        <Link to="/tools" className="hover:underline">
          Tools
        </Link>
      }
      beside={found !== undefined && <StatusBadge status={moduleStatus(found.state)} />}
      actions={<CliHint commands={[`selvedge artifact list ${name}`, `selvedge tool verify ${location.origin}/containers/${name}`]} />}
    >
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.8fr)_minmax(0,1fr)]">
        <Card title="Artifacts" flush>
          <QueryView query={artifacts} label="artifacts" rows={5}>
            {(items) => <ArtifactTable artifacts={items} />}
          </QueryView>
        </Card>
        <div className="grid min-w-0 gap-4">
          {found !== undefined && <Process module={found} />}
          <Card title="What it does">
            <QueryView query={description} label="description" rows={3}>
              {(data) => <Description description={data} />}
            </QueryView>
          </Card>
        </div>
      </div>
    </Page>
  );
}

function Process({ module }: { module: Module }): ReactNode {
  const { pid, restarts, since, lastExit, busyWith, queued } = module;
  return (
    <Card title="Process">
      <KeyValue
        items={[
          ['At work on', busyWith ?? 'nothing'],
          ['Waiting', String(queued)],
          ['Process', pid === null ? 'none' : String(pid)],
          ['Restarts', String(restarts)],
          ['Since', <RelativeTime key="since" at={since} />],
          ...(lastExit === null ? [] : [['Last end', `${lastExit.signal ?? `exit code ${lastExit.code}`}`] as const]),
        ]}
      />
    </Card>
  );
}

function Description({ description }: { description: ToolDescription }): ReactNode {
  const { description: text, makes, version, codeDigest, class: kind, inputs, parameters } = description;
  return (
    <div className="grid gap-3">
      <p className="text-sm">{text}</p>
      <KeyValue
        wrap
        items={[
          ['Makes', `${makes} (${kind})`],
          ['Version', `${version}, code ${shortDigest(codeDigest)}`],
          ...Object.entries(inputs).map(([input, told]) => [`Input ${input}`, told] as const),
        ]}
      />
      <details className="text-sm">
        <summary className="w-fit rounded text-xs font-medium text-ink-2 hover:text-ink">Its parameters, as JSON Schema</summary>
        <div className="mt-2">
          <CodeBlock code={JSON.stringify(parameters, null, 2)} label="Parameters" />
        </div>
      </details>
    </div>
  );
}
