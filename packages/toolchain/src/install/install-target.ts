import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { type Logger, sha256File, writeJsonAtomic } from '@selvedge/runtime';
import { usingObjects } from '../compile/object-space.ts';
import { type ReleaseFacts, SignedArchive } from '../debian/archive.ts';
import { Mirror } from '../debian/mirror.ts';
import type { DebianPackage, SourceFile } from '../debian/package-index.ts';
import { pathRule } from '../debian/path-rule.ts';
import { type TreeEntry, UnpackTree } from '../debian/unpack-tree.ts';
import { buildTargetAt, type Compiler, compilerAt, type InstalledTarget, openTarget } from '../installed-target.ts';
import { nativeDir } from '../native-folder.ts';
import { compilerDigest, findRecipe, hostArch, installDigest, type Recipe } from '../recipe.ts';
import { buildXnnpack } from '../xnnpack/build-xnnpack.ts';
import { checkSpace, downloadAll, type WantedFile } from './download-all.ts';
import { lockTargets } from './folder-lock.ts';
import { checkExtras, type InstallPlan, planInstall } from './install-plan.ts';
import { byPath, installToolchain } from './install-toolchain.ts';
import { type Layout, layoutOf } from './layout.ts';
import { FILE_LIST, LOCK_FILE, readTargetLock, readToolchainLock, type TargetLock } from './lock-file.ts';
import { copyNpmLibrary } from './npm-library.ts';
import type { InstallPhase, OnInstallProgress } from './progress.ts';
import { discardDownloads } from './prune.ts';
import { discardUnfinished, replaceFolder } from './replace-folder.ts';
import { writeTargetsFile } from './targets-file.ts';
import { type FetchedPackage, lockedPackage, unpackPackages } from './unpack-packages.ts';

export interface InstallOptions {
  targetsDir: string;
  /** Besides those that are installed already. */
  extras?: readonly string[];
  /** Base URL of a Debian archive; default: that of the recipe. */
  mirror?: string;
  onProgress?: OnInstallProgress;
  signal?: AbortSignal;
  log?: Logger;
  /** How long to wait for another installer in the same folder; default 0. */
  waitMs?: number;
  /** Folder of recipes and keyring; default: native/targets of this installation. */
  recipesDir?: string;
  /** Ceiling of the cache of compiled objects, in bytes; default 1 GiB. */
  objectCacheBytes?: number;
  /** Tries of a download that bring nothing; default 4. */
  maxAttempts?: number;
}

export interface InstallResult {
  target: InstalledTarget;
  /** False when all was there and up to date. */
  changed: boolean;
}

/**
 * Installs a target: sysroot, static libraries and, where missing, the compiler. Needs no root and no package manager. What
 * was downloaded or compiled before an interruption is taken up again; the target appears whole or not at all.
 *
 * @throws AppError TARGET_UNKNOWN, INPUT_INVALID (extra), SIGNATURE_INVALID, DATA_FOLDER_LOCKED (user), DOWNLOAD_FAILED,
 *   DIGEST_MISMATCH, DISK_FULL, BUILD_FAILED (operational); the signal's reason.
 */
