import { AppError } from '@selvedge/contract';

export function packageNotFound(name: string): AppError {
  return new AppError('NOT_FOUND', { message: `There is no package "${name}".`, hint: '"selvedge package list" shows all packages.' });
}
