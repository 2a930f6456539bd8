import { join } from 'node:path';
import { readTextFile } from '@selvedge/runtime';
import type { InstalledTarget } from '@selvedge/toolchain';

/** A part of a package that was not made here. */
export interface Component {
  /** Name of the Debian package, or of the file where its package is not known. */
  readonly name: string;
  readonly version: string | undefined;
  /** Of the archive that was installed, or of the file. */
  readonly sha256: string;
  readonly purl: string | undefined;
  /** Groups packages that are made of one source: their licence is one file. */
  readonly source: string;
  /** Short names of its licences; empty when the copyright file is not machine-readable. */
  readonly licences: readonly string[];
  /** Text of its copyright file; undefined when there is none. */
  readonly licenceText: string | undefined;
}

/** Debian packages whose static libraries and headers every executable contains. */
const LINKED_ALWAYS = [
  'libc6-dev',
  'libstdc++-14-dev',
  'libgcc-14-dev',
  'libjpeg62-turbo-dev',
  'libturbojpeg0-dev',
  'libpng-dev',
  'zlib1g-dev',
  'libstb-dev',
  'libevent-dev',
  'libllhttp-dev',
  'rapidjson-dev',
];
const LINKED_XNNPACK = ['libxnnpack-dev', 'libpthreadpool-dev', 'libfxdiv-dev', 'libfp16-dev'];
const LINKED_ONNXRUNTIME = ['libonnxruntime-dev'];
const MAX_LICENCES = 20;

/** Short names of the licences in a copyright file of Debian's machine-readable format. */
export function licenceNames(copyright: string): string[] {
  if (!/^Format:.*copyright-format/m.test(copyright.slice(0, 2000))) return [];
  const names = [...copyright.matchAll(/^License: *(\S.{0,99})$/gm)].map(([, name = '']) => name.trim());
  return [...new Set(names)].sort().slice(0, MAX_LICENCES);
}

/** Name of the Debian package that a library file is in, by Debian's rule for names of library packages; undefined when none fits. */
export function packageOfLibrary(file: string, packages: readonly string[]): string | undefined {
  const special: Readonly<Record<string, string>> = { 'libz.so.1': 'zlib1g', 'libonnx_proto.so.1': 'libonnx1t64' };
  const known = special[file] ?? (/^(ld-linux|lib(c|m|dl|pthread|rt|resolv|util)\.so)/.test(file) ? 'libc6' : undefined);
  if (known !== undefined) return packages.includes(known) ? known : undefined;
  const match = /^(lib.+?)\.so\.([\d.]+)$/.exec(file);
  if (match === null) return undefined;
  const [, stem = '', version = ''] = match;
  const base = stem.toLowerCase().replaceAll('_', '-');
  const group = base.startsWith('libabsl-') ? 'libabsl' : base;
  const candidates = [`${group}${version}`, `${group}-${version}`];
  for (const candidate of candidates) {
    for (const name of [candidate, `${candidate}t64`]) if (packages.includes(name)) return name;
  }
  return undefined;
}

export interface LinkedParts {
  readonly engine: 'xnnpack' | 'onnxruntime';
  /** Shared libraries in the package, by file name, with their sha256. */
  readonly libraries: ReadonlyMap<string, string>;
}

async function debianComponent(target: InstalledTarget, name: string): Promise<Component | undefined> {
  const locked = target.lock.packages.find((one) => one.name === name);
  if (locked === undefined) return undefined;
  const licenceText = await readTextFile(join(target.sysroot, 'usr/share/doc', name, 'copyright'));
  const { version, sha256, source, architecture } = locked;
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${encodeURIComponent(architecture)}`;
  return { name, version, sha256, purl, source, licences: licenceNames(licenceText ?? ''), licenceText };
}

/** What a package of this target is made of besides our own code and the model, sorted by name. */
export async function listComponents(target: InstalledTarget, { engine, libraries }: LinkedParts): Promise<Component[]> {
  const names = new Set([...LINKED_ALWAYS, ...(engine === 'xnnpack' ? LINKED_XNNPACK : LINKED_ONNXRUNTIME)]);
  const packages = target.lock.packages.map(({ name }) => name);
  const components: Component[] = [];
  for (const [file, sha256] of libraries) {
    const owner = packageOfLibrary(file, packages);
    if (owner !== undefined) names.add(owner);
    else components.push(unownedLibrary(target, file, sha256));
  }
  for (const name of names) {
    const component = await debianComponent(target, name);
    if (component !== undefined) components.push(component);
  }
  if (engine === 'xnnpack') {
    for (const { name, version, sha256 } of target.lock.sources) {
      const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=source`;
      components.push({ name: `${name} (source)`, version, sha256, purl, source: name, licences: [], licenceText: undefined });
    }
  }
  return components.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A library that is in no Debian package of the lock: from an npm package, or of a name that does not follow the rule. */
function unownedLibrary(target: InstalledTarget, file: string, sha256: string): Component {
  const npm = target.lock.npm.find((one) => one.sha256 === sha256);
  if (npm === undefined)
    return { name: file, version: undefined, sha256, purl: undefined, source: file, licences: [], licenceText: undefined };
  const purl = `pkg:npm/${npm.name}@${npm.version}`;
  return { name: npm.name, version: npm.version, sha256, purl, source: npm.name, licences: ['MIT'], licenceText: undefined };
}
