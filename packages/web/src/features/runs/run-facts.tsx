import type { Run } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { shortDigest } from '../../lib/format.ts';
import { CodeBlock } from '../../ui/code-block.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { RelativeTime } from '../../ui/relative-time.tsx';

const LINK = 'font-medium text-accent underline-offset-2 hover:underline';

/** What a run was made from, by whom or what, and what it made. */
export function Lineage({ run }: { run: Run }): ReactNode {
  const { pipeline, pipelineGeneration, dataset, rerunOf, sweepOf } = run.spec;
  const { modelVersion, startedAt, environment, steps } = run.status;
  const cached = steps.filter((step) => step.cachedFrom != null);
  return (
    <KeyValue
      items={[
        ['Pipeline', `${pipeline}, generation ${pipelineGeneration}`],
        ['Dataset', `${dataset.name}, version ${dataset.version}`],
        [
          'Digest',
          <span key="digest" className="font-mono text-xs">
            {shortDigest(dataset.digest)}
          </span>,
          dataset.digest,
        ],
        ['Started', <RelativeTime key="started" at={startedAt} missing="waiting" />],
        ['Cause', causeText(run)],
        ...(rerunOf === undefined
          ? []
          : [['Repeats', <RunLink key="repeats" run={rerunOf.run} beside={rerunFrom(rerunOf.from)} />] as const]),
        ...(sweepOf === undefined
          ? []
          : [['Sweep', <RunLink key="sweep" run={sweepOf.run} beside={`, run ${sweepOf.index} of it`} />] as const]),
        ...(cached.length === 0 ? [] : [['From cache', cached.map((step) => step.name).join(', ')] as const]),
        ...(environment === undefined ? [] : [['Machine', `${environment.cpu}, ${environment.threads} threads`] as const]),
        ['Model', <ModelLink key="model" modelVersion={modelVersion} />],
      ]}
    />
  );
}

function causeText({ spec: { cause } }: Run): string {
  if (cause.type === 'trigger') return `trigger ${cause.trigger ?? cause.by}: ${cause.detail ?? ''}`;
  if (cause.type === 'sweep') return `sweep ${cause.by}: ${cause.detail ?? ''}`;
  return `${cause.type}, by ${cause.by}`;
}

function rerunFrom(step: string | null): string {
  return step === null ? '' : ` from ${step} on`;
}

function RunLink({ run, beside }: { run: string; beside: string }): ReactNode {
  return (
    <>
      <Link to="/runs/$name" params={{ name: run }} className={LINK}>
        {run}
      </Link>
      {beside}
    </>
  );
}

function ModelLink({ modelVersion }: { modelVersion: string | null }): ReactNode {
  const model = modelVersion?.split('/')[0];
  if (model === undefined) return <span className="text-ink-3">not registered yet</span>;
  return (
    <Link to="/models/$name" params={{ name: model }} className={LINK}>
      {modelVersion}
    </Link>
  );
}

/** Hyperparameters, the `train` block and the chains; the whole pipeline on request. */
export function Parameters({ run }: { run: Run }): ReactNode {
  const { model, train, preproc, postproc } = run.spec.pipelineSpec;
  const { resources, ...training } = train ?? {};
  return (
    <div className="grid gap-3">
      <KeyValue
        items={[
          ...texts(model.hyperparams),
          ...texts(training),
          ...texts(resources ?? {}),
          ['preproc', preproc.pipeline.join(' → ') || 'none'],
          ['postproc', postproc.pipeline.join(' → ') || 'none'],
        ]}
      />
      <details className="text-sm">
        <summary className="w-fit rounded text-xs font-medium text-ink-2 hover:text-ink">The whole pipeline as it was run</summary>
        <div className="mt-2">
          <CodeBlock code={JSON.stringify(run.spec.pipelineSpec, null, 2)} label="Pipeline" />
        </div>
      </details>
    </div>
  );
}

function texts(values: object): (readonly [string, string])[] {
  return Object.entries(values).map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : String(value)] as const);
}
