import { readFile } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';

/**
 * The text of a clear-signed file, when at least one key of the keyring signed it.
 *
 * @param keyringPath - OpenPGP public keys, armoured.
 * @throws AppError SIGNATURE_INVALID (user).
 */
export async function verifiedText(signed: string, keyringPath: string, source: string): Promise<string> {
  // 400 kB that only an installation needs
  const { readCleartextMessage, readKeys, verify } = await import('openpgp');
  const bad = (reason: string, cause?: unknown) =>
    new AppError(
      'SIGNATURE_INVALID',
      {
        message: `${source} is not signed by a key of the Debian archive: ${reason}.`,
        hint: "Is it a mirror of the right suite, and is this machine's clock right? Choose another one with --mirror.",
      },
      { cause },
    );
  const verificationKeys = await readKeys({ armoredKeys: await readFile(keyringPath, 'utf8') });
  let message: Awaited<ReturnType<typeof readCleartextMessage>>;
  try {
    message = await readCleartextMessage({ cleartextMessage: signed });
  } catch (cause) {
    throw bad('it is not a clear-signed file', cause);
  }
  const { data, signatures } = await verify({ message, verificationKeys });
  const reasons: string[] = [];
  for (const signature of signatures) {
    try {
      await signature.verified;
      return data;
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw bad(reasons.length === 0 ? 'it has no signature' : reasons.join('; '));
}
