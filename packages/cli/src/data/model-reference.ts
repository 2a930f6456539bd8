import { AppError, type Client, type ModelVersion } from '@selvedge/contract';
import { orDash } from '../output/format.ts';
import type { Session } from '../session.ts';

type ModelDetail = Awaited<ReturnType<Client['getModel']>>;

/** A version by its number or alias. @throws AppError NOT_FOUND with what there is. */
export function findVersion(detail: ModelDetail, wanted: string): ModelVersion {
  const { name } = detail.model.metadata;
  const resolved = detail.model.status.aliases[wanted] ?? wanted;
  const version = detail.versions.find((one) => one.spec.version === resolved);
  if (version !== undefined) return version;
  const known = [...Object.keys(detail.model.status.aliases), ...detail.versions.map((one) => one.spec.version)];
  throw new AppError('NOT_FOUND', { message: `Model ${name} has no version "${wanted}".`, hint: `It has: ${orDash(known.join(', '))}` });
}

/** The version that `MODEL` (its latest), `MODEL:VERSION`, `MODEL:ALIAS` or `MODEL@ALIAS` names. @throws AppError NOT_FOUND. */
export async function resolveReference(session: Session, reference: string): Promise<ModelVersion> {
  const at = Math.max(reference.lastIndexOf(':'), reference.lastIndexOf('@'));
  const name = at < 0 ? reference : reference.slice(0, at);
  const detail = await session.client.getModel({ params: { name }, signal: session.io.signal });
  return findVersion(detail, at < 0 ? 'latest' : reference.slice(at + 1));
}
