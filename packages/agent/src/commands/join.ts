import { hostname } from 'node:os';
import { AppError, type JoinRequest, joinResponseSchema, parseJoinToken } from '@selvedge/contract';
import { parseServerUrl, postJson } from '@selvedge/device-link';
import { findServerCa, makeCertificateRequest, makeDeviceKey } from '@selvedge/device-link/joining';
import { type Identity, readIdentity, writeIdentity } from '../adapters/disk/identity-folder.ts';

export interface JoinOptions {
  /** Address of the device port, e.g. https://server:7443. */
  url: string;
  token: string;
  /** The agent's folder. */
  dir: string;
  /** Wished device name; the server picks one without it. */
  name?: string;
  labels?: Record<string, string>;
  /** Join although the folder belongs to a device already. */
  force?: boolean;
  signal?: AbortSignal;
}

/**
 * Makes this folder a device of the server. The private key is made here and never leaves; the token's secret is sent
 * only after the server has proved to own a certificate of the CA that the token names.
 *
 * @returns the identity, and whether the folder had joined this server before (then nothing was done).
 * @throws AppError USAGE, JOIN_TOKEN_INVALID, SERVER_IDENTITY_MISMATCH, CONFLICT (user); SERVER_UNREACHABLE (operational).
 */
export async function joinServer(options: JoinOptions): Promise<{ identity: Identity; already: boolean }> {
  const token = parseJoinToken(options.token);
  const { host, port } = parseServerUrl(options.url);
  if (options.force !== true) {
    const known = await readIdentity(options.dir);
    if (known?.identity.caSha256 === token.caSha256) return { identity: known.identity, already: true };
    if (known !== undefined) {
      throw new AppError('CONFLICT', {
        message: `${options.dir} belongs to the device "${known.identity.device}" of ${known.identity.serverUrl}.`,
        hint: 'Use another folder, or --force to leave that server.',
      });
    }
  }
  const caPem = await findServerCa(host, port, token.caSha256);
  const keyPem = makeDeviceKey();
  const request: JoinRequest = {
    secret: token.secret,
    csrPem: await makeCertificateRequest(keyPem, options.name ?? hostname()),
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.labels === undefined ? {} : { labels: options.labels }),
  };
  const answer = joinResponseSchema.safeParse(await postJson({ host, port, caPem }, '/device/v1/join', request, options.signal));
  if (!answer.success)
    throw new AppError('SERVER_UNREACHABLE', { message: `${options.url} answered something that is not a join answer.` });
  const identity: Identity = {
    formatVersion: 1,
    device: answer.data.device,
    serverUrl: options.url,
    caSha256: token.caSha256,
    joinedAt: new Date().toISOString(),
  };
  // The CA that the token vouches for is kept, not the one that the answer names.
  await writeIdentity(options.dir, { identity, keyPem, certPem: answer.data.certificatePem, caPem });
  return { identity, already: false };
}
