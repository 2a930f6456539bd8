import { resolve } from 'node:path';
import type { Client, GateResult, ModelVersion } from '@selvedge/contract';
import type { Command } from 'commander';
import { downloadModel } from '../data/download-model.ts';
import { findVersion } from '../data/model-reference.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { ageOf, formatBytes, formatNumber, orDash } from '../output/format.ts';
import { renderFields, renderTable } from '../output/table.ts';
import { listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { registerModelRegistry } from './model-registry.ts';

type ModelDetail = Awaited<ReturnType<Client['getModel']>>;

function metric(version: ModelVersion, name: string): string {
  const value = version.spec.metrics[`test/${name}`] ?? version.spec.metrics[name];
  return value === undefined ? '-' : formatNumber(value);
}

function aliasesOf({ model }: ModelDetail, version: string): string {
  const aliases = Object.entries(model.status.aliases).filter(([, target]) => target === version);
  return orDash(aliases.map(([alias]) => alias).join(','));
}

function versionTable(detail: ModelDetail, now: number): string {
  const rows = detail.versions.map((one) => [
    one.spec.version,
    aliasesOf(detail, one.spec.version),
    metric(one, 'accuracy'),
    metric(one, 'f1'),
    formatBytes(one.spec.file.sizeBytes),
    String(one.status.servedBy),
    orDash(one.spec.lineage?.run),
    ageOf(one.metadata.createdAt, now),
  ]);
  return renderTable(['VERSION', 'ALIASES', 'ACCURACY', 'F1', 'SIZE', 'SERVED BY', 'RUN', 'AGE'], rows);
}

function shapeText(tensors: ModelVersion['spec']['inputs']): string {
  return tensors.map((one) => `${one.name} ${one.dataType}[${one.shape.map((size) => size ?? '?').join(',')}]`).join(', ');
}

function describeModel(detail: ModelDetail, now: number): string {
  const { name } = detail.model.metadata;
  const [latest] = detail.versions;
  if (latest === undefined) return renderFields([['Model', name]]);
  const { spec } = latest;
  const facts = renderFields([
    ['Model', name],
    ['Description', orDash(detail.model.spec.description)],
    ['Newest', spec.version],
    ['Inputs', shapeText(spec.inputs)],
    ['Outputs', shapeText(spec.outputs)],
    ['Labels', orDash(spec.labels.slice(0, 20).join(' '))],
    ['Preprocessing', orDash(spec.preproc.pipeline.join(' → '))],
    ['Postprocessing', orDash(spec.postproc.pipeline.join(' → '))],
    ['Dataset', spec.lineage === null ? '-' : `${spec.lineage.dataset.name} version ${spec.lineage.dataset.version}`],
    ['File', `sha256 ${spec.file.sha256}`],
  ]);
  const gates = latest.status.gates ?? [];
  const parts = [facts, versionTable(detail, now), gates.length === 0 ? '' : `Constraints of its task:\n${gateTable(gates)}`];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** What a version must keep to, and how it does. */
export function gateTable(gates: readonly GateResult[]): string {
  const rows = gates.map(({ metric, operator, wanted, dataset, passed, message }) => [
    `${operator === null ? metric : `${metric} ${operator} ${wanted}`}${dataset === undefined ? '' : ` on ${dataset}`}`,
    passed === null ? '-' : passed ? 'passed' : 'not passed',
    message,
  ]);
  return renderTable(['GATE', 'STATE', 'MEASURED'], rows);
}

function registerDownload(command: Command, io: Io): void {
  const download = command
    .command('download <name> [version]')
    .description('download the ONNX file of a version or alias (default: latest)')
    .requiredOption('-o, --out <file>', 'file to write')
    .action(async (name: string, wanted: string | undefined, options: { out: string }, called: Command) => {
      const session: Session = await openSession(called, io);
      const version = findVersion(await session.client.getModel({ params: { name }, signal: io.signal }), wanted ?? 'latest');
      const path = resolve(io.cwd, options.out);
      await downloadModel(session, version, path);
      const { sha256, sizeBytes } = version.spec.file;
      await session.result(
        { model: name, version: version.spec.version, file: path, sha256, sizeBytes },
        () => `${options.out}: ${name} version ${version.spec.version}, ${formatBytes(sizeBytes)}, sha256 ${sha256}`,
      );
    });
  finishLeaf(download, { examples: ['selvedge model download digits 3 -o digits.onnx'], output: 'file' });
}

export function registerModel(command: Command, io: Io): void {
  const list = command
    .command('list')
    .description('show the models')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const items = await listAll(session, 'Model');
      await session.result({ items }, () => {
        const rows = items.map(({ metadata, status }) => [
          metadata.name,
          status.aliases.latest ?? '-',
          String(status.versions.length),
          ageOf(metadata.updatedAt, io.now()),
        ]);
        return items.length === 0 ? '' : renderTable(['MODEL', 'LATEST', 'VERSIONS', 'CHANGED'], rows);
      });
      if (items.length === 0) session.note('No models. A run of a pipeline makes one: "selvedge pipeline run NAME --watch".');
    });
  finishLeaf(list, { examples: ['selvedge model list'] });
  const show = command
    .command('show <name>')
    .description('show a model with its versions, newest first')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const detail = await session.client.getModel({ params: { name }, signal: io.signal });
      await session.result(detail, () => describeModel(detail, io.now()));
    });
  finishLeaf(show, { examples: ['selvedge model show digits'] });
  registerDownload(command, io);
  registerModelRegistry(command, io);
}
