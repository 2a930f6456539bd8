import { API_VERSION, type Bundle } from '@selvedge/contract';
import { metadata } from './fixture-resources.ts';

/** A bundle for two devices, of which the first has come back. */
export function bundle(name: string, createdAt: string, expiresAt: string, devices: readonly [string, string]): Bundle {
  const certificates = ['b'.repeat(64)];
  return {
    apiVersion: API_VERSION,
    kind: 'Bundle',
    metadata: metadata(name, createdAt),
    spec: {
      target: 'site=north',
      by: 'admin',
      expiresAt,
      devices: devices.map((device) => ({ device, uid: device, certificates, revision: 14 })),
      statement: { sha256: 'c'.repeat(64), sizeBytes: 4096 },
      files: 3,
      sizeBytes: 6_291_456,
    },
    status: {
      revoked: null,
      devices: [
        { device: devices[0], state: 'returned', returnedAt: createdAt },
        { device: devices[1], state: 'pending', returnedAt: null },
      ],
    },
  };
}
