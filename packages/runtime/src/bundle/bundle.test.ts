import 'reflect-metadata';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { type AppError, type BundleStatement, MAX_BUNDLE_STATEMENT_BYTES } from '@selvedge/contract';
import { beforeAll, describe, expect, test } from 'vitest';
import { readTar } from '../read-tar.ts';
import { type TestAuthority, testAuthority } from '../testing/package-rig.ts';
import { ustarHeader } from '../ustar.ts';
import { openResults } from './index.ts';
import { readBundle } from './read-bundle.ts';
import { signResults } from './results.ts';
import { bundleBytes, signBundle, writeBundle } from './write-bundle.ts';

const FILES = [Buffer.alloc(1500, 1), Buffer.from(''), Buffer.alloc(512, 3), Buffer.from('a model')];
const byDigest = new Map(FILES.map((content) => [createHash('sha256').update(content).digest('hex'), content]));
const CONTENT = [...byDigest]
  .map(([sha256, content]) => ({ sha256, sizeBytes: content.length }))
  .sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
const [FIRST = { sha256: '', sizeBytes: 0 }, SECOND = FIRST] = CONTENT;

function statementOf(change: Partial<BundleStatement> = {}): BundleStatement {
  return {
    formatVersion: 1,
    id: 'bundle-1',
    authoritySha256: 'a'.repeat(64),
    createdAt: '2026-11-01T00:00:00.000Z',
    expiresAt: '2026-12-01T00:00:00.000Z',
    devices: [
      { name: 'edge-1', certificates: ['b'.repeat(64)], desired: { v: 1, revision: 3, workloads: [] }, content: [FIRST.sha256] },
      { name: 'edge-2', certificates: ['c'.repeat(64)], desired: { v: 1, revision: 4, workloads: [] }, content: [SECOND.sha256] },
    ],
    content: CONTENT,
    revoked: { bundles: [], certificates: [] },
    ...change,
  };
}

let authority: TestAuthority;
let whole: Buffer;
let statementEnd: number;

async function bundleOf(statement: BundleStatement, signer = authority.signer): Promise<Buffer> {
  const envelope = signBundle(statement, signer);
  return buffer(
    Readable.from(writeBundle(envelope, statement.content, async (sha256) => Readable.from([byDigest.get(sha256) ?? Buffer.alloc(0)]))),
  );
}

