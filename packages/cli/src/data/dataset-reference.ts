import { AppError, nameSchema } from '@selvedge/contract';
import { getOne } from '../resources.ts';
import type { Session } from '../session.ts';

export interface DatasetReference {
  readonly name: string;
  readonly version: number | undefined;
}

/** Reads `digits` or `digits@2`. @throws AppError USAGE */
export function parseDatasetReference(text: string): DatasetReference {
  const match = /^([^@]+)(?:@([1-9]\d{0,8}))?$/.exec(text);
  if (match?.[1] === undefined || !nameSchema.safeParse(match[1]).success)
    throw new AppError('USAGE', { message: `"${text}" is not like NAME or NAME@VERSION.` });
  return { name: match[1], version: match[2] === undefined ? undefined : Number(match[2]) };
}

/** As `parseDatasetReference`, with the newest version that is ready where none is named. @throws AppError USAGE, NOT_FOUND */
export async function resolveDatasetReference(session: Session, text: string): Promise<{ name: string; version: number }> {
  const { name, version } = parseDatasetReference(text);
  if (version !== undefined) return { name, version };
  const { status } = await getOne(session, 'Dataset', name);
  if (status.latestVersion !== null) return { name, version: status.latestVersion };
  throw new AppError('NOT_FOUND', {
    message: `Dataset "${name}" has no version that is ready.`,
    hint: `Look at "selvedge dataset show ${name}".`,
  });
}
