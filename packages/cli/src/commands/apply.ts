import type { applyResultSchema } from '@selvedge/contract';
import type { Command } from 'commander';
import type * as z from 'zod';
import { type CheckedDocument, checkDocuments } from '../documents/check-documents.ts';
import { readEmbeddedFiles } from '../documents/embedded-files.ts';
import { locateServerIssues } from '../documents/locate-server-issues.ts';
import { readSources } from '../documents/read-sources.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { openSession, type Session } from '../session.ts';

interface ApplyOptions {
  file: string[];
  name?: string;
  dryRun?: boolean;
}

type ApplyResult = z.output<typeof applyResultSchema>;

const NOTES = `Files are YAML (one or many documents) or JSON, in which comments and trailing commas are allowed. A pipeline file
in the four-block form (dataset, model, preproc, postproc) is taken as a Pipeline named by --name, else by the file's
name, else, for a file called "pipeline", by its folder. C++ files in build.sources,
and script and files of a training in Python, may be written as paths relative to the file.`;

async function send(session: Session, checked: readonly CheckedDocument[], dryRun: boolean): Promise<ApplyResult> {
  try {
    return await session.client.apply({ body: { documents: checked.map((one) => one.document), dryRun }, signal: session.io.signal });
  } catch (error) {
    throw locateServerIssues(error, checked);
  }
}

function nextSteps(session: Session, { results }: ApplyResult): void {
  const changed = results.filter((one) => one.action !== 'unchanged');
  const pipeline = changed.find((one) => one.kind === 'Pipeline');
  if (pipeline !== undefined) session.note(`Next: selvedge pipeline run ${pipeline.name} --watch`);
  const served = changed.find((one) => one.kind === 'InferenceModel');
  if (served !== undefined) session.note(`Next: selvedge get InferenceModel ${served.name}`);
}

export function registerApply(command: Command, io: Io): void {
  command
    .requiredOption('-f, --file <path...>', 'files, folders, or - for stdin')
    .option('--name <name>', 'name of a pipeline file that has none')
    .option('--dry-run', 'let the server check everything and change nothing')
    .action(async (options: ApplyOptions, called: Command) => {
      const session = await openSession(called, io);
      const sources = await readSources(options.file, io);
      const checked = checkDocuments(sources, options.name, await readEmbeddedFiles(sources, io));
      const result = await send(session, checked, options.dryRun === true);
      const suffix = options.dryRun === true ? ' (dry run)' : '';
      await session.result(result, () => result.results.map((one) => `${one.kind}/${one.name} ${one.action}${suffix}`).join('\n'));
      if (options.dryRun !== true) nextSteps(session, result);
    });
  finishLeaf(command, {
    examples: [
      'selvedge apply -f digits/pipeline.json --name digits',
      'selvedge apply -f fleet/ --dry-run',
      'cat model.yaml | selvedge apply -f -',
    ],
    notes: NOTES,
  });
}
