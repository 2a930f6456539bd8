export { writeOpened } from '../package/write-opened.ts';
export { type MakeDeltaOptions, makeDelta } from './make-delta.ts';
export { makePackageDelta } from './make-package-delta.ts';
