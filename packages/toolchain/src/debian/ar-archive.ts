import { AppError } from '@selvedge/contract';

const MAGIC = '!<arch>\n';
const HEADER_BYTES = 60;

export interface ArMember {
  readonly name: string;
  readonly data: Uint8Array;
}

function damaged(reason: string): AppError {
  return new AppError('ARCHIVE_UNSAFE', { message: `The ar archive is damaged: ${reason}.` });
}

/**
 * The members of an ar archive with short names, as a .deb is one; their data are views of the input.
 *
 * @throws AppError ARCHIVE_UNSAFE (user) when it is not one or is cut.
 * @see deb(5), ar(5)
 */
export function readAr(archive: Uint8Array): ArMember[] {
  const text = (from: number, to: number) => Buffer.from(archive.buffer, archive.byteOffset + from, to - from).toString('latin1');
  if (archive.length < MAGIC.length || text(0, MAGIC.length) !== MAGIC) throw damaged('it does not begin like one');
  const members: ArMember[] = [];
  let at = MAGIC.length;
  while (at < archive.length) {
    if (at + HEADER_BYTES > archive.length) throw damaged('a header is cut');
    const name = text(at, at + 16)
      .trimEnd()
      .replace(/\/$/, '');
    const size = /^(\d{1,10}) *$/.exec(text(at + 48, at + 58))?.[1];
    if (text(at + 58, at + 60) !== '`\n' || size === undefined) throw damaged('a header is not valid');
    const start = at + HEADER_BYTES;
    const end = start + Number(size);
    if (end > archive.length) throw damaged(`${name} is cut`);
    members.push({ name, data: archive.subarray(start, end) });
    at = end + (end % 2);
  }
  return members;
}

/** The compressed file tree of a .deb: the name tells the compression. @throws AppError ARCHIVE_UNSAFE. */
export function debDataMember(deb: Uint8Array): ArMember {
  const members = readAr(deb);
  const [version] = members;
  if (version?.name !== 'debian-binary' || !Buffer.from(version.data).toString('latin1').startsWith('2.'))
    throw damaged('it is not a Debian package of version 2');
  const found = members.find(({ name }) => /^data\.tar(\.(xz|zst|gz))?$/.test(name));
  if (found === undefined) throw damaged('it has no data.tar in a compression that is known');
  return found;
}

function header(name: string, sizeBytes: number): Buffer {
  // No time, no owner: the same objects make the same archive.
  const field = (value: string, width: number) => value.padEnd(width);
  return Buffer.from(
    `${field(name, 16)}${field('0', 12)}${field('0', 6)}${field('0', 6)}${field('644', 8)}${field(String(sizeBytes), 10)}\`\n`,
    'latin1',
  );
}

/**
 * A static library (GNU ar with a table of long names, no symbol table: lld reads the objects' own).
 *
 * @param members - names without a slash; data as they are.
 */
export function writeAr(members: readonly ArMember[]): Uint8Array {
  const parts: Buffer[] = [Buffer.from(MAGIC, 'latin1')];
  const add = (name: string, data: Uint8Array) => {
    parts.push(header(name, data.length), Buffer.from(data));
    if (data.length % 2 === 1) parts.push(Buffer.from('\n'));
  };
  let names = '';
  const short = members.map(({ name }) => {
    const at = names.length;
    names += `${name}/\n`;
    return `/${at}`;
  });
  add('//', Buffer.from(names, 'latin1'));
  members.forEach(({ data }, index) => {
    add(short[index] ?? '', data);
  });
  return Buffer.concat(parts);
}
