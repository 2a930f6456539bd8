import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError, targetNameSchema } from '@selvedge/contract';
import { readJsonFile, sha256Hex } from '@selvedge/runtime';
import * as z from 'zod';
import { nativeDir } from './native-folder.ts';

/** Raised when the installer lays out a target differently, so that older installations are made anew. */
const LAYOUT_VERSION = 1;

const packageName = z.string().regex(/^[a-z0-9][a-z0-9+.:-]{1,99}$/, 'must be the name of a Debian package');
const packageList = z.array(packageName).max(100);
const relativePath = z
  .string()
  .max(200)
  .regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$))[\w@.+*/-]+$/, 'must be a relative path without ".."');
const linkPath = z
  .string()
  .max(200)
  .regex(/^(?!.*\.\.)[\w{][\w.+/{}-]*$/, 'must be a path below the sysroot');
const flag = z.string().regex(/^-[\w=+.,-]+$/);
const definitions = z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string().max(100));

const unpackRule = {
  packages: packageList.min(1),
  /** Packages that the dependency closure stops at. */
  skip: packageList,
  /** What is unpacked: path prefixes; `*` stands for one name, and a trailing `/` for everything below. */
  keep: z.array(relativePath).min(1),
  /** What of it is not. */
  drop: z.array(relativePath),
};

const extraSchema = z.strictObject({
  /** Unpacked with all they depend on. */
  packages: packageList.optional(),
  /** Only usr/include of these, without what they depend on. */
  headersOf: packageList.optional(),
  /** Links that Debian makes by scripts when a package is installed: path to target; `{triple}` stands for the target's. */
  links: z.record(linkPath, linkPath).optional(),
  /** A library of an npm package that is a dependency of the product already. */
  npmLibrary: z.strictObject({ package: z.string().regex(/^[a-z0-9@/-]+$/), path: relativePath }).optional(),
});

/** What every target takes from Debian (native/targets/shared/debian.json). */
const debianSettingsSchema = z.strictObject({
  suite: z.string().regex(/^[a-z]+$/),
  component: z.string().regex(/^[a-z]+$/),
  /** Default mirror; --mirror and SELVEDGE_DEBIAN_MIRROR replace it. */
  mirror: z.url({ protocol: /^https?$/ }),
  sysroot: z.strictObject(unpackRule),
  compiler: z.strictObject({
    ...unpackRule,
    /** The package whose version is recorded as the compiler's. */
    clangPackage: packageName,
    llvmFolder: relativePath,
    resourceFolder: relativePath,
  }),
});
type DebianSettings = z.infer<typeof debianSettingsSchema>;

/** How the static XNNPACK is made (native/targets/shared/xnnpack.json). */
const xnnpackSettingsSchema = z.strictObject({
  sourcePackage: packageName,
  /** Folders at the front of the paths in the source archive that are taken off. */
  sourceStrip: z.int().min(0).max(3),
  pthreadpoolPackage: packageName,
  pthreadpoolStrip: z.int().min(0).max(3),
  /** What of the source archive is unpacked. */
  unpack: z.array(relativePath).min(1),
  /** Headers are taken from everywhere below this folder. */
  headersBelow: relativePath,
  /** Lists of sources in its CMakeLists.txt. */
  sourceSets: z.array(z.string().regex(/^[A-Z0-9_]+$/)),
  /** Further sources. */
  sources: z.array(relativePath),
  pthreadpoolSources: z.array(relativePath).min(1),
  definitions,
});
type XnnpackSettings = z.infer<typeof xnnpackSettingsSchema>;

