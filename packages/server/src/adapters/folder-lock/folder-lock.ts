import { access, constants, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import SqliteDatabase from 'better-sqlite3';

/** A predecessor that is about to end may keep the folder this long, in milliseconds. */
const HANDOVER_MS = 2000;

/**
 * Keeps a folder for this process alone. SQLite's file lock is the operating system's own: it is gone with the process,
 * however that ends, and holds between containers that share a volume, where a pid would say nothing.
 *
 * @returns a function that gives the folder free.
 * @throws AppError DATA_FOLDER_LOCKED, FILE_UNREADABLE (user) when it cannot be made.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  await makeFolder(folder);
  const database = new SqliteDatabase(join(folder, 'server.lock'), { timeout: HANDOVER_MS });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (!(cause instanceof SqliteDatabase.SqliteError) || !cause.code.startsWith('SQLITE_BUSY')) throw cause;
    throw new AppError(
      'DATA_FOLDER_LOCKED',
      {
        message: `Another server uses the data folder ${folder}.`,
        hint: 'Stop it (its pid is in server.json there), or choose another folder with --data.',
        data: { folder },
      },
      { cause },
    );
  }
  return () => {
    database.close();
  };
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EEXIST: 'there is a file of that name',
  ENOTDIR: 'a part of the path is a file',
  ENOENT: 'the file system does not allow it there',
};

async function makeFolder(folder: string): Promise<void> {
  try {
    await makePath(folder);
    await access(folder, constants.W_OK);
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code === undefined) throw cause;
    throw new AppError(
      'FILE_UNREADABLE',
      {
        message: `The data folder ${folder} cannot be used: ${REASONS[code] ?? code}.`,
        hint: 'Choose another folder with --data.',
        data: { folder },
      },
      { cause },
    );
  }
}

/** Folder by folder: Node's recursive mkdir never returns where a file system answers ENOENT to everything (/proc). */
async function makePath(folder: string): Promise<void> {
  const make = () => mkdir(folder, { mode: 0o700 });
  try {
    await make();
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    const parent = dirname(folder);
    if (code !== 'ENOENT' || parent === folder) throw error;
    await makePath(parent);
    await make();
  }
}
