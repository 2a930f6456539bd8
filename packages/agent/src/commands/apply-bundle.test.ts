import { execFileSync, spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type BundleStatement, EXIT } from '@selvedge/contract';
import { sha256Of } from '@selvedge/device-link';
import { waitUntil } from '@selvedge/runtime';
import { signBundle, writeBundle } from '@selvedge/runtime/bundle';
import { type TestAuthority, testAuthority } from '@selvedge/runtime/package-rig';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeIdentity } from '../adapters/disk/identity-folder.ts';
import { readRefusal } from '../adapters/disk/refusal-file.ts';
import { agentCommand } from '../testing/agent-command.ts';
import { applyBundle } from './apply-bundle.ts';

const MODEL = Buffer.alloc(300_000, 7);
const OTHERS = Buffer.from('for another device');
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const contents = new Map([MODEL, OTHERS].map((bytes) => [digest(bytes), bytes]));
const signal = new AbortController().signal;
const CREATED = Date.now() - 60_000;

let authority: TestAuthority;
let certPem: string;
let dir: string;

function statementOf(revision: number, change: Partial<BundleStatement> = {}): BundleStatement {
  const desired = { v: 1 as const, revision, workloads: [] };
  return {
    formatVersion: 1,
    id: `bundle-${revision}`,
    authoritySha256: 'f'.repeat(64),
    createdAt: new Date(CREATED + revision).toISOString(),
    expiresAt: new Date(CREATED + 86_400_000).toISOString(),
    devices: [{ name: 'edge-1', certificates: [sha256Of(new X509Certificate(certPem))], desired, content: [digest(MODEL)] }],
    content: [...contents.keys()].sort().map((sha256) => ({ sha256, sizeBytes: contents.get(sha256)?.length ?? 0 })),
    revoked: { bundles: [], certificates: [] },
    ...change,
  };
}

async function bytesOf(statement: BundleStatement): Promise<Buffer> {
  const open = async (sha256: string) => Readable.from([contents.get(sha256) ?? Buffer.alloc(0)]);
  return buffer(Readable.from(writeBundle(signBundle(statement, authority.signer), statement.content, open)));
}

async function fileOf(statement: BundleStatement, change = (bytes: Buffer) => bytes): Promise<string> {
  const path = join(dir, `${statement.id}.tar`);
  await writeFile(path, change(await bytesOf(statement)));
  return path;
}

/** Everything below the folder of bundles, with its content. */
async function bundlesFolder(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(join(dir, 'bundles'), { recursive: true, withFileTypes: true }).catch(() => [])) {
    const path = join(entry.parentPath, entry.name);
    const content = entry.isFile() ? await readFile(path).catch(() => undefined) : undefined; // a lock's may be gone by now
    if (content !== undefined) found[path.slice(dir.length + 9)] = digest(content);
  }
  return found;
}

beforeAll(async () => {
  authority = await testAuthority();
  certPem = authority.signer.certificatePem; // whose it is does not matter: the device is known by its fingerprint
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'selvedge-bundle-'));
  const identity = {
    device: 'edge-1',
    serverUrl: 'https://127.0.0.1:1',
    caSha256: 'f'.repeat(64),
    joinedAt: new Date(CREATED).toISOString(),
  };
  await writeIdentity(dir, { identity, keyPem: '-', certPem, caPem: authority.ca });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('apply-bundle', () => {
  it('puts down the order and the content of this device alone', async () => {
    const applied = await applyBundle(dir, await fileOf(statementOf(3)), signal);
    expect(applied).toMatchObject({ id: 'bundle-3', revision: 3, files: 1, sizeBytes: MODEL.length, already: false, agent: null });
    const found = await bundlesFolder();
    expect(Object.keys(found).sort()).toEqual([`bundle-3/content/${digest(MODEL)}`, 'bundle-3/order.json', 'memory.json']);
    expect(found[`bundle-3/content/${digest(MODEL)}`]).toBe(digest(MODEL));
  });

  it('applied twice is the same as once', async () => {
    const file = await fileOf(statementOf(3));
    await applyBundle(dir, file, signal);
    const before = await bundlesFolder();
    expect(await applyBundle(dir, file, signal)).toMatchObject({ already: true });
    expect(await bundlesFolder()).toEqual(before);
  });

  it('changes nothing when the last byte of the content is wrong, the end is missing, or it is of an older revision', async () => {
    await applyBundle(dir, await fileOf(statementOf(4)), signal);
    const before = await bundlesFolder();
    const last = (bytes: Buffer) => {
      const at = Math.max(bytes.lastIndexOf(OTHERS), bytes.lastIndexOf(Buffer.alloc(64, 7)));
      bytes[at] = 1;
      return bytes;
    };
    await expect(applyBundle(dir, await fileOf(statementOf(5), last), signal)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    const cut = (bytes: Buffer) => bytes.subarray(0, bytes.length - 1);
    await expect(applyBundle(dir, await fileOf(statementOf(6), cut), signal)).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
    await expect(applyBundle(dir, await fileOf(statementOf(3)), signal)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(applyBundle(dir, join(dir, 'none.tar'), signal)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(await bundlesFolder()).toEqual(before);
  });

  it('keeps that the device was removed, whoever the bundle is for', async () => {
    const revoked = { bundles: [], certificates: [sha256Of(new X509Certificate(certPem))] };
    const other = statementOf(4, { devices: [{ ...statementOf(4).devices[0]!, name: 'edge-2' }], revoked });
    await expect(applyBundle(dir, await fileOf(other), signal)).rejects.toMatchObject({ code: 'DEVICE_REVOKED' });
    expect(await readRefusal(dir)).toMatchObject({ code: 'DEVICE_REVOKED' });
    await expect(applyBundle(dir, await fileOf(statementOf(5)), signal)).rejects.toMatchObject({ code: 'DEVICE_REVOKED' });
  });

  it('killed in the middle leaves nothing that anyone takes, and the next one goes through', async () => {
    const bytes = await bytesOf(statementOf(7));
    const pipe = join(dir, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const [program = '', ...args] = agentCommand();
    const child = spawn(program, [...args, 'apply-bundle', pipe, '--dir', dir], { stdio: 'ignore' });
    const writer = createWriteStream(pipe);
    writer.on('error', () => undefined); // its reader is killed
    writer.write(bytes.subarray(0, 100_000));
    await waitUntil(async () => Object.keys(await bundlesFolder()).some((path) => path.includes('/content/')), {
      timeoutMs: 20_000,
      what: 'a part of the content to be written',
    });
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    writer.destroy();
    expect(Object.keys(await bundlesFolder()).filter((path) => path.startsWith('bundle-'))).toEqual([]);
    const file = await fileOf(statementOf(7));
    const again = spawn(program, [...args, 'apply-bundle', file, '--dir', dir], { stdio: 'ignore' });
    expect((await once(again, 'exit'))[0]).toBe(EXIT.ok);
    expect(Object.keys(await bundlesFolder()).sort()).toEqual([`bundle-7/content/${digest(MODEL)}`, 'bundle-7/order.json', 'memory.json']);
  }, 60_000);
});
