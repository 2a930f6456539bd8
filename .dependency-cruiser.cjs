// Who may import whom; each rule says why. Run by `npm run check`.
const DEPLOYABLES = ['server', 'tools', 'agent', 'cli', 'web'];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or hide a third; cycles also make load order matter.',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'contract-imports-schemas-only',
      comment: 'The contract runs in browsers, on devices and in the server alike: no Node, no DOM, nothing of ours.',
      severity: 'error',
      from: { path: '^packages/contract/src', pathNot: '\\.test\\.ts$' },
      to: { pathNot: ['^packages/contract/src', 'node_modules/zod'] },
    },
    {
      name: 'runtime-has-no-product-noun',
      comment: 'Plumbing that knew the product could not be shared by all of it.',
      severity: 'error',
      from: { path: '^packages/runtime/src', pathNot: '\\.test\\.ts$' },
      to: { path: '^packages/(?!runtime|contract)' },
    },
    {
      name: 'graph-has-no-network-and-no-store',
      comment: 'Models are computed here; moving and keeping them is for others.',
      severity: 'error',
      from: { path: '^packages/graph/src', pathNot: '\\.test\\.ts$' },
      to: { path: ['^packages/(?!graph|contract|runtime)', '^(node:)?(http|https|net|tls|dgram)$'] },
    },
    ...DEPLOYABLES.map((name) => ({
      name: `${name}-is-deployed-alone`,
      comment: 'A deployable that imports another one cannot be built, shipped or upgraded without it; they meet in the contract.',
      severity: 'error',
      from: { path: `^packages/${name}/src` },
      to: { path: `^packages/(${DEPLOYABLES.filter((other) => other !== name).join('|')})/` },
    })),
    {
      name: 'graph-is-for-tools-agent-cli',
      comment: 'The server keeps models and never computes with them, so that it stays small; nor does the UI.',
      severity: 'error',
      from: { path: '^packages/(server|web|runtime|contract)/src' },
      to: { path: '^packages/graph/' },
    },
    {
      name: 'web-runs-in-browsers',
      comment: 'The UI may import the contract and no Node code.',
      severity: 'error',
      from: { path: '^packages/web/src', pathNot: ['\\.test\\.tsx?$', '^packages/web/src/testing/'] },
      to: { path: ['^packages/(?!web|contract)', '^node:'] },
    },
    {
      name: 'domain-is-pure',
      comment: 'Planners take values and return values: no I/O, no clock, no libraries, so every state of theirs can be tested.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/domain/', pathNot: '\\.test\\.ts$' },
      to: { pathNot: ['^packages/[^/]+/src/domain/', '^packages/contract/src', 'node_modules/zod'] },
    },
    {
      name: 'ports-know-the-domain-only',
      comment: 'A port that knew an adapter would have one implementation for ever.',
      severity: 'error',
      from: { path: '^packages/server/src/ports/', pathNot: '\\.(test|contract)\\.ts$' },
      to: { path: '^packages/server/src/(?!ports|domain)' },
    },
    {
      name: 'services-use-ports',
      comment: 'Services that import adapters cannot run on another database or blob store.',
      severity: 'error',
      from: { path: '^packages/server/src/services/', pathNot: '\\.test\\.ts$' },
      to: { path: '^packages/server/src/(adapters|api|main)' },
    },
    {
      name: 'adapters-know-ports-and-domain',
      comment: 'An adapter that called a service would turn the arrow round.',
      severity: 'error',
      from: { path: '^packages/server/src/adapters/', pathNot: '\\.test\\.ts$' },
      to: { path: '^packages/server/src/(services|api|main)' },
    },
    {
      name: 'api-goes-through-services',
      comment: 'What the API does, the scheduler and later faces must be able to do too: it belongs in a service.',
      severity: 'error',
      from: { path: '^packages/server/src/api/', pathNot: '\\.test\\.ts$' },
      to: { path: '^packages/server/src/(adapters|main)' },
    },
    {
      name: 'agent-process-is-light',
      comment: 'The agent runs on every device all the time: ONNX Runtime, image decoders and the graph code belong in its child process.',
      severity: 'error',
      from: { path: '^packages/agent/src/(?!model-server|testing)', pathNot: '\\.test\\.ts$' },
      to: { path: ['^packages/graph/', 'node_modules/(onnxruntime-node|sharp)'] },
    },
    {
      name: 'no-test-code-in-the-product',
      comment: 'Fixtures and test servers must not reach a bundle.',
      severity: 'error',
      from: { pathNot: ['\\.(test|contract)\\.tsx?$', '/testing/', '^tests/'] },
      to: { path: ['\\.test\\.tsx?$', '/testing/', '^tests/'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.tsx', '.js', '.mjs'],
    },
  },
};
