import { join } from 'node:path';
import type { ReportedState } from '@selvedge/contract';
import { type AppliedBundle, applyBundle, waitServing } from './apply-bundle.ts';
import { type ExportedResults, exportResults } from './export-results.ts';

export interface ApplyOptions {
  /** How long what it brought is waited for, milliseconds; only while an agent runs. */
  waitMs: number;
  /** Folder that the results are written to afterwards. */
  resultsTo: string | undefined;
}

/** What `apply-bundle` says: what it did, and with `--results-to` what it wrote. */
export interface ApplyOutcome {
  applied: AppliedBundle;
  /** What serves, when that was waited for. */
  report: ReportedState | undefined;
  results: ExportedResults | undefined;
}

/** Applies a bundle, waits until it serves, and writes the results to the stick it came on. */
export async function runApply(dir: string, file: string, options: ApplyOptions, signal: AbortSignal): Promise<ApplyOutcome> {
  const applied = await applyBundle(dir, file, signal);
  const { waitMs, resultsTo } = options;
  const report = waitMs > 0 && applied.agent !== null ? await waitServing(dir, applied.desired, waitMs, signal) : undefined;
  const results = resultsTo === undefined ? undefined : await exportResults(dir, join(resultsTo, resultsName(applied.device)));
  return { applied, report, results };
}

/** Results of a device replace its earlier ones on a stick: the newest say all that there is to say. */
function resultsName(device: string): string {
  return `${device}.results`;
}

export function applyText({ applied, report, results }: ApplyOutcome): string {
  const { id, revision, files, sizeBytes, already, agent } = applied;
  const taker = agent === null ? 'The agent takes it up when it starts' : `The running agent (process ${agent}) takes it up`;
  const lines = [
    `Bundle ${id} is verified: revision ${revision}, ${files} ${files === 1 ? 'file' : 'files'}, ${sizeBytes} bytes.`,
    already ? 'It was applied before.' : `${taker}.`,
  ];
  for (const { name, model, state, servingVersion, error } of report?.workloads ?? []) {
    const fault = error === null ? '' : `: ${error.code}: ${error.message}`;
    lines.push(`  ${name}: ${model} ${servingVersion ?? '-'}, ${state}${fault}`);
  }
  if (results !== undefined) lines.push(resultsText(results));
  return lines.join('\n');
}

export function resultsText({ file, device, sequence, samples, reported }: ExportedResults): string {
  const said = reported ? 'what it serves' : 'not yet what it serves, because its agent has not run';
  return `${file}: results ${sequence} of "${device}": ${said}, ${samples ?? 'without'} samples. Bring them: selvedge bundle import-results FILE`;
}
