import type { ArtifactStatus, Failure, Package, PackageStatus } from '@selvedge/contract';

/** What was last seen of a package's artifact at the build tool. */
export type BuildObservation = { kind: 'unreachable'; reason: string } | { kind: 'absent' } | { kind: 'present'; status: ArtifactStatus };

/** One thing to do. `show` and `fail` change only what is known of the package; the others act. */
export type PackageAction =
  | { type: 'show'; change: Partial<Pick<PackageStatus, 'phase' | 'progress' | 'message'>> }
  | { type: 'request' }
  /** Fetch what was made, sign it and store it. */
  | { type: 'collect' }
  | { type: 'fail'; error: Failure };

/** Status of a package that nobody has begun to build. */
export const NEW_PACKAGE_STATUS: PackageStatus = {
  phase: 'Pending',
  message: 'waiting to start',
  progress: 0,
  observedGeneration: 0,
  artifact: null,
  engine: null,
  precision: null,
  archive: null,
  manifestSha256: null,
  manifest: null,
  notes: [],
  error: null,
  builtAt: null,
  benchmarks: [],
};

/** Whether nothing is left to do for the package as it is specified now. */
export function isSettled({ metadata, status }: Package): boolean {
  return status.observedGeneration === metadata.generation && (status.phase === 'Ready' || status.phase === 'Failed');
}

/**
 * What to do next with a package. Pure, and safe to repeat: the artifact's name is the key of the work, and what is stored is
 * named by its digest.
 */
export function planPackage(one: Package, observed: BuildObservation): PackageAction[] {
  if (isSettled(one)) return [];
  switch (observed.kind) {
    case 'unreachable':
      return [{ type: 'show', change: { message: observed.reason } }];
    case 'absent':
      return [{ type: 'show', change: { phase: 'Pending', progress: 0, message: 'requested' } }, { type: 'request' }];
    case 'present':
      return planPresent(observed.status);
  }
}

function planPresent({ status, progress, message, attempt, error }: ArtifactStatus): PackageAction[] {
  switch (status) {
    case 'queued':
      return [{ type: 'show', change: { phase: 'Pending', progress: 0, message: 'queued' } }];
    case 'in-progress': {
      const retried = attempt > 1 ? `attempt ${attempt} after the tool ended unexpectedly` : '';
      const text = [retried, message].filter((part) => part !== '').join(': ');
      return [{ type: 'show', change: { phase: 'Building', progress, message: text } }];
    }
    case 'completed':
      return [{ type: 'show', change: { phase: 'Building', progress: 1, message: 'signing' } }, { type: 'collect' }];
    case 'failed':
      return [{ type: 'fail', error: error ?? { code: 'BUILD_FAILED', message } }];
    case 'cancelled':
      return [{ type: 'fail', error: { code: 'CANCELLED', message: 'The build was cancelled.' } }];
  }
}
