import { AppError, MAX_RESULTS_BYTES, type ResultsStatement } from '@selvedge/contract';
import { signResults } from '@selvedge/runtime/bundle';
import { FolderStateStore } from '../adapters/disk/state-folder.ts';
import { withBundles } from './bundle-state.ts';
import { waitingTelemetry } from './waiting-telemetry.ts';
import { writeAskedFile } from './write-asked-file.ts';

export interface ExportedResults {
  file: string;
  device: string;
  sequence: number;
  /** The bundle that was applied last; null before the first. */
  bundle: string | null;
  /** Whether the agent has ever reported what it serves. */
  reported: boolean;
  /** Samples of telemetry; null when the agent that runs did not hand them over. */
  samples: number | null;
  sizeBytes: number;
}

/**
 * Writes what this device has to say to one file, signed by its key, for `selvedge bundle import-results`.
 *
 * @throws AppError CONFLICT (user) when the folder has not joined; PAYLOAD_TOO_LARGE, FILE_UNREADABLE (user) when the file cannot
 *   be written; DISK_FULL (operational).
 */
export async function exportResults(dir: string, file: string, clock = () => Date.now()): Promise<ExportedResults> {
  return withBundles(dir, async ({ folder, stored, memory }) => {
    const sequence = memory.resultsSequence + 1;
    const waiting = await waitingTelemetry(dir, stored.identity.device);
    const statement: ResultsStatement = {
      formatVersion: 1,
      device: stored.identity.device,
      sequence,
      createdAt: new Date(clock()).toISOString(),
      bundle: memory.last,
      reported: (await new FolderStateStore(dir).loadReport()) ?? null,
      telemetry: waiting ?? [],
    };
    const bytes = signResults(statement, stored);
    if (bytes.length > MAX_RESULTS_BYTES)
      throw new AppError('PAYLOAD_TOO_LARGE', { message: `The results have ${bytes.length} bytes; ${MAX_RESULTS_BYTES} are allowed.` });
    // Counted before the file is there: two files never have one number.
    await folder.writeMemory({ ...memory, resultsSequence: sequence });
    await writeAskedFile(file, bytes);
    const { device, bundle, reported } = statement;
    return {
      file,
      device,
      sequence,
      bundle: bundle?.id ?? null,
      reported: reported !== null,
      samples: waiting === undefined ? null : waiting.reduce((sum, { samples }) => sum + samples.length, 0),
      sizeBytes: bytes.length,
    };
  });
}
