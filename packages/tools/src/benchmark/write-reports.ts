import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchmarkReport, PreprocSpec, TensorSet, WantedMetric } from '@selvedge/contract';
import { yieldToEvents } from '../kit/index.ts';
import type { SplitReader } from '../tensor-set/tensor-set-reader.ts';
import { judge } from './report/criteria.ts';
import { classCsv, metricsCsv } from './report/csv.ts';
import { htmlReport, type ShownMistake } from './report/html-report.ts';
import { type Picture, SamplePictures } from './sample-pictures.ts';
import type { Scores } from './scores.ts';

export interface ReportFiles {
  readonly dataDir: string;
  readonly title: string;
  readonly wanted: readonly WantedMetric[];
  readonly report: BenchmarkReport;
  readonly scores: Scores;
  readonly info: TensorSet;
  readonly test: SplitReader;
  readonly preproc: PreprocSpec | undefined;
  readonly signal: AbortSignal;
}

/** Writes report.json, report.csv (a row per class), metrics.csv and report.html. */
export async function writeReports({ dataDir, title, wanted, report, scores, info, test, preproc, signal }: ReportFiles): Promise<void> {
  const pictures = new SamplePictures(info, test, preproc);
  const mistakes: ShownMistake[] = [];
  for (const mistake of scores.mistakes) {
    await yieldToEvents(signal);
    const shown: Picture[] = [];
    for (const sample of [mistake.sample, ...(mistake.beside === undefined ? [] : [mistake.beside])]) {
      const picture = await pictures.read(sample);
      if (picture !== undefined) shown.push(picture);
    }
    mistakes.push({ mistake, pictures: shown });
  }
  await writeFile(join(dataDir, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(join(dataDir, 'report.csv'), classCsv(report));
  await writeFile(join(dataDir, 'metrics.csv'), metricsCsv(report));
  await writeFile(
    join(dataDir, 'report.html'),
    htmlReport({ title, report, scores, labels: info.labels, mistakes, criteria: judge(report.metrics, wanted) }),
  );
}
