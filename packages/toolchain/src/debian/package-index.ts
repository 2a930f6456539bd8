import { AppError } from '@selvedge/contract';
import * as z from 'zod';
import { type IndexedFile, type Paragraph, parseControl, parseDigestLines } from './control-file.ts';

/** One alternative of one dependency: a package, or something that packages provide. */
export type Alternatives = readonly string[];

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Source package: what licences and fixes are looked up by. */
  readonly source: string;
  /** Below the mirror. */
  readonly filename: string;
  readonly sizeBytes: number;
  readonly installedBytes: number;
  readonly sha256: string;
  readonly depends: readonly Alternatives[];
  readonly provides: readonly string[];
}

const filenameSchema = z
  .string()
  .max(500)
  .regex(/^pool\/(?!.*\.\.)[\w.+~%:/-]+$/);
const entrySchema = z.object({
  package: z.string().regex(/^[a-z0-9][a-z0-9+.-]*$/),
  version: z.string().min(1).max(200),
  architecture: z.string().max(30),
  filename: filenameSchema,
  size: z.coerce.number().int().min(1).max(4e9),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const FIELDS = new Set([
  'package',
  'version',
  'architecture',
  'source',
  'filename',
  'size',
  'installed-size',
  'sha256',
  'depends',
  'pre-depends',
  'provides',
]);

/** `a (>= 1) | b:any, c` becomes `[[a, b], [c]]`: a suite is consistent, so versions need not be compared. */
export function parseRelation(value: string): Alternatives[] {
  return value
    .split(',')
    .map((part) =>
      part
        .split('|')
        .map((choice) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(choice)?.[1])
        .filter((name) => name !== undefined),
    )
    .filter((alternatives) => alternatives.length > 0);
}

function toPackage(fields: Paragraph): DebianPackage {
  const parsed = entrySchema.safeParse(Object.fromEntries(fields));
  if (!parsed.success)
    throw new AppError('INPUT_INVALID', {
      message: `The archive's index has an entry that cannot be read: ${fields.get('package') ?? '?'}.`,
    });
  const { package: name, version, architecture, filename, size, sha256 } = parsed.data;
  return {
    name,
    version,
    architecture,
    source: /^\S+/.exec(fields.get('source') ?? name)?.[0] ?? name,
    filename,
    sizeBytes: size,
    installedBytes: Number(fields.get('installed-size') ?? 0) * 1024,
    sha256,
    depends: [...parseRelation(fields.get('pre-depends') ?? ''), ...parseRelation(fields.get('depends') ?? '')],
    provides: parseRelation(fields.get('provides') ?? '').flat(),
  };
}

/** The packages of one architecture, by name and by what they provide. */
export class PackageIndex {
  readonly #fields = new Map<string, Paragraph>();
  readonly #providers = new Map<string, string[]>();

  /** @param text - content of a Packages file, already verified. */
  constructor(text: string) {
    for (const fields of parseControl(text, FIELDS)) {
      const name = fields.get('package');
      if (name === undefined || this.#fields.has(name)) continue;
      this.#fields.set(name, fields);
      const provides = fields.get('provides');
      if (provides === undefined) continue;
      for (const virtual of parseRelation(provides).flat()) this.#providers.set(virtual, [...(this.#providers.get(virtual) ?? []), name]);
    }
  }

  /** The package of this name. @throws AppError INPUT_INVALID when its entry is damaged. */
  get(name: string): DebianPackage | undefined {
    const fields = this.#fields.get(name);
    return fields === undefined ? undefined : toPackage(fields);
  }

  /** Names of the packages that provide a virtual one, in the order of the index. */
  providersOf(name: string): readonly string[] {
    return this.#providers.get(name) ?? [];
  }
}

export interface SourceFile extends IndexedFile {
  readonly package: string;
  readonly version: string;
  /** Below the mirror. */
  readonly filename: string;
}

/**
 * The upstream archive (`*.orig.tar.*`) of each wanted source package.
 *
 * @throws AppError REFERENCE_MISSING when one is not in the index.
 */
export function findSources(text: string, wanted: readonly string[]): SourceFile[] {
  const found = new Map<string, SourceFile>();
  for (const fields of parseControl(text, new Set(['package', 'version', 'directory', 'checksums-sha256']))) {
    const name = fields.get('package') ?? '';
    if (!wanted.includes(name)) continue;
    for (const [file, digest] of parseDigestLines(fields.get('checksums-sha256') ?? '')) {
      if (!/\.orig\.tar\.(xz|gz|zst)$/.test(file)) continue;
      const filename = filenameSchema.parse(`${fields.get('directory') ?? ''}/${file}`);
      found.set(name, { package: name, version: fields.get('version') ?? '', filename, ...digest });
    }
  }
  return wanted.map((name) => {
    const source = found.get(name);
    if (source !== undefined) return source;
    throw new AppError('REFERENCE_MISSING', { message: `The archive has no source of ${name}.` });
  });
}
