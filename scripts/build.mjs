// Builds every deployable into packages/<name>/dist: one esbuild bundle each, the web UI by Vite.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build as esbuild, transform } from 'esbuild';
import { BUNDLES, outputFolder, WEB } from './setup/bundles.mjs';
import { lazySchemas } from './setup/lazy-schemas.mjs';
import { ROOT, run } from './setup/setup.mjs';

// Native and WebAssembly packages stay outside: they find their binaries relative to their own files.
const EXTERNAL = [
  '@node-rs/crc32',
  'better-sqlite3',
  'onnxruntime-node',
  'sharp',
  'pg-native',
  '@bokuweb/zstd-wasm',
  // LGPL: stays a file of its own that can be replaced; it does not survive bundling either
  'openpgp',
  // asks for optional packages (XML, other validators) that we do not have, when they are needed
  '@cyclonedx/cyclonedx-library',
];
// Some dependencies are CommonJS and call require() for Node's own modules.
const BANNER =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); import { fileURLToPath as __toPath } from 'node:url'; const __filename = __toPath(import.meta.url); const __dirname = __toPath(new globalThis.URL('.', import.meta.url));";

// Commands and tools are loaded when they are called, so those bundles are split at dynamic imports.
const SPLIT = ['cli', 'tools', 'tools/selvedge-kit', 'agent'];

// The agent is held to 50 MB: what it does not need is left out, what Node has is not loaded a second time, and its files are
// CommonJS, as Node's loader of ES modules takes 2 MB.
const WITHOUT_DEBUG = {
  name: 'without-debug',
  setup(build) {
    // mqtt-packet writes a trace through `debug`; the agent has a log of its own.
    build.onResolve({ filter: /^debug$/ }, () => ({ path: 'debug', namespace: 'without-debug' }));
    build.onLoad({ filter: /.*/, namespace: 'without-debug' }, () => ({ contents: 'module.exports = () => () => {};' }));
  },
};
const LEAN = {
  minify: true,
  alias: { 'readable-stream': 'node:stream' },
  plugins: [WITHOUT_DEBUG, lazySchemas],
  sourcemap: 'inline',
  write: false,
};
// What tools of projects run with needs nothing installed.
const SELF_CONTAINED = { alias: { '@node-rs/crc32': './src/project-tool/crc32c.ts' } };

const COMMONJS_BANNER = `var __moduleUrl = require("node:url").pathToFileURL(__filename).href;
function __nowMs() { var t = process.hrtime(); return t[0] * 1e3 + t[1] / 1e6; }`;

/** esbuild splits bundles of ES modules only, so each file is turned into CommonJS afterwards. */
async function writeAsCommonJs(files, outdir) {
  mkdirSync(outdir, { recursive: true });
  writeFileSync(join(outdir, 'package.json'), '{ "type": "commonjs" }\n');
  for (const { path, text } of files) {
    const name = basename(path);
    const { code, map } = await transform(text, {
      sourcefile: name,
      sourcemap: 'external',
      sourcesContent: false,
      format: 'cjs',
      platform: 'node',
      target: 'node20.19',
      minify: true,
      // import() would load the loader of ES modules after all
      supported: { 'dynamic-import': false },
      // the clock of perf_hooks brings ten modules along
      define: { 'import.meta.url': '__moduleUrl', 'import.meta.resolve': 'undefined', 'performance.now': '__nowMs' },
      banner: COMMONJS_BANNER,
    });
    writeFileSync(path, `${code}//# sourceMappingURL=${name}.map\n`);
    writeFileSync(`${path}.map`, map);
  }
}

/** The engine keeps a file's text as long as the process lives, and takes two bytes for each character as soon as one is beyond Latin-1. */
function requireLatin1(folder) {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.js'))) {
    const found = /.{0,60}[^\0-\xff].{0,60}/.exec(readFileSync(join(folder, name), 'utf8'));
    if (found !== null) throw new Error(`${join(folder, name)} has a character beyond Latin-1, write it as an escape: ${found[0]}`);
  }
}

const packageOf = (name) => name.split('/')[0];

async function bundle(name) {
  const outdir = join(ROOT, outputFolder(name));
  const result = await esbuild({
    absWorkingDir: join(ROOT, 'packages', packageOf(name)),
    entryPoints: Object.entries(BUNDLES[name]).map(([out, source]) => ({ in: source, out })),
    outdir,
    bundle: true,
    splitting: SPLIT.includes(name),
    platform: 'node',
    // Some packages (jsonc-parser) ship a CommonJS wrapper that hides its requires from bundlers; their ES modules are complete.
    mainFields: ['module', 'main'],
    target: 'node20.19',
    format: 'esm',
    minifySyntax: true,
    minifyWhitespace: true,
    // so that a place in a stack trace can still be found by eye
    lineLimit: 120,
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    external: EXTERNAL,
    logLevel: 'warning',
    ...(name === 'agent' ? LEAN : { banner: { js: BANNER } }),
    ...(name === 'tools/selvedge-kit' ? SELF_CONTAINED : {}),
  });
  if (name === 'agent') await writeAsCommonJs(result.outputFiles, outdir);
  requireLatin1(outdir);
  writeFileSync(join(outdir, 'meta.json'), JSON.stringify(result.metafile));
}

/** The Python package goes with the tools: training scripts import it. */
function copyPythonKit() {
  const filter = (path) => !path.endsWith('__pycache__');
  cpSync(join(ROOT, 'clients/python/src'), join(ROOT, 'packages/tools/dist/python'), { recursive: true, filter });
}

const wanted = process.argv.slice(2);
const isWanted = (name) => wanted.length === 0 || wanted.includes(packageOf(name));
for (const name of Object.keys(BUNDLES).filter(isWanted))
  rmSync(join(ROOT, outputFolder(packageOf(name))), { recursive: true, force: true });
await Promise.all(Object.keys(BUNDLES).filter(isWanted).map(bundle));
if (isWanted('tools')) copyPythonKit();
if (isWanted(WEB)) await run('npx', ['vite', 'build', '--logLevel', 'warn'], { quiet: true, cwd: join(ROOT, 'packages', WEB) });
