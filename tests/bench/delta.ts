// `npm run bench:delta [-- --only head,config --json FILE]`: what devices fetch of a version when they have the one before, against
// the whole file and, where the command line of zstd is there, against its --patch-from.
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readModel, writeModel } from '@selvedge/graph/onnx';
import { sha256File } from '@selvedge/runtime';
import { writeOpened } from '@selvedge/runtime/delta-making';
import { verifyPackageArchive } from '@selvedge/runtime/package';
import { headOf, PACKAGE_PAIRS, signer, trainedAgain } from './delta-packages.ts';
import { mobileNetwork } from './native/models.ts';

const { values } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'string' } } });
const only = values.only?.split(',');

const PATCHER = join(import.meta.dirname, '../../packages/agent/dist/patcher.js');
const MAKER = join(import.meta.dirname, '../../packages/server/dist/delta-maker.js');
/** Prints the most memory that the process had when it ends; what getrusage says begins with that of its parent. */
const PEAK =
  'data:text/javascript,import{readFileSync as r}from"node:fs";process.on("exit",()=>process.stderr.write(r("/proc/self/status","utf8").match(/VmHWM.*/)[0]))';

interface Pair {
  name: string;
  about: string;
  /** Bytes of the version before and of the new one; undefined where this machine cannot make them. */
  make: (folder: string) => Promise<{ base: Uint8Array; target: Uint8Array } | undefined>;
  /** Archives of native packages: the patch is between what is in them. */
  arePackages?: boolean;
}

/** Weights of float32 as int8 with one scale for each tensor: what stays of a change that is smaller than a step. */
function inInt8(bytes: Uint8Array): Uint8Array {
  const { graph } = readModel(bytes);
  const parts: Uint8Array[] = [];
  for (const { data } of graph.initializers.values()) {
    if (!(data instanceof Float32Array)) continue;
    const scale = data.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12) / 127;
    parts.push(new Uint8Array(Int8Array.from(data, (value) => Math.round(value / scale)).buffer));
  }
  return Buffer.concat(parts);
}

/** A program with all of its libraries, linked anew with one function more. */
function relinked(folder: string): { base: Uint8Array; target: Uint8Array } | undefined {
  const source = (more: string) => `
    #include <cstdio>
    #include <iostream>
    #include <map>
    #include <regex>
    #include <string>
    ${more}
    int main(int argc, char **argv) {
      std::map<std::string, int> counts;
      for (int i = 0; i < argc; i++) counts[argv[i]] += std::regex_match(argv[i], std::regex("a+b*"));
      for (auto &[key, value] : counts) std::cout << key << value + ${more === '' ? '0' : 'extra(argc)'} << "\\n";
    }`;
  const compile = (name: string, text: string) => {
    const program = join(folder, name);
    execFileSync('c++', ['-std=c++17', '-O2', '-static', '-s', '-x', 'c++', '-', '-o', program], { input: text, stdio: 'pipe' });
    return readFileSync(program);
  };
  try {
    const more = '__attribute__((noinline)) int extra(int n) { int s = 0; for (int i = 1; i < n * 7; i++) s += 1000 / i; return s; }';
    return { base: compile('before', source('')), target: compile('after', source(more)) };
  } catch {
    return undefined;
  }
}

const original = () => writeModel(mobileNetwork().model);
const head = headOf(mobileNetwork().model);
const fineTuned = (pick: (name: string) => boolean, size: number) => writeModel(trainedAgain(mobileNetwork().model, pick, size));

const PAIRS: readonly Pair[] = [
  {
    name: 'config',
    about: 'MobileNetV2, only labels or post-processing changed: the same model file',
    make: async () => ({ base: original(), target: original() }),
  },
  {
    name: 'head',
    about: 'MobileNetV2, head trained again, backbone frozen',
    make: async () => ({ base: original(), target: fineTuned((name) => head.has(name), 0.01) }),
  },
  {
    name: 'head-int8',
    about: 'the same in int8',
    make: async () => ({ base: inInt8(original()), target: inInt8(fineTuned((name) => head.has(name), 0.01)) }),
  },
  {
    name: 'all',
    about: 'MobileNetV2, every weight trained again',
    make: async () => ({ base: original(), target: fineTuned(() => true, 0.0005) }),
  },
  {
    name: 'all-int8',
    about: 'the same in int8',
    make: async () => ({ base: inInt8(original()), target: inInt8(fineTuned(() => true, 0.0005)) }),
  },
  {
    name: 'relinked',
    about: 'a static program of C++, one function more, linked anew',
    make: async () => relinked(folder),
  },
  ...PACKAGE_PAIRS.map((pair) => ({ ...pair, arePackages: true })),
  {
    name: 'large',
    about: '200 MiB of noise, every twentieth MiB replaced',
    make: async () => {
      const base = randomBytes(200 * 2 ** 20);
      const target = Buffer.from(base);
      for (let at = 0; at < target.length; at += 20 * 2 ** 20) randomBytes(2 ** 20).copy(target, at);
      return { base, target };
    },
  },
];

