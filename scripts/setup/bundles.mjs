// What scripts/build.mjs builds. Imports nothing: it is asked before node_modules is there.

/** By package, or its folder below dist: the bundles with their entries. */
export const BUNDLES = {
  server: { server: 'src/main.ts', 'delta-maker': 'src/delta-maker/main.ts' },
  tools: { tools: 'src/main.ts', job: 'src/job-main.ts' },
  // a folder of its own without anything from node_modules: it is copied into images of projects' tools
  'tools/selvedge-kit': {
    kit: 'src/kit/author.ts',
    testing: 'src/kit/author-testing.ts',
    hooks: 'src/project-tool/kit-hooks.ts',
    host: 'src/project-tool/host-main.ts',
  },
  agent: {
    agent: 'src/main.ts',
    'model-server': 'src/model-server/main.ts',
    'trial-proxy': 'src/trial-proxy/main.ts',
    patcher: 'src/patcher/main.ts',
  },
  cli: { selvedge: 'src/main.ts' },
  simulator: { simulator: 'src/main.ts' },
};
/** Where the bundles of a package go: `tools/selvedge-kit` to packages/tools/dist/selvedge-kit. */
export function outputFolder(name) {
  const [packageName, ...below] = name.split('/');
  return ['packages', packageName, 'dist', ...below].join('/');
}

/** The one that Vite builds. */
export const WEB = 'web';

/** Files that are there after a whole build, relative to the repository. */
export const BUILT_FILES = [
  ...Object.entries(BUNDLES).flatMap(([name, bundles]) => Object.keys(bundles).map((bundle) => `${outputFolder(name)}/${bundle}.js`)),
  'packages/tools/dist/python/selvedge/training.py',
  `packages/${WEB}/dist/index.html`,
];
