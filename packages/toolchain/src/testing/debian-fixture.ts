import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { writeFileAtomic } from '@selvedge/runtime';
import { pack } from 'tar-stream';

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

export type TarEntry =
  | { name: string; content: string; mode?: number }
  | { name: string; type: 'symlink' | 'link'; linkname: string }
  | { name: string; type: 'directory' | 'character-device' | 'fifo' };

export async function makeTar(entries: readonly TarEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const entry of entries) {
    if ('content' in entry) tar.entry({ name: entry.name, mode: entry.mode ?? 0o644 }, entry.content);
    else if ('linkname' in entry) tar.entry({ name: entry.name, type: entry.type, linkname: entry.linkname });
    else tar.entry({ name: entry.name, type: entry.type });
  }
  tar.finalize();
  return buffer(tar);
}

function arMember(name: string, data: Uint8Array): Buffer {
  const header = `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(data.length).padEnd(10)}\`\n`;
  return Buffer.concat([Buffer.from(header, 'latin1'), data, Buffer.from(data.length % 2 === 1 ? '\n' : '')]);
}

/** A .deb with these files. */
export async function makeDeb(entries: readonly TarEntry[]): Promise<Buffer> {
  return Buffer.concat([
    Buffer.from('!<arch>\n', 'latin1'),
    arMember('debian-binary', Buffer.from('2.0\n')),
    arMember('control.tar.gz', gzipSync(await makeTar([{ name: './control', content: 'Package: x\n' }]))),
    arMember('data.tar.gz', gzipSync(await makeTar(entries))),
  ]);
}

export interface FixturePackage {
  name: string;
  depends?: string;
  provides?: string;
  files: readonly TarEntry[];
}

export interface FixtureArchive {
  url: string;
  /** Armoured public key that signs it. */
  publicKey: string;
  root: string;
  /** Paths that were asked for, in order. */
  readonly requests: string[];
  /** Cuts the answer to a path after so many bytes, once. */
  cutOnce(path: string, afterBytes: number): void;
  stop(): Promise<void>;
}

async function put(root: string, path: string, data: Uint8Array | string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), data);
}

async function writeIndexes(
  root: string,
  arches: readonly string[],
  packages: readonly FixturePackage[],
  sources: string,
): Promise<string> {
  const listed: string[] = [];
  const add = async (path: string, data: Buffer) => {
    await put(root, `dists/trixie/${path}`, data);
    listed.push(` ${sha256(data)} ${data.length} ${path}`);
  };
  for (const arch of arches) {
    const paragraphs: string[] = [];
    for (const { name, depends, provides, files } of packages) {
      const deb = await makeDeb(files);
      const filename = `pool/main/${name}_1.0_${arch}.deb`;
      await put(root, filename, deb);
      const relations = `${depends === undefined ? '' : `Depends: ${depends}\n`}${provides === undefined ? '' : `Provides: ${provides}\n`}`;
      paragraphs.push(
        `Package: ${name}\nVersion: 1.0\nArchitecture: ${arch}\nInstalled-Size: 4\n${relations}Filename: ${filename}\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n`,
      );
    }
    await add(`main/binary-${arch}/Packages.gz`, gzipSync(paragraphs.join('\n')));
  }
  await add('main/source/Sources.gz', gzipSync(sources));
  return listed.join('\n');
}

/** A tiny Debian archive over HTTP, signed with a key of its own. */
export async function startDebianFixture(
  root: string,
  options: {
    arches: readonly string[];
    packages: readonly FixturePackage[];
    sources?: readonly { name: string; files: readonly TarEntry[] }[];
    codename?: string;
  },
): Promise<FixtureArchive> {
  const paragraphs: string[] = [];
  for (const { name, files } of options.sources ?? []) {
    const archive = gzipSync(await makeTar(files));
    const file = `${name}_1.0.orig.tar.gz`;
    await put(root, `pool/main/s/${file}`, archive);
    paragraphs.push(
      `Package: ${name}\nVersion: 1.0-1\nDirectory: pool/main/s\nChecksums-Sha256:\n ${sha256(archive)} ${archive.length} ${file}\n`,
    );
  }
  const digests = await writeIndexes(root, options.arches, options.packages, paragraphs.join('\n'));
  const codename = options.codename ?? 'trixie';
  const release = `Origin: Test\nSuite: stable\nCodename: ${codename}\nDate: Sat, 12 Sep 2026 07:55:41 UTC\nSHA256:\n${digests}\n`;
  const { createCleartextMessage, generateKey, readPrivateKey, sign } = await import('openpgp');
  const { privateKey, publicKey } = await generateKey({ userIDs: [{ name: 'Test' }], type: 'ecc', format: 'armored' });
  const signed = await sign({
    message: await createCleartextMessage({ text: release }),
    signingKeys: await readPrivateKey({ armoredKey: privateKey }),
  });
  await writeFileAtomic(join(root, 'dists/trixie/InRelease'), signed);
  return serve(root, publicKey);
}

async function serve(root: string, publicKey: string): Promise<FixtureArchive> {
  const requests: string[] = [];
  const cuts = new Map<string, number>();
  const server: Server = createServer(async (request, response) => {
    const path = decodeURIComponent((request.url ?? '/').slice(1));
    requests.push(path);
    const size = await stat(join(root, path)).then(
      (found) => found.size,
      () => undefined,
    ); // no such file: 404
    if (size === undefined) return response.writeHead(404).end();
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': size - from });
    const cut = cuts.get(path);
    if (cut === undefined) return createReadStream(join(root, path), { start: from }).pipe(response);
    cuts.delete(path);
    response.write((await readFile(join(root, path))).subarray(from, from + cut), () => response.destroy());
    return response;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    publicKey,
    root,
    requests,
    cutOnce: (path, afterBytes) => void cuts.set(path, afterBytes),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
