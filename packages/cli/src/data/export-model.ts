import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type ModelVersion, REPORT_FORMATS, type ReportFormat } from '@selvedge/contract';
import { chunksOf } from '../connect.ts';
import type { Session } from '../session.ts';
import { downloadModel } from './download-model.ts';
import { saveStream } from './save-stream.ts';

const REPORT_FILES: Readonly<Record<ReportFormat, string>> = {
  html: 'report.html',
  json: 'report.json',
  csv: 'report.csv',
  'metrics-csv': 'metrics.csv',
};

export interface ExportedModel {
  readonly files: { path: string; sha256: string }[];
  /** What could not be had, and why. */
  readonly missing: string[];
}

const json = (value: unknown): string[] => [`${JSON.stringify(value, null, 2)}\n`];

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** The reports of the run that made the version; those that are gone are named. */
async function saveReports(session: Session, version: ModelVersion, folder: string): Promise<string[]> {
  const { client, io, settings } = session;
  const run = version.spec.lineage?.run;
  if (run === undefined) return ['reports: no run made this version'];
  const missing: string[] = [];
  for (const format of REPORT_FORMATS) {
    try {
      const response = await client.stream('getRunReport', { params: { name: run }, query: { format }, signal: io.signal });
      await saveStream(join(folder, REPORT_FILES[format]), chunksOf(response, settings.serverUrl));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'NOT_FOUND') throw error;
      missing.push(`${REPORT_FILES[format]}: ${error.message}`);
    }
  }
  return missing;
}

/**
 * Writes a version with all that is known of it into a folder: model.onnx, MODEL_CARD.md, the reports, model.json (tensors,
 * labels, pre- and post-processing, metrics), lineage.json, and SHA256SUMS, which `sha256sum -c` checks.
 *
 * @throws AppError USAGE when the folder is not empty; what downloads throw.
 */
export async function exportModel(session: Session, version: ModelVersion, folder: string): Promise<ExportedModel> {
  const { client, io, settings } = session;
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) throw new AppError('USAGE', { message: `${folder} is not empty.`, hint: 'Name a new folder.' });
  const params = { name: version.spec.model, version: version.spec.version };
  const { inputs, outputs, labels, preproc, postproc, metrics } = version.spec;
  await downloadModel(session, version, join(folder, 'model.onnx'));
  const card = await client.stream('getModelCard', { params, signal: io.signal });
  await saveStream(join(folder, 'MODEL_CARD.md'), chunksOf(card, settings.serverUrl));
  await saveStream(join(folder, 'model.json'), json({ ...params, inputs, outputs, labels, preproc, postproc, metrics }));
  await saveStream(join(folder, 'preproc.json'), json(preproc));
  await saveStream(join(folder, 'postproc.json'), json(postproc));
  await saveStream(join(folder, 'lineage.json'), json(await client.getModelLineage({ params, signal: io.signal })));
  const missing = await saveReports(session, version, folder);
  const files: ExportedModel['files'] = [];
  for (const path of (await readdir(folder)).sort()) files.push({ path, sha256: await sha256Of(join(folder, path)) });
  await saveStream(
    join(folder, 'SHA256SUMS'),
    files.map(({ path, sha256 }) => `${sha256}  ${path}\n`),
  );
  return { files, missing };
}
