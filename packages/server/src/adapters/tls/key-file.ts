import { AppError } from '@selvedge/contract';
import { readTextFile, writeFileAtomic } from '@selvedge/runtime';

/**
 * Reads a file of a private key followed by its certificate.
 *
 * @param parse - throws when they are damaged or do not belong together.
 * @param hint - what to do about a damaged file.
 * @returns undefined when there is no such file.
 * @throws AppError FILE_UNREADABLE (user) when it is damaged.
 */
export async function readKeyFile<T>(path: string, parse: (pem: string) => T | Promise<T>, hint: string): Promise<T | undefined> {
  const pem = await readTextFile(path);
  if (pem === undefined) return undefined;
  try {
    return await parse(pem);
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${path} does not hold a private key and its certificate.`, hint }, { cause });
  }
}

/** Writes such a file for its owner alone (mode 0600), whole or not at all. Each PEM ends with a newline. */
export async function writeKeyFile(path: string, pem: { key: string; certificate: string }): Promise<void> {
  await writeFileAtomic(path, pem.key + pem.certificate, { mode: 0o600 });
}
