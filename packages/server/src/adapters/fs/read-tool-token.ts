import { readFile } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';

const MIN_LENGTH = 16;

/** The token in a file, spaces around it left out. @throws AppError FILE_UNREADABLE, INPUT_INVALID (user) */
export async function readToolToken(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `The token file ${path} could not be read (${systemErrorCode(cause)}).` }, { cause });
  }
  const token = text.trim();
  if (token.length >= MIN_LENGTH && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new AppError('INPUT_INVALID', {
    message: `The token file ${path} holds no token: ${MIN_LENGTH} or more printable characters without spaces.`,
  });
}
