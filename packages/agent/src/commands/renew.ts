import { AppError, joinResponseSchema } from '@selvedge/contract';
import { postJson } from '@selvedge/device-link';
import { makeCertificateRequest } from '@selvedge/device-link/joining';
import { accessOf, readIdentity, writeCertificate } from '../adapters/disk/identity-folder.ts';

/**
 * Fetches a new certificate for the same key. A command of its own, which `run` starts as a short-lived process: so the
 * long-lived one never loads the X.509 library.
 *
 * @throws AppError CONFLICT (user) when the folder has not joined; what the server answers, e.g. DEVICE_REVOKED.
 */
export async function renewCertificate(dir: string, signal?: AbortSignal): Promise<void> {
  const stored = await readIdentity(dir);
  if (stored === undefined) throw new AppError('CONFLICT', { message: `${dir} has not joined a server.` });
  const csrPem = await makeCertificateRequest(stored.keyPem, stored.identity.device);
  const answer = joinResponseSchema.safeParse(await postJson(accessOf(stored), '/device/v1/renew', { csrPem }, signal));
  if (!answer.success) throw new AppError('SERVER_UNREACHABLE', { message: 'The server answered something that is not a renewal.' });
  await writeCertificate(dir, answer.data.certificatePem);
}
