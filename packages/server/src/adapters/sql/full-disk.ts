import { AppError } from '@selvedge/contract';
import SqliteDatabase from 'better-sqlite3';

/** What SQLite says when the file system has no space for the database or its log. */
const FULL_CODES: readonly string[] = ['SQLITE_FULL', 'SQLITE_IOERR_WRITE'];

/** Turns SQLite's word for a full disk into DISK_FULL that names the file; returns every other error as it is. */
export function explainFullDisk(error: unknown, file: string): unknown {
  if (!(error instanceof SqliteDatabase.SqliteError) || !FULL_CODES.includes(error.code)) return error;
  const message = `No space left while writing ${file}.`;
  return new AppError('DISK_FULL', { message, hint: 'Free some space; the server goes on by itself.' }, { cause: error });
}
