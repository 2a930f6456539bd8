import { AppError } from '@selvedge/contract';
import { systemErrorCode, writeFileAtomic } from '@selvedge/runtime';

/** Writes a file where somebody wants it. @throws AppError FILE_UNREADABLE (user) when it cannot be there; DISK_FULL (operational). */
export async function writeAskedFile(file: string, content: string | Buffer): Promise<void> {
  try {
    await writeFileAtomic(file, content);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const message = `${file} cannot be written (${systemErrorCode(cause) ?? 'unknown error'}).`;
    throw new AppError('FILE_UNREADABLE', { message }, { cause });
  }
}
