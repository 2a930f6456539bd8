import type { DesiredWorkload } from '@selvedge/contract';
import type { VersionRecord } from './agent-state.ts';
import { versionKey } from './version-key.ts';

/** A native package that fails as often in a row gives way to the model server. */
const MAX_ATTEMPTS = 2;

/** Faults of the package itself: trying again would end the same way. */
const LASTING_CODES: readonly string[] = ['SIGNATURE_INVALID', 'ARCHIVE_UNSAFE', 'INPUT_INVALID', 'SELF_TEST_FAILED', 'MODEL_INVALID'];

/** Faults of the way to the server: they say nothing about the package. */
const NETWORK_CODES: readonly string[] = ['SERVER_UNREACHABLE', 'DOWNLOAD_FAILED', 'NOT_FOUND', 'FORBIDDEN', 'DISK_FULL', 'RATE_LIMITED'];

/**
 * The ways to serve what is desired, the preferred first: its native package where this device can run it, then the model
 * server, which can serve every version.
 *
 * @param targets - whose packages this device runs.
 */
export function waysToServe(desired: DesiredWorkload, targets: readonly string[]): [VersionRecord, ...VersionRecord[]] {
  const { model, version, manifest, native } = desired;
  const server: VersionRecord = { key: versionKey(version, manifest.sha256), model, version, manifest };
  if (native === undefined || !targets.includes(native.target)) return [server];
  return [{ ...server, key: versionKey(version, native.manifestSha256), native }, server];
}

/** What is said of a package that this device cannot run. */
export function otherTarget(target: string, targets: readonly string[]): string {
  const own = targets.length === 0 ? 'none' : targets.join(', ');
  return `The package is for ${target}; this device runs packages for: ${own}.`;
}

/** Whether a native package that failed with `code`, `attempts` times in a row, is given up. */
export function givesUp(code: string, attempts: number): boolean {
  if (NETWORK_CODES.includes(code)) return false;
  return LASTING_CODES.includes(code) || attempts >= MAX_ATTEMPTS;
}
