export { openedParts } from '../package/opened-layout.ts';
export { type ApplyDeltaOptions, applyDelta } from './apply-delta.ts';