/** In chunks of a size that fits no block. */
async function* chunked(bytes: Buffer, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function faultOf(bytes: Buffer, ca = authority.ca): Promise<{ code: string; message: string }> {
  const error: AppError = await readBundle(chunked(bytes), { ca, onStatement: () => new Set() }).then(
    () => expect.unreachable('the bundle was taken'),
    (thrown) => thrown,
  );
  return { code: error.code, message: error.message };
}

/** The tar with one part replaced by another. */
function splice(at: number, length: number, insert: Uint8Array = new Uint8Array(0)): Buffer {
  return Buffer.concat([whole.subarray(0, at), insert, whole.subarray(at + length)]);
}

beforeAll(async () => {
  authority = await testAuthority();
  whole = await bundleOf(statementOf());
  statementEnd = whole.indexOf(ustarHeader(`content/${FIRST.sha256}`, FIRST.sizeBytes));
});

describe('a bundle', () => {
  test('gives its statement and the content that is asked for', async () => {
    const taken = new Map<string, Buffer>();
    const wanted = new Set([FIRST.sha256]);
    const read = await readBundle(chunked(whole), {
      ca: authority.ca,
      onStatement: () => wanted,
      take: async (sha256, content) => void taken.set(sha256, await buffer(Readable.from(content))),
    });
    expect(read).toEqual(statementOf());
    expect([...taken]).toEqual([[FIRST.sha256, byDigest.get(FIRST.sha256)]]);
  });

  test('is the same bytes each time, of the size that was told, and an ordinary tar', async () => {
    expect(await bundleOf(statementOf())).toEqual(whole);
    expect(whole.length).toBe(bundleBytes(signBundle(statementOf(), authority.signer).length, CONTENT));
    const names: string[] = [];
    for await (const { header, content } of readTar(chunked(whole))) {
      names.push(`${header.name} ${(await buffer(content)).length}`);
    }
    expect(names.slice(1)).toEqual(CONTENT.map(({ sha256, sizeBytes }) => `content/${sha256} ${sizeBytes}`));
  });

  test('is refused wherever it is cut off, with the place', async () => {
    for (let length = 0; length < whole.length; length += 97) {
      const { code, message } = await faultOf(whole.subarray(0, length));
      expect(code, `cut at ${length}`).toBe('ARCHIVE_UNSAFE');
      if (length >= 512) expect(message).toMatch(new RegExp(`cut off at byte ${length}\\b`));
    }
    expect((await faultOf(whole.subarray(0, whole.length - 1))).message).toMatch(/cut off/);
  });

  test('is refused with any byte changed', async () => {
    for (let at = 0; at < whole.length; at += 31) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect((await faultOf(changed)).code, `byte ${at}`).toMatch(/^(ARCHIVE_UNSAFE|DIGEST_MISMATCH|SIGNATURE_INVALID)$/);
    }
  });

  test('names the file and the bytes of damaged content', async () => {
    const largest = CONTENT.findIndex(({ sizeBytes }) => sizeBytes === 1500);
    const changed = Buffer.from(whole);
    const inside = whole.indexOf(Buffer.alloc(1500, 1));
    changed[inside + 3] = 9;
    const { code, message } = await faultOf(changed);
    expect(code).toBe('DIGEST_MISMATCH');
    expect(message).toContain(`file ${largest + 1} of ${CONTENT.length} (bytes ${inside} to ${inside + 1500})`);
  });

  test('is refused with entries that are more, missing, twice, elsewhere, or lead elsewhere', async () => {
    const extra = Buffer.concat([ustarHeader('content/evil', 3), Buffer.from('abc'.padEnd(512, '\0'))]);
    const leaving = ustarHeader('../../etc/passwd', 0);
    const entryLength = 512 + Math.ceil(FIRST.sizeBytes / 512) * 512;
    const first = whole.subarray(statementEnd, statementEnd + entryLength);
    const hostile = {
      'an entry too many at the end': splice(whole.length - 1024, 0, extra),
      'an entry too many at the front': splice(0, 0, extra),
      'an entry too many between': splice(statementEnd, 0, extra),
      'a path that leaves': splice(statementEnd, 0, leaving),
      'an entry twice': splice(statementEnd, 0, first),
      'an entry missing': splice(statementEnd, entryLength),
      'bytes after the end': Buffer.concat([whole, Buffer.from('x')]),
      'blocks after the end': Buffer.concat([whole, Buffer.alloc(512)]),
      'a size of gigabytes': splice(statementEnd, 512, ustarHeader(`content/${FIRST.sha256}`, 8 ** 11 - 1)),
      'a statement of gigabytes': splice(0, 512, ustarHeader('bundle.dsse.json', MAX_BUNDLE_STATEMENT_BYTES + 1)),
    };
    for (const [what, bytes] of Object.entries(hostile)) {
      const { code, message } = await faultOf(bytes);
      expect(code, what).toBe('ARCHIVE_UNSAFE');
      expect(message, what).toMatch(/at byte \d+/);
    }
    expect((await faultOf(hostile['a path that leaves'])).message).toContain('"../../etc/passwd"');
  });

  test('is refused when its statement contradicts itself', async () => {
    const [edge1, edge2] = statementOf().devices;
    if (edge1 === undefined || edge2 === undefined) throw new Error('the statement has no devices');
    for (const change of [
      { devices: [edge2, edge1] },
      { devices: [edge1, edge1] },
      { devices: [{ ...edge1, content: ['f'.repeat(64)] }] },
      { content: [...CONTENT].reverse() },
      { content: [...CONTENT, ...CONTENT] },
    ])
      expect((await faultOf(await bundleOf(statementOf(change)))).code).toBe('ARCHIVE_UNSAFE');
  });

  test('of another server, or with a certificate that is not for signing, is refused', async () => {
    const other = await testAuthority();
    const { code, message } = await faultOf(whole, other.ca);
    expect(code).toBe('SIGNATURE_INVALID');
    expect(message).toContain('The bundle is not signed by the server');
    const usage = await testAuthority(ExtendedKeyUsage.clientAuth);
    expect((await faultOf(await bundleOf(statementOf(), usage.signer), usage.ca)).code).toBe('SIGNATURE_INVALID');
  });

  test('stops before its content when the statement is refused', async () => {
    let read = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunked(whole, 512)) {
        read += chunk.length;
        yield chunk;
      }
    }
    const refusal = new Error('not for me');
    const reading = readBundle(counted(), {
      ca: authority.ca,
      onStatement: () => {
        throw refusal;
      },
    });
    await expect(reading).rejects.toBe(refusal);
    expect(read).toBe(statementEnd);
  });
});

describe('results', () => {
  const statement = {
    formatVersion: 1 as const,
    device: 'edge-1',
    sequence: 1,
    createdAt: '2026-11-01T00:00:00.000Z',
    bundle: null,
    reported: null,
    telemetry: [],
  };

  test('hold while no byte is changed', async () => {
    const { keyPem, certPem } = await deviceKey();
    const bytes = signResults(statement, { keyPem, certPem });
    expect(openResults(bytes).statement).toEqual(statement);
    const text = bytes.toString('utf8');
    const forged = JSON.parse(text) as { payload: string };
    forged.payload = Buffer.from(JSON.stringify({ ...statement, device: 'edge-2' })).toString('base64');
    expect(() => openResults(Buffer.from(JSON.stringify(forged)))).toThrow(/changed/);
    expect(() => openResults(bytes.subarray(0, 100))).toThrow(/not a file of results/);
  });
});

async function deviceKey(): Promise<{ keyPem: string; certPem: string }> {
  const { X509CertificateGenerator } = await import('@peculiar/x509');
  const { webcrypto } = await import('node:crypto');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const keys = {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']),
  };
  const certificate = await X509CertificateGenerator.createSelfSigned({ name: 'CN=edge-1', signingAlgorithm: algorithm, keys });
  return { keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), certPem: certificate.toString('pem') };
}
