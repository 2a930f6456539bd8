import type { Bundle, BundleStatement, BundleStatus, Device } from '@selvedge/contract';

export function newBundleStatus(devices: readonly string[]): BundleStatus {
  return { revoked: null, devices: devices.map((device) => ({ device, state: 'pending', returnedAt: null })) };
}

/** Of the devices of a bundle those that are no longer the ones that it was made for. */
export function removedDevices({ spec }: Bundle, findDevice: (name: string) => Device | undefined): Bundle['spec']['devices'] {
  return spec.devices.filter(({ device, uid }) => findDevice(device)?.metadata.uid !== uid);
}

/** What came back from a device; what was void stays so. */
export function withReturned(status: BundleStatus, device: string, nowIso: string): BundleStatus {
  return {
    ...status,
    devices: status.devices.map((one) =>
      one.device === device && one.state !== 'void' ? { ...one, state: 'returned', returnedAt: nowIso } : one,
    ),
  };
}

/** The device was removed before it came back. */
export function withVoid(status: BundleStatus, device: string): BundleStatus {
  return {
    ...status,
    devices: status.devices.map((one) => (one.device === device && one.state === 'pending' ? { ...one, state: 'void' } : one)),
  };
}

/**
 * What the next bundle tells devices not to take: the bundles that were revoked and could still be applied, and the
 * certificates of devices that were removed, as far as a bundle was ever made for them. The newest first, at most so many.
 */
export function revocations(
  bundles: readonly Bundle[],
  findDevice: (name: string) => Device | undefined,
  nowIso: string,
  max = 10_000,
): BundleStatement['revoked'] {
  const newest = [...bundles].sort((a, b) => (a.metadata.name < b.metadata.name ? 1 : -1));
  const revoked = newest.filter(({ spec, status }) => status.revoked !== null && spec.expiresAt > nowIso);
  const certificates = new Set<string>();
  for (const bundle of newest)
    for (const removed of removedDevices(bundle, findDevice)) for (const sha256 of removed.certificates) certificates.add(sha256);
  return { bundles: revoked.slice(0, max).map(({ metadata }) => metadata.name), certificates: [...certificates].slice(0, max) };
}
