import type { Run } from '@selvedge/contract';
import { CANCEL_ANNOTATION } from '../domain/run-markers.ts';
import { isFinishedPhase } from '../domain/run-view.ts';
import type { Store } from '../ports/store.ts';
import { draftOf } from './draft-of.ts';

/** Writes down that a run is to end; a finished one stays as it is. Undefined when there is none. */
export function requestCancel(store: Store, name: string, nowIso: string): Promise<Run | undefined> {
  return store.update('Run', name, (current) => {
    if (isFinishedPhase(current.status.phase)) return undefined;
    const annotations = { [CANCEL_ANNOTATION]: nowIso, ...current.metadata.annotations };
    return draftOf(current, { annotations, status: { ...current.status, message: 'cancelling' } });
  });
}
