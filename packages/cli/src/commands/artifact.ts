import { basename, resolve } from 'node:path';
import { AppError, type ArtifactSummary } from '@selvedge/contract';
import type { Command } from 'commander';
import { saveStream } from '../data/save-stream.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { copyTo } from '../output/copy-stream.ts';
import { ageOf } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';
import { parseArtifactReference, ToolGateway } from '../tools/tool-gateway.ts';

function artifactTable(session: Session, artifacts: readonly ArtifactSummary[]): string {
  const now = session.io.now();
  const rows = artifacts.map(({ tool, name, type, state }) => [
    `${tool}/${name}`,
    type,
    session.state(state.status),
    `${Math.floor((state.progress ?? 0) * 100)}%`,
    ageOf(state.createdAt, now),
    state.message,
  ]);
  return renderTable(['ARTIFACT', 'TYPE', 'STATE', 'PROGRESS', 'AGE', 'MESSAGE'], rows);
}

function registerList(command: Command, io: Io): void {
  const list = command
    .command('list [tool]')
    .description('list what a tool, or the runs of a pipeline, have made')
    .option('--pipeline <name>', 'of the runs of this pipeline, in all tools')
    .action(async (tool: string | undefined, options: { pipeline?: string }, called: Command) => {
      if ((tool === undefined) === (options.pipeline === undefined))
        throw new AppError('USAGE', {
          message: 'Name either a tool or a pipeline.',
          hint: 'selvedge artifact list train, or selvedge artifact list --pipeline digits; "selvedge module list" lists the tools.',
        });
      const session = await openSession(called, io);
      const gateway = new ToolGateway(session);
      const items = tool === undefined ? await gateway.ofPipeline(options.pipeline ?? '') : await gateway.ofTool(tool);
      await session.result({ items }, () => (items.length === 0 ? '' : artifactTable(session, items)));
      if (items.length === 0) session.note(`There are no artifacts of ${tool ?? options.pipeline}.`);
    });
  finishLeaf(list, { examples: ['selvedge artifact list train', 'selvedge artifact list --pipeline digits'] });
}

function registerLog(command: Command, io: Io): void {
  const log = command
    .command('log <tool/name>')
    .description('print the log of an artifact')
    .option('--follow', 'go on until the artifact is finished')
    .action(async (text: string, options: { follow?: boolean }, called: Command) => {
      const artifact = parseArtifactReference(text);
      const session = await openSession(called, io);
      const { chunks } = await new ToolGateway(session).read(artifact, options.follow === true ? 'log?follow=1' : 'log');
      await copyTo(io.stdout, chunks, io.signal);
    });
  finishLeaf(log, { examples: ['selvedge artifact log train/digits-1.train --follow'] });
}

function registerDownload(command: Command, io: Io): void {
  const download = command
    .command('download <tool/name>')
    .description('save the data of an artifact: its file, or a zip of its files')
    .option('--file <path>', 'only this file of it, like model.onnx')
    .option('--out <file>', 'file to write (default: named after the artifact or the file)')
    .action(async (text: string, options: { file?: string; out?: string }, called: Command) => {
      const artifact = parseArtifactReference(text);
      const session = await openSession(called, io);
      const inside = (options.file ?? '').split('/').map(encodeURIComponent).join('/');
      const { chunks, contentType } = await new ToolGateway(session).read(artifact, inside === '' ? 'data' : `data/${inside}`);
      const ending = contentType === 'application/zip' ? '.zip' : '';
      const file = options.out ?? (options.file === undefined ? `${artifact.name}${ending}` : basename(options.file));
      await saveStream(resolve(io.cwd, file), chunks);
      await session.result({ artifact: text, file: resolve(io.cwd, file) }, () => file);
    });
  finishLeaf(download, {
    examples: ['selvedge artifact download train/digits-1.train --file model.onnx', 'selvedge artifact download split/digits-1.split'],
  });
}

function registerEnd(
  command: Command,
  io: Io,
  what: { name: string; description: string; done: string; method: 'cancel' | 'remove' },
): void {
  const end = command
    .command(`${what.name} <tool/name>`)
    .description(what.description)
    .action(async (text: string, _options: object, called: Command) => {
      const artifact = parseArtifactReference(text);
      const session = await openSession(called, io);
      await new ToolGateway(session)[what.method](artifact);
      await session.result({ artifact: text, action: what.done }, () => `${text} ${what.done}`);
    });
  finishLeaf(end, { examples: [`selvedge artifact ${what.name} train/digits-1.train`] });
}

export function registerArtifact(command: Command, io: Io): void {
  registerList(command, io);
  registerLog(command, io);
  registerDownload(command, io);
  registerEnd(command, io, { name: 'cancel', description: 'end the making of an artifact', done: 'is being cancelled', method: 'cancel' });
  registerEnd(command, io, {
    name: 'rm',
    description: 'remove an artifact and its files; one that is being made is cancelled first',
    done: 'removed',
    method: 'remove',
  });
}