export async function installTarget(name: string, options: InstallOptions): Promise<InstallResult> {
  const recipe = await findRecipe(name, options.recipesDir);
  checkExtras(recipe, options.extras ?? []);
  const layout = layoutOf(options.targetsDir);
  const unlock = await lockTargets(layout.root, {
    ...(options.waitMs === undefined ? {} : { waitMs: options.waitMs }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  try {
    const present = await readTargetLock(layout.target(name));
    const extras = [
      ...new Set([...(present?.extras ?? []).filter((extra) => recipe.extras[extra] !== undefined), ...(options.extras ?? [])]),
    ].sort();
    const toolchain = await presentCompiler(layout, recipe);
    const isComplete =
      present?.recipeDigest === installDigest(recipe, extras) &&
      toolchain !== undefined &&
      extras.every((extra) => present.extras.includes(extra));
    if (!isComplete) {
      await discardUnfinished(layout.root);
      await new Installation(recipe, layout, options).run(extras, toolchain);
      await discardDownloads(layout);
    }
    const target = await openTarget(layout.root, name, options.recipesDir);
    if (target === undefined) throw new AppError('INTERNAL', { message: `${name} is not there after its installation.` });
    await writeTargetsFile(layout.root, options.recipesDir);
    return { target, changed: !isComplete };
  } finally {
    await unlock();
  }
}

async function presentCompiler(layout: Layout, recipe: Recipe): Promise<Compiler | undefined> {
  const folder = layout.toolchain(hostArch());
  const lock = await readToolchainLock(folder);
  return lock === undefined || lock.recipeDigest !== compilerDigest(recipe) ? undefined : compilerAt(folder, lock);
}

/** One installation under way; the folder is locked. */
class Installation {
  readonly #recipe: Recipe;
  readonly #layout: Layout;
  readonly #options: InstallOptions;
  readonly #mirror: Mirror;

  constructor(recipe: Recipe, layout: Layout, options: InstallOptions) {
    this.#recipe = recipe;
    this.#layout = layout;
    this.#options = options;
    this.#mirror = new Mirror(options.mirror ?? recipe.debian.mirror, {
      ...(options.log === undefined ? {} : { log: options.log }),
      ...(options.maxAttempts === undefined ? {} : { maxAttempts: options.maxAttempts }),
    });
  }

  async run(extras: readonly string[], present: Compiler | undefined): Promise<void> {
    const { suite, component } = this.#recipe.debian;
    this.#report('index', 0, 0, 'release file');
    const archive = await SignedArchive.open({
      mirror: this.#mirror,
      suite,
      component,
      keyringPath: join(this.#options.recipesDir ?? join(nativeDir(), 'targets'), 'debian-archive-keyring.asc'),
      cacheDir: this.#layout.downloads,
      ...this.#signal(),
    });
    const arch = present === undefined ? hostArch() : undefined;
    const plan = await planInstall(archive, this.#recipe, extras, arch, (done, what) => this.#report('index', done, 0, what));
    const paths = await this.#download(plan);
    const fetched = (packages: readonly DebianPackage[]) =>
      packages.map((one): FetchedPackage => ({ package: one, path: paths.get(one.sha256) ?? '' }));
    const compiler = present ?? (await this.#toolchain(fetched(plan.compiler), archive.release));
    await this.#target(extras, plan, fetched, paths, compiler, archive.release);
  }

  async #download(plan: InstallPlan): Promise<Map<string, string>> {
    const packages = [...plan.compiler, ...plan.sysroot, ...plan.headers];
    const unpacked = packages.reduce((sum, one) => sum + one.installedBytes, 0);
    const files: WantedFile[] = [...new Map([...packages, plan.xnnpack, plan.pthreadpool].map((file) => [file.sha256, file])).values()];
    await checkSpace(this.#layout.root, unpacked + files.reduce((sum, file) => sum + file.sizeBytes, 0));
    const paths = await downloadAll(this.#mirror, files, this.#layout.downloads, {
      ...this.#signal(),
      onProgress: (done, total, what) => this.#report('download', done, total, what),
    });
    return new Map(files.map((file, index) => [file.sha256, paths[index] ?? '']));
  }

  #toolchain(packages: readonly FetchedPackage[], release: ReleaseFacts): Promise<Compiler> {
    const arch = hostArch();
    return installToolchain(this.#recipe, arch, packages, {
      folder: this.#layout.toolchain(arch),
      unfinished: this.#layout.unfinished(`toolchain-${arch}`),
      release,
      ...this.#signal(),
      onPackage: (done, what) => this.#report('unpack', done, packages.length, what),
    });
  }

  async #target(
    extras: readonly string[],
    plan: InstallPlan,
    fetched: (packages: readonly DebianPackage[]) => FetchedPackage[],
    paths: ReadonlyMap<string, string>,
    compiler: Compiler,
    release: ReleaseFacts,
  ): Promise<void> {
    const recipe = this.#recipe;
    const folder = this.#layout.unfinished(recipe.name);
    const links = extras.flatMap((extra) => Object.entries(recipe.extras[extra]?.links ?? {}));
    const entries = await this.#sysroot(join(folder, 'sysroot'), fetched(plan.sysroot), fetched(plan.headers), links);
    const all = [...plan.sysroot, ...plan.headers];
    const target = await buildTargetAt(folder, recipe, all, compiler);
    const workDir = this.#layout.unfinished(`sources-${recipe.name}`);
    const at = (source: SourceFile) => ({ path: paths.get(source.sha256) ?? '', filename: source.filename });
    const sources = { xnnpack: at(plan.xnnpack), pthreadpool: at(plan.pthreadpool) };
    const cacheDir = this.#layout.objects;
    const onProgress = (done: number, total: number) => this.#report('build', done, total, 'XNNPACK');
    const { objectCacheBytes: limitBytes } = this.#options;
    await usingObjects(cacheDir, () => buildXnnpack(target, { sources, workDir, cacheDir, ...this.#signal(), onProgress }), {
      ...this.#signal(),
      ...(limitBytes === undefined ? {} : { limitBytes }),
    });
    await rm(workDir, { recursive: true });
    this.#report('finish', 0, 1, 'lock');
    const libraries = extras.flatMap((extra) => recipe.extras[extra]?.npmLibrary ?? []);
    const npm: TargetLock['npm'] = [];
    for (const library of libraries) npm.push(await copyNpmLibrary(library, target.libDir));
    const lock: TargetLock = {
      formatVersion: 1,
      target: recipe.name,
      recipeDigest: installDigest(recipe, extras),
      extras: [...extras],
      compiler: compiler.version,
      release,
      packages: all.map(lockedPackage),
      sources: [plan.xnnpack, plan.pthreadpool].map(({ package: name, version, sha256, sizeBytes }) => ({
        name,
        version,
        sha256,
        sizeBytes,
      })),
      npm,
    };
    await writeJsonAtomic(join(folder, FILE_LIST), await fileList(entries, target.libDir));
    await writeJsonAtomic(join(folder, LOCK_FILE), lock);
    await replaceFolder(folder, this.#layout.target(recipe.name));
  }

  async #sysroot(
    root: string,
    packages: readonly FetchedPackage[],
    headers: readonly FetchedPackage[],
    links: readonly (readonly [string, string])[],
  ): Promise<ReadonlyMap<string, TreeEntry>> {
    const { keep, drop } = this.#recipe.debian.sysroot;
    const total = packages.length + headers.length;
    const onPackage = (done: number, what: string) => this.#report('unpack', done, total, what);
    const tree = new UnpackTree(root);
    await tree.prepare();
    await unpackPackages(tree, packages, { wants: pathRule(keep, drop), onPackage, ...this.#signal() });
    const ofHeaders = pathRule(['usr/include/', 'usr/share/doc/*/copyright'], []);
    await unpackPackages(tree, headers, {
      wants: ofHeaders,
      onPackage: (done, what) => onPackage(packages.length + done, what),
      ...this.#signal(),
    });
    const named = (text: string) => text.replaceAll('{triple}', this.#recipe.triple);
    for (const [path, target] of links) await tree.link(named(path), named(target));
    return tree.entries;
  }

  #signal(): { signal?: AbortSignal } {
    this.#options.signal?.throwIfAborted();
    return this.#options.signal === undefined ? {} : { signal: this.#options.signal };
  }

  #report(phase: InstallPhase, done: number, total: number, what: string): void {
    this.#options.onProgress?.({ target: this.#recipe.name, phase, done, total, what });
  }
}

async function fileList(entries: ReadonlyMap<string, TreeEntry>, libDir: string): Promise<Record<string, TreeEntry>> {
  await mkdir(libDir, { recursive: true });
  const built = await Promise.all(
    (await readdir(libDir)).map(async (name): Promise<[string, TreeEntry]> => {
      const path = join(libDir, name);
      return [`lib/${name}`, { sha256: await sha256File(path), sizeBytes: (await stat(path)).size }];
    }),
  );
  const unpacked = [...entries].map(([path, entry]): [string, TreeEntry] => [`sysroot/${path}`, entry]);
  return Object.fromEntries([...unpacked, ...built].sort(byPath));
}
