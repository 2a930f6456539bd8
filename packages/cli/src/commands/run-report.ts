import { resolve } from 'node:path';
import { REPORT_FORMATS, type ReportFormat } from '@selvedge/contract';
import { type Command, Option } from 'commander';
import { chunksOf } from '../connect.ts';
import { parseDatasetReference } from '../data/dataset-reference.ts';
import { saveStream } from '../data/save-stream.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { openSession } from '../session.ts';

const ENDINGS: Readonly<Record<ReportFormat, string>> = { html: 'html', json: 'json', csv: 'csv', 'metrics-csv': 'metrics.csv' };

export function registerRunReport(command: Command, io: Io): void {
  const report = command
    .command('report <name>')
    .description("save the report of a run's benchmark: scores per class, confusion, reliability, worst mistakes")
    .addOption(
      new Option('--format <format>', 'a page, all as JSON, a row per class, or a row per metric').choices(REPORT_FORMATS).default('html'),
    )
    .option('--dataset <name[@version]>', "one that the task's criteria name (default: the test data of the run's own)")
    .option('--out <file>', 'file to write (default: NAME.report.html, or what ends the format)')
    .action(async (name: string, options: { format: ReportFormat; dataset?: string; out?: string }, called: Command) => {
      const session = await openSession(called, io);
      if (options.dataset !== undefined) parseDatasetReference(options.dataset);
      const query = { format: options.format, ...(options.dataset === undefined ? {} : { dataset: options.dataset }) };
      const response = await session.client.stream('getRunReport', { params: { name }, query, signal: io.signal });
      const of = options.dataset === undefined ? '' : `.${options.dataset}`;
      const file = options.out ?? `${name}${of}.report.${ENDINGS[options.format]}`;
      await saveStream(resolve(io.cwd, file), chunksOf(response, session.settings.serverUrl));
      await session.result({ run: name, format: options.format, file: resolve(io.cwd, file) }, () => file);
    });
  finishLeaf(report, {
    examples: [
      'selvedge run report digits-1',
      'selvedge run report digits-1 --format csv --out classes.csv',
      'selvedge run report digits-1 --dataset digits-field@2',
    ],
  });
}
