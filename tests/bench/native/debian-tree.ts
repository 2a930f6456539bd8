// Packages of Debian unpacked into a folder of their own, without root and without touching this machine: where the peers come from.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '@selvedge/runtime';
import { findRecipe, nativeDir } from '@selvedge/toolchain';
import { SignedArchive } from '../../../packages/toolchain/src/debian/archive.ts';
import { Mirror } from '../../../packages/toolchain/src/debian/mirror.ts';
import { pathRule } from '../../../packages/toolchain/src/debian/path-rule.ts';
import { resolvePackages } from '../../../packages/toolchain/src/debian/resolve.ts';
import { UnpackTree } from '../../../packages/toolchain/src/debian/unpack-tree.ts';
import { downloadAll } from '../../../packages/toolchain/src/install/download-all.ts';
import { unpackPackages } from '../../../packages/toolchain/src/install/unpack-packages.ts';
import { BENCH_CACHE_DIR } from './places.ts';

export interface TreeRequest {
  /** Name of the folder. */
  name: string;
  /** Architecture by Debian's name. */
  arch: string;
  /** Default: the suite that targets are made of. */
  suite?: 'bookworm';
  packages: readonly string[];
  /** Packages at which the walk over dependencies stops: nothing of them is run. */
  skip?: readonly string[];
  keep: readonly string[];
  drop?: readonly string[];
}

export interface DebianTree {
  root: string;
  /** Versions by package. */
  versions: Record<string, string>;
}

const NEVER_RUN = [
  'debconf',
  'debconf-2.0',
  'dpkg',
  'perl',
  'perl-base',
  'perl:any',
  'tzdata',
  'ucf',
  'sensible-utils',
  'shared-mime-info',
  'mailcap',
];

/** The folder of a tree, made where it is missing. An interrupted download goes on where it stopped. */
export async function debianTree(request: TreeRequest, say: (text: string) => void): Promise<DebianTree> {
  const root = join(BENCH_CACHE_DIR, `${request.name}-${sha256Hex(JSON.stringify(request)).slice(0, 12)}`);
  const record = join(root, 'versions.json');
  if (!existsSync(record)) await make(request, root, record, say);
  const { default: versions } = await import(record, { with: { type: 'json' } });
  return { root, versions };
}

/** The keys of an older suite, from the package of them that the current one signs. */
async function keyringOf(suite: TreeRequest['suite'], say: (text: string) => void): Promise<string> {
  if (suite === undefined) return join(nativeDir(), 'targets/debian-archive-keyring.asc');
  const keep = ['usr/share/keyrings/', 'etc/apt/trusted.gpg.d/'];
  const { root } = await debianTree({ name: 'keyring', arch: 'amd64', packages: ['debian-archive-keyring'], keep }, say);
  const keys = await readFile(join(root, `usr/share/keyrings/debian-archive-${suite}-automatic.pgp`), 'base64');
  const armoured = join(BENCH_CACHE_DIR, `${suite}.asc`);
  const [begin, end] = ['BEGIN', 'END'].map((word) => `-----${word} PGP PUBLIC KEY BLOCK-----`);
  await writeFile(armoured, `${begin}\n\n${keys.replace(/.{1,64}/g, '$&\n')}${end}\n`);
  return armoured;
}

async function make(request: TreeRequest, root: string, record: string, say: (text: string) => void): Promise<void> {
  const { name, arch, suite, packages, skip = [], keep, drop = [] } = request;
  const { debian } = await findRecipe('linux-amd64');
  const mirror = new Mirror(process.env.SELVEDGE_DEBIAN_MIRROR ?? debian.mirror);
  const cacheDir = join(BENCH_CACHE_DIR, 'downloads');
  await mkdir(cacheDir, { recursive: true });
  const archive = await SignedArchive.open({
    mirror,
    suite: suite ?? debian.suite,
    component: debian.component,
    keyringPath: await keyringOf(suite, say),
    cacheDir,
  });
  const chosen = resolvePackages(await archive.packages(arch), packages, new Set([...NEVER_RUN, ...skip]));
  const mb = Math.round(chosen.reduce((sum, one) => sum + one.sizeBytes, 0) / 1e6);
  say(`${name}: ${chosen.length} packages of Debian ${suite ?? debian.suite}, ${mb} MB to download`);
  const paths = await downloadAll(mirror, chosen, cacheDir, { onProgress: () => undefined });
  const unfinished = `${root}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  const tree = new UnpackTree(unfinished);
  await tree.prepare();
  const fetched = chosen.map((one, index) => ({ package: one, path: paths[index] ?? '' }));
  await unpackPackages(tree, fetched, { wants: pathRule(keep, drop), onPackage: () => undefined });
  await writeFile(join(unfinished, 'versions.json'), JSON.stringify(Object.fromEntries(chosen.map((one) => [one.name, one.version]))));
  await rename(unfinished, root);
  if (!existsSync(record)) throw new Error(`${record} is missing`);
}