/** A target as its file in native/targets declares it; adding one is one such file, and `npm run generate`. */
const targetFileSchema = z.strictObject({
  name: targetNameSchema,
  description: z.string().min(1).max(300),
  /** Architecture by Debian's name: `armhf`. */
  debianArch: z.string().regex(/^[a-z0-9]+$/),
  /** The compiler's --target, which is Debian's multiarch name too: `arm-linux-gnueabihf`. */
  triple: z.string().regex(/^[a-z0-9_]+(-[a-z0-9_]+)+$/),
  /** `process.arch` of machines that run its programs without an emulator; of several such targets, theirs is the first by name. */
  machine: z.string().regex(/^[a-z0-9]+$/),
  compilerFlags: z.array(flag),
  /** After the driver's own: `-Wl,--icf=none` where lld 19 crashes on Debian's objects (libllhttp.a of armhf) when it folds. */
  linkerFlags: z.array(flag).optional(),
  /** For tests: qemu-user and the cores that are emulated, oldest first. */
  emulator: z.strictObject({ program: z.string().regex(/^[\w.+-]+$/), cpus: z.array(z.string().regex(/^[\w.+-]+$/)).min(1) }),
  /** Packages that this target needs besides those of every target. */
  packages: packageList.optional(),
  /** Over those of native/targets/shared/xnnpack.json. */
  xnnpackDefinitions: definitions,
  /** What the engine onnxruntime computes in for int8; default `int8`, but its fast kernels for x86 take `uint8`. */
  onnxruntimeActivations: z.enum(['int8', 'uint8']).optional(),
  extras: z.record(z.string().regex(/^[a-z0-9-]+$/), extraSchema),
});
type TargetFile = z.infer<typeof targetFileSchema>;

export interface Recipe extends TargetFile {
  readonly debian: DebianSettings;
  readonly xnnpack: XnnpackSettings;
}

async function readPart<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>> {
  const value = await readJsonFile(path, schema);
  if (value === undefined) throw new AppError('SETUP_INCOMPLETE', { message: `${path} is missing.` });
  return value;
}

/**
 * All targets that can be installed, sorted by name.
 *
 * @param folder - default: native/targets of this installation.
 * @throws AppError INPUT_INVALID (user) when a recipe does not match its schema.
 */
export async function listRecipes(folder: string = join(nativeDir(), 'targets')): Promise<Recipe[]> {
  const debian = await readPart(join(folder, 'shared/debian.json'), debianSettingsSchema);
  const xnnpack = await readPart(join(folder, 'shared/xnnpack.json'), xnnpackSettingsSchema);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  const recipes: Recipe[] = [];
  for (const name of names) {
    const target = await readPart(join(folder, name), targetFileSchema);
    if (`${target.name}.json` !== basename(name))
      throw new AppError('INPUT_INVALID', {
        message: `${join(folder, name)} is the recipe of ${target.name}: its name must be that of the target.`,
      });
    recipes.push({ ...target, debian, xnnpack });
  }
  return recipes;
}

/**
 * The recipe of one target.
 *
 * @throws AppError TARGET_UNKNOWN (user); the hint names the known ones.
 */
export async function findRecipe(name: string, folder?: string): Promise<Recipe> {
  const recipes = await listRecipes(folder);
  const found = recipes.find((recipe) => recipe.name === name);
  if (found !== undefined) return found;
  throw new AppError('TARGET_UNKNOWN', {
    message: `There is no target ${name}.`,
    hint: `Known targets: ${recipes.map((recipe) => recipe.name).join(', ')}.`,
  });
}

/** sha256 of all that an installation with these extras follows from; another one makes it out of date. */
export function installDigest(recipe: Recipe, extras: readonly string[]): string {
  const { name, debianArch, triple, compilerFlags, packages, xnnpackDefinitions, debian, xnnpack } = recipe;
  const chosen = extras.map((extra) => [extra, recipe.extras[extra] ?? null]);
  const parts = [name, debianArch, triple, compilerFlags, packages ?? [], xnnpackDefinitions, debian, xnnpack, chosen];
  return sha256Hex(JSON.stringify([LAYOUT_VERSION, ...parts]));
}

/** The digest of the compiler's part: targets of one digest share a compiler. */
export function compilerDigest(recipe: Recipe): string {
  return sha256Hex(JSON.stringify([LAYOUT_VERSION, recipe.debian.suite, recipe.debian.compiler]));
}

/** Debian's name of this machine's architecture. @throws AppError RESOURCES_UNAVAILABLE (user) where the compiler does not exist. */
export function hostArch(machine: string = process.arch): 'amd64' | 'arm64' {
  if (machine === 'x64') return 'amd64';
  if (machine === 'arm64') return 'arm64';
  throw new AppError('RESOURCES_UNAVAILABLE', {
    message: `The compiler runs on x64 and arm64 machines; this one is ${machine}.`,
    hint: 'Install targets and build packages on another machine.',
  });
}
