export { readBundle } from './read-bundle.ts';
export { openResults, signResults } from './results.ts';
export { bundleBytes, signBundle, writeBundle } from './write-bundle.ts';
