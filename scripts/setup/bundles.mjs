// What scripts/build.mjs builds. Imports nothing: it is asked before node_modules is there.

/** By package: the bundles in its dist folder with their entries. */
export const BUNDLES = {
  server: { server: 'src/main.ts' },
  tools: { tools: 'src/main.ts', job: 'src/job-main.ts' },
  agent: { agent: 'src/main.ts', 'model-server': 'src/model-server/main.ts' },
  cli: { selvedge: 'src/main.ts' },
};
/** The one that Vite builds. */
export const WEB = 'web';

/** Files that are there after a whole build, relative to the repository. */
export const BUILT_FILES = [
  ...Object.entries(BUNDLES).flatMap(([name, bundles]) => Object.keys(bundles).map((bundle) => `packages/${name}/dist/${bundle}.js`)),
  'packages/tools/dist/python/selvedge/training.py',
  `packages/${WEB}/dist/index.html`,
];
