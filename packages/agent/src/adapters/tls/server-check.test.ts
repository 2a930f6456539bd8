import { once } from 'node:events';
import { joinResponseSchema, parseJoinToken } from '@selvedge/contract';
import { checkServer, connectToServer, postJson } from '@selvedge/device-link';
import { makeCertificateRequest, makeDeviceKey } from '@selvedge/device-link/joining';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../../testing/test-server.ts';

const YEAR_MS = 365 * 86_400_000;
let server: TestServer;
beforeEach(async () => {
  server = await TestServer.start();
});
afterEach(() => server.stop());

const access = (more: object = {}) => ({ host: '127.0.0.1', port: server.port, caPem: server.caPem, ...more });

async function connects(more: object = {}): Promise<string> {
  try {
    (await connectToServer(access(more))).destroy();
    return 'yes';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

async function relisten(fromMs: number, untilMs: number): Promise<void> {
  server.certificatePeriod = { fromMs, untilMs };
  await server.close();
  await server.listen();
}

/** A certificate that the server has issued just now. */
async function ownCertificate(): Promise<string> {
  const csrPem = await makeCertificateRequest(makeDeviceKey(), 'x');
  const { secret } = parseJoinToken(server.token);
  return joinResponseSchema.parse(await postJson(access(), '/device/v1/join', { secret, csrPem })).certificatePem;
}

describe('the check of the server', () => {
  it("takes one whose certificate begins years ahead of this machine's clock, or has ended by it", async () => {
    expect(await connects()).toBe('yes');
    await relisten(50 * YEAR_MS, 51 * YEAR_MS);
    expect(await connects()).toBe('yes');
    await relisten(-51 * YEAR_MS, -50 * YEAR_MS);
    expect(await connects()).toBe('yes');
  });

  it('refuses a certificate that had ended before the server issued ours', async () => {
    const cert = await ownCertificate();
    expect(await connects({ cert: undefined })).toBe('yes');
    await relisten(-3 * YEAR_MS, -YEAR_MS);
    const socket = await connectToServer(access());
    expect(() => checkServer(socket, { ...access(), cert })).toThrow(expect.objectContaining({ code: 'SERVER_IDENTITY_MISMATCH' }));
    socket.destroy();
  });

  it('goes on with the session of a server that it has checked, and with no other', async () => {
    const here = access();
    const visit = async () => {
      const socket = await connectToServer({ ...here });
      const resumed = socket.isSessionReused();
      if (!resumed) await once(socket, 'session');
      socket.destroy();
      return resumed;
    };
    expect([await visit(), await visit()]).toEqual([false, true]);
    await relisten(-60_000, YEAR_MS);
    expect([await visit(), await visit()]).toEqual([false, true]);

    const other = await TestServer.start();
    const way = { ...here, port: other.port };
    await expect(connectToServer(way)).rejects.toMatchObject({ code: 'SERVER_IDENTITY_MISMATCH' });
    await expect(connectToServer(way)).rejects.toMatchObject({ code: 'SERVER_IDENTITY_MISMATCH' });
    await other.stop();
  });

  it('refuses another authority, whatever the time, and takes one of several', async () => {
    const other = await TestServer.start();
    expect(await connects({ caPem: other.caPem })).toBe('SERVER_IDENTITY_MISMATCH');
    await relisten(50 * YEAR_MS, 51 * YEAR_MS);
    expect(await connects({ caPem: other.caPem })).toBe('SERVER_IDENTITY_MISMATCH');
    expect(await connects({ caPem: `${other.caPem}\n${server.caPem}` })).toBe('yes');
    await other.stop();
  });
});
