import { AppError } from '@selvedge/contract';
import type { Artifact } from '../artifact.ts';
import type { ArtifactStore } from '../artifact-store.ts';

export interface NameParams {
  Params: { name: string };
}

export interface FileParams {
  Params: { name: string; '*': string };
}

/** @throws AppError NOT_FOUND (user) */
export function findArtifact(store: ArtifactStore, name: string): Artifact {
  const artifact = store.get(name);
  if (artifact === undefined)
    throw new AppError('NOT_FOUND', { message: `There is no artifact ${JSON.stringify(name.slice(0, 128))} here.` });
  return artifact;
}

/** @throws AppError NOT_FOUND (user); CONFLICT (user) while it is not completed: its files are not there yet, or never will be. */
export function findCompleted(store: ArtifactStore, name: string): Artifact {
  const artifact = findArtifact(store, name);
  const { status } = artifact.status;
  if (status !== 'completed') {
    throw new AppError('CONFLICT', { message: `Artifact "${name}" is ${status}; only a completed one has data.`, data: { status } });
  }
  return artifact;
}
