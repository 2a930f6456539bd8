import { AppError } from '@selvedge/contract';

/** The code of the error that `act` throws; the error as text when it has none, and "no error" when nothing is thrown. */
export function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
  return 'no error';
}