function zstd(args: readonly string[], output: string): number | undefined {
  try {
    execFileSync('zstd', ['-q', '-f', ...args, '-o', output], { stdio: 'ignore' });
    return readFileSync(output).length;
  } catch {
    return undefined;
  }
}

/** Runs a program of ours to its end. */
function run(program: string, args: readonly string[]): { output: string; ms: number; peakBytes: number } {
  const startedAt = performance.now();
  const ended = spawnSync(process.execPath, ['--import', PEAK, program, ...args], { encoding: 'utf8' });
  if (ended.status !== 0) throw new Error(`${program}: ${ended.stderr}`);
  const peakBytes = Number(/VmHWM:\s+(\d+)/.exec(ended.stderr)?.[1]) * 1024;
  return { output: ended.stdout, ms: performance.now() - startedAt, peakBytes };
}

function makePatch(base: string, target: string, patch: string, maxBytes: number, arePackages: boolean) {
  const made = run(MAKER, [base, target, patch, String(maxBytes), arePackages ? 'package' : 'file']);
  const answer: { sizeBytes: number | null } = JSON.parse(made.output);
  return { ...answer, ms: made.ms, peakBytes: made.peakBytes };
}

/** What two archives hold, for programs that cannot open them, and the folder that a device has of the first. */
async function openBoth(path: (name: string) => string) {
  await writeOpened(path('base'), path('opened-base'));
  await writeOpened(path('target'), path('opened-target'));
  await rm(path('known'), { recursive: true, force: true });
  await verifyPackageArchive({ source: path('base'), ca: (await signer()).ca, destination: path('known') });
  return { base: path('opened-base'), target: path('opened-target'), known: path('known') };
}

const megabytes = (bytes: number | undefined | null) => (bytes == null ? '–' : (bytes / 1e6).toFixed(bytes < 1e5 ? 3 : 2));
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;

const folder = await mkdtemp(join(tmpdir(), 'selvedge-delta-'));
const results: object[] = [];
try {
  const path = (name: string) => join(folder, name);
  process.stdout.write(
    '| versions | whole, MB | patch, MB | zstd --patch-from, MB | zstd of the whole, MB | made in | peak | applied in | peak |\n',
  );
  process.stdout.write('|---|---|---|---|---|---|---|---|---|\n');
  for (const pair of PAIRS.filter(({ name }) => only?.includes(name) ?? true)) {
    const contents = await pair.make(folder);
    if (contents === undefined) {
      process.stdout.write(`| ${pair.about} | not made here: no C++ compiler |\n`);
      continue;
    }
    const { arePackages = false } = pair;
    await writeFile(path('base'), contents.base);
    await writeFile(path('target'), contents.target);
    const whole = contents.target.length;
    const made = makePatch(path('base'), path('target'), path('patch'), whole, arePackages);
    const plain = arePackages ? await openBoth(path) : { base: path('base'), target: path('target'), known: path('base') };
    const result = [await sha256File(plain.target), String((await stat(plain.target)).size)];
    const applied = made.sizeBytes === null ? undefined : run(PATCHER, [plain.known, path('patch'), path('result'), ...result]);
    // at its best it takes a quarter of an hour for the large one
    const level = whole > 64 * 2 ** 20 ? '-3' : '-19';
    const ofZstd = zstd([level, '--long=28', `--patch-from=${plain.base}`, plain.target], path('zstd'));
    const packed = arePackages ? whole : zstd([level, path('target')], path('zstd'));
    const cells = [
      megabytes(whole),
      megabytes(made.sizeBytes),
      megabytes(ofZstd),
      megabytes(packed),
      seconds(made.ms),
      mebibytes(made.peakBytes),
    ];
    const last = applied === undefined ? ['–', '–'] : [seconds(applied.ms), mebibytes(applied.peakBytes)];
    process.stdout.write(`| ${[pair.about, ...cells, ...last].join(' | ')} |\n`);
    results.push({ name: pair.name, whole, ofZstd, packed, made, applied });
  }
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(results, null, 2));
} finally {
  await rm(folder, { recursive: true, force: true });
}
