import type { HttpHandlers } from './adapters/device-port/http-endpoint.ts';
import type { FsDeltaStore } from './adapters/fs/fs-delta-store.ts';
import type { BlobStore } from './ports/blob-store.ts';
import type { DeviceContent } from './services/device-content.ts';
import { DeviceDeltas } from './services/device-deltas.ts';
import type { DeviceEnrolment } from './services/device-enrolment.ts';
import type { TransferService } from './services/transfer-service.ts';

interface DeviceHandlerParts {
  enrolment: DeviceEnrolment;
  content: DeviceContent;
  blobs: BlobStore;
  /** Without it, devices fetch whole files. */
  deltaStore: FsDeltaStore | undefined;
  transfers: TransferService;
}

/** What answers the HTTP requests of devices: each is identified, and gets what it may have. */
export function deviceHandlers({ enrolment, content, blobs, deltaStore, transfers }: DeviceHandlerParts): HttpHandlers {
  const deltas = deltaStore === undefined ? undefined : new DeviceDeltas({ content, blobs, deltas: deltaStore });
  return {
    join: (request, address) => enrolment.join(request, address),
    renew: (certificate, csrPem) => enrolment.renew(certificate, csrPem),
    trustOf: (certificate) => enrolment.trustOf(certificate),
    statBlob: async (certificate, sha256) => {
      const { name } = await enrolment.identify(certificate);
      const blob = (await content.mayFetch(name, sha256)) ? await blobs.stat(sha256) : undefined;
      return blob ?? (await deltas?.find(name, sha256)) ?? transfers.stat(name, sha256);
    },
    openBlob: async ({ commonName }, sha256, range) => {
      if ((await transfers.stat(commonName, sha256)) !== undefined) return transfers.open(commonName, sha256, range);
      return (await blobs.open(sha256, range)) ?? deltaStore?.open(sha256, range);
    },
    offerDelta: async (certificate, sha256, from) => deltas?.offer((await enrolment.identify(certificate)).name, sha256, from),
    offerPackageDelta: async (certificate, manifest, from) =>
      deltas?.offerPackage((await enrolment.identify(certificate)).name, manifest, from),
    sentBytes: async (certificate, operation) => transfers.sentBytes((await enrolment.identify(certificate)).name, operation),
    receive: async (certificate, operation, body, part) =>
      transfers.receiveFromDevice((await enrolment.identify(certificate)).name, operation, body, part),
  };
}
