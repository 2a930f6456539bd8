import { fitsUstar, fitsUstarSize, paddingOf, ustarHeader } from '../ustar.ts';
import type { FolderEntry } from './folder-entry.ts';

/** A record of a pax header: its length in decimal, with itself, then `key=value` and a newline. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let digits = String(bytes).length;
  while (String(bytes + digits).length > digits) digits += 1;
  return `${bytes + digits}${rest}`;
}

/**
 * What stands before the content of an entry. It is a function of the entry alone: a ustar header, and before it the records of
 * those values that do not fit into one.
 */
export function archiveHeader({ path, type, mode, sizeBytes, target }: FolderEntry): Buffer {
  const name = path === '' ? './' : type === 'folder' ? `${path}/` : path;
  const hasName = fitsUstar(name);
  const hasTarget = target === '' || fitsUstar(target);
  const hasSize = fitsUstarSize(sizeBytes);
  const header = ustarHeader(hasName ? name : 'long', hasSize ? sizeBytes : 0, { type, mode, target: hasTarget ? target : 'long' });
  if (hasName && hasTarget && hasSize) return header;
  const records = Buffer.from(
    [
      hasName ? '' : paxRecord('path', name),
      hasTarget ? '' : paxRecord('linkpath', target),
      hasSize ? '' : paxRecord('size', String(sizeBytes)),
    ].join(''),
  );
  return Buffer.concat([
    ustarHeader('records', records.length, { type: 'records' }),
    records,
    Buffer.alloc(paddingOf(records.length)),
    header,
  ]);
}
