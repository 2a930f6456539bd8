import { type ModelVersion, NOTE_ANNOTATION, type TensorSpec } from '@selvedge/contract';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { formatBytes, formatShape, shortDigest } from '../../lib/format.ts';
import { GateList } from '../../ui/gate-list.tsx';
import { KeyValue } from '../../ui/key-value.tsx';
import { NoteDialog } from './note-dialog.tsx';

/** What goes in and comes out of a version, and where it comes from. */
export function VersionDetail({ version }: { version: ModelVersion }): ReactNode {
  const { inputs, outputs, labels, preproc, postproc, file } = version.spec;
  const { gates = [] } = version.status;
  return (
    <div className="grid grid-cols-1 gap-x-8 gap-y-5 md:grid-cols-2">
      <Section title="In and out">
        <div className="grid gap-2 text-sm">
          <Tensors title="Input" tensors={inputs} />
          <Tensors title="Output" tensors={outputs} />
          <KeyValue
            items={[
              ['Before', preproc.pipeline.join(' → ') || 'nothing'],
              ['After', postproc.pipeline.join(' → ') || 'nothing'],
              ['Classes', labels.length === 0 ? 'none' : `${labels.length}: ${labels.join(', ')}`],
              ['File', `${formatBytes(file.sizeBytes)}, sha256 ${shortDigest(file.sha256)}`, file.sha256],
            ]}
          />
        </div>
      </Section>
      <Section title="Lineage">
        <Lineage version={version} />
        <Documents version={version} />
      </Section>
      {gates.length > 0 && (
        <div className="min-w-0 md:col-span-2">
          <Section title="Gates: what it must keep to be deployed">
            <GateList caption={`Gates of version ${version.spec.version}`} results={gates} />
          </Section>
        </div>
      )}
    </div>
  );
}

/** What was written about a version, by people and by its benchmark. */
function Documents({ version }: { version: ModelVersion }): ReactNode {
  const { model, version: number, lineage } = version.spec;
  const note = version.metadata.annotations[NOTE_ANNOTATION];
  const [editing, setEditing] = useState(false);
  const card = `/api/v1/models/${model}/versions/${encodeURIComponent(number)}/card`;
  const link = 'font-medium text-accent underline-offset-2 hover:underline';
  return (
    <div className="mt-3 grid gap-2 text-sm">
      {editing && <NoteDialog version={version} onClose={() => setEditing(false)} />}
      {note !== undefined && <p className="whitespace-pre-wrap rounded-md border border-line bg-sunken px-2.5 py-1.5">{note}</p>}
      <p className="flex flex-wrap gap-x-4 gap-y-1">
        {lineage !== null && (
          <a href={`/api/v1/runs/${lineage.run}/report`} target="_blank" rel="noopener" className={link}>
            Report
          </a>
        )}
        <a href={card} download={`${model}-${number}.md`} className={link}>
          Download model card
        </a>
        <a href={`/api/v1/models/${model}/versions/${encodeURIComponent(number)}/lineage`} target="_blank" rel="noopener" className={link}>
          Lineage as JSON
        </a>
        <button type="button" className={link} onClick={() => setEditing(true)}>
          {note === undefined ? 'Write a note' : 'Edit the note'}
        </button>
      </p>
    </div>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }): ReactNode {
  return (
    <div className="min-w-0">
      <h3 className="mb-2 text-xs font-semibold text-ink-3">{title}</h3>
      {children}
    </div>
  );
}

function Tensors({ title, tensors }: { title: string; tensors: readonly TensorSpec[] }): ReactNode {
  return (
    <ul className="grid gap-1">
      {tensors.map((tensor) => (
        <li key={tensor.name} className="rounded-md border border-line bg-sunken px-2.5 py-1.5">
          <span className="flex min-w-0 items-baseline justify-between gap-3">
            <span className="min-w-0 truncate font-mono text-xs font-medium" title={tensor.name}>
              {tensor.name}
            </span>
            <span className="shrink-0 text-xs text-ink-2">{title}</span>
          </span>
          <span className="block font-mono text-xs text-ink-2">
            {tensor.dataType} {formatShape(tensor.shape)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Lineage({ version }: { version: ModelVersion }): ReactNode {
  const { lineage, evaluations = [] } = version.spec;
  if (lineage === null) return <p className="text-sm text-ink-3">Imported from outside: Selvedge does not know how it was made.</p>;
  const { run, dataset, pipeline, pipelineGeneration, tools, parameters } = lineage;
  const simple = simpleParameters(parameters);
  return (
    <KeyValue
      items={[
        [
          'Run',
          <Link
            key="run"
            to="/runs/$name"
            params={{ name: run }}
            title={run}
            className="font-medium text-accent underline-offset-2 hover:underline"
          >
            {run}
          </Link>,
        ],
        [
          'Pipeline',
          <Link
            key="pipeline"
            to="/pipelines/$name"
            params={{ name: pipeline }}
            title={pipeline}
            className="text-accent underline-offset-2 hover:underline"
          >
            {pipeline}, generation {pipelineGeneration}
          </Link>,
        ],
        ['Dataset', `${dataset.name}, version ${dataset.version} (${shortDigest(dataset.digest)})`, dataset.digest],
        ...(evaluations.length === 0
          ? []
          : [['Measured on', evaluations.map(({ dataset: on, samples }) => `${on.name}@${on.version} (${samples})`).join(', ')] as const]),
        ...simple,
        [
          'Tools',
          Object.keys(tools).join(', ') || 'not recorded',
          Object.entries(tools)
            .map(([tool, digest]) => `${tool} ${digest}`)
            .join('\n'),
        ],
      ]}
    />
  );
}

/** Hyperparameters by their own name; those of other blocks with it, because several have a `seed`. */
function nameOf(block: string, name: string): string {
  return block === 'hyperparams' ? name : `${block}.${name}`;
}

/** Parameters that fit on a line; of a block (`hyperparams`, `train`) those inside it. */
function simpleParameters(parameters: Record<string, unknown>): (readonly [string, string])[] {
  return Object.entries(parameters).flatMap(([key, value]): (readonly [string, string])[] => {
    if (value === null || value === undefined) return [];
    if (typeof value !== 'object') return [[key, String(value)]];
    return Object.entries(value).flatMap(([inner, part]) =>
      typeof part === 'object' ? [] : [[nameOf(key, inner), String(part)] as const],
    );
  });
}
