import { createHash } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { AppError, SERVER_TLS_NAME } from '@selvedge/contract';

function chainOf(leaf: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  const seen = new Set<DetailedPeerCertificate>();
  for (let current: DetailedPeerCertificate | undefined = leaf; current?.raw && !seen.has(current); current = current.issuerCertificate) {
    seen.add(current);
    chain.push(current.raw);
  }
  return chain;
}

const fingerprint = (der: Buffer): string => createHash('sha256').update(der).digest('hex');
const short = (sha256: string): string => sha256.slice(0, 16);

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/**
 * Looks which certificates the server shows and returns the CA certificate that the join token names. Nothing is sent on
 * this connection: its other end is not known yet, and knowing a certificate does not prove that the server owns one
 * issued by it. The caller connects again with this CA as the only trusted one.
 *
 * @returns the CA certificate, PEM.
 * @throws AppError SERVER_IDENTITY_MISMATCH (user) when no certificate of the chain has this sha256 (of its DER);
 *   SERVER_UNREACHABLE (operational) when there is no TLS server.
 */
export function findServerCa(host: string, port: number, caSha256: string, timeoutMs = 15_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, servername: SERVER_TLS_NAME, rejectUnauthorized: false, minVersion: 'TLSv1.2' });
    const timer = setTimeout(() => socket.destroy(new Error(`no TLS answer in ${timeoutMs / 1000} s`)), timeoutMs);
    socket.on('close', () => clearTimeout(timer));
    socket.on('error', (cause) => {
      reject(
        new AppError(
          'SERVER_UNREACHABLE',
          {
            message: `${host}:${port} could not be reached: ${cause.message}`,
            hint: 'Give the address of the device port, e.g. https://server:7443.',
          },
          { cause },
        ),
      );
    });
    socket.on('secureConnect', () => {
      const chain = chainOf(socket.getPeerCertificate(true));
      const found = chain.find((der) => fingerprint(der) === caSha256);
      socket.destroy();
      if (found !== undefined) resolve(toPem(found));
      else {
        const shown = chain.map(fingerprint).at(-1) ?? 'not shown';
        reject(
          new AppError('SERVER_IDENTITY_MISMATCH', {
            message: `The server at ${host}:${port} is not the one that issued this token: its authority is ${short(shown)}, the token names ${short(caSha256)} (sha256).`,
            hint: 'Check the address; if the server was set up anew, make a new token with "selvedge device token".',
          }),
        );
      }
    });
  });
}
