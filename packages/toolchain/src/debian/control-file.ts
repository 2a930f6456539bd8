import { AppError } from '@selvedge/contract';

/** One paragraph of a control file: field names in lower case. */
export type Paragraph = ReadonlyMap<string, string>;

/**
 * Splits Debian control data (Packages, Sources, Release) into paragraphs, one at a time: an index of 60 MB must not
 * become a million small objects at once.
 *
 * @param wanted - fields that are kept, lower case; default all.
 * @see deb822(5)
 */
export function* parseControl(text: string, wanted?: ReadonlySet<string>): Generator<Paragraph> {
  let fields = new Map<string, string>();
  let current: string | undefined;
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf('\n', start);
    if (end < 0) end = text.length;
    const line = text.slice(start, end);
    start = end + 1;
    if (line.trim() === '') {
      if (fields.size > 0) yield fields;
      fields = new Map();
      current = undefined;
    } else if (line.startsWith(' ') || line.startsWith('\t')) {
      if (current !== undefined) fields.set(current, `${fields.get(current) ?? ''}\n${line.slice(1)}`);
    } else if (!line.startsWith('#')) {
      const colon = line.indexOf(':');
      if (colon < 1)
        throw new AppError('INPUT_INVALID', { message: `A line of the archive's index has no field name: ${line.slice(0, 80)}` });
      const name = line.slice(0, colon).toLowerCase();
      current = wanted === undefined || wanted.has(name) ? name : undefined;
      if (current !== undefined) fields.set(current, line.slice(colon + 1).trim());
    }
  }
  if (fields.size > 0) yield fields;
}

export interface IndexedFile {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Lines of `sha256 size path`, as Release and Sources have them. */
export function parseDigestLines(value: string): Map<string, IndexedFile> {
  const files = new Map<string, IndexedFile>();
  for (const line of value.split('\n')) {
    const match = /^\s*([0-9a-f]{64})\s+(\d{1,15})\s+(\S+)\s*$/.exec(line);
    if (match?.[1] !== undefined && match[3] !== undefined) files.set(match[3], { sha256: match[1], sizeBytes: Number(match[2]) });
  }
  return files;
}
