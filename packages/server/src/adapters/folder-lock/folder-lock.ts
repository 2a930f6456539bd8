import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@selvedge/contract';
import SqliteDatabase from 'better-sqlite3';

/** A predecessor that is about to end may keep the folder this long, in milliseconds. */
const HANDOVER_MS = 2000;

/**
 * Keeps a folder for this process alone. SQLite's file lock is the operating system's own: it is gone with the process,
 * however that ends, and holds between containers that share a volume, where a pid would say nothing.
 *
 * @returns a function that gives the folder free.
 * @throws AppError DATA_FOLDER_LOCKED (user).
 */
export async function lockFolder(folder: string): Promise<() => void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
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
