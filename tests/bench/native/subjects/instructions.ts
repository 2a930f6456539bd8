// Guest instructions of one inference on emulated ARM cores: deterministic, and no claim about time.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BenchContext } from '../bench-context.ts';
import { libraryFolder, withLoader } from '../loader.ts';
import { makeOrtPeer, makePlugin } from '../peer-programs.ts';
import type { Row, Table } from '../report.ts';
import { emulatorTree, ortTree } from '../trees.ts';
import { cpuinfoOf } from './cpuinfo.ts';

const run = promisify(execFile);

interface Core {
  cpu: 'cortex-a7' | 'cortex-a53' | 'cortex-a76';
  target: string;
  arch: 'armhf' | 'arm64';
  emulator: string;
}

const CORES: readonly Core[] = [
  { cpu: 'cortex-a7', target: 'linux-armv7', arch: 'armhf', emulator: 'qemu-arm' },
  { cpu: 'cortex-a53', target: 'linux-arm64', arch: 'arm64', emulator: 'qemu-aarch64' },
  { cpu: 'cortex-a76', target: 'linux-arm64', arch: 'arm64', emulator: 'qemu-aarch64' },
];
const TIMEOUT_MS = 300_000;

class Counter {
  readonly #context: BenchContext;
  readonly #emulator: readonly string[];
  readonly #plugin: string;

  constructor(context: BenchContext, emulator: readonly string[], plugin: string) {
    this.#context = context;
    this.#emulator = emulator;
    this.#plugin = plugin;
  }

  async #count({ cpu, emulator }: Core, words: readonly string[]): Promise<number> {
    const out = join(this.#context.folder, 'instructions');
    const info = join(this.#context.folder, `cpuinfo-${cpu}`);
    await writeFile(info, cpuinfoOf(cpu));
    await rm(out, { force: true });
    const [loader = '', ...rest] = this.#emulator;
    const qemu = [loader, ...rest, emulator, '-cpu', cpu, '-plugin', `${this.#plugin},out=${out}`, ...words];
    // What asks /proc/cpuinfo would find this machine's.
    const script = 'mount --bind "$0" /proc/cpuinfo && exec "$@"';
    await run('unshare', ['--mount', '--map-root-user', 'sh', '-c', script, info, ...qemu], { timeout: TIMEOUT_MS, maxBuffer: 1 << 24 });
    return Number(await readFile(out, 'utf8'));
  }

  /** Instructions of one inference: what two more of them add. */
  async perInference(core: Core, words: readonly string[]): Promise<number> {
    const [few, more] = [await this.#count(core, [...words, '1']), await this.#count(core, [...words, '3'])];
    return (more - few) / 2;
  }
}

export async function instructions(context: BenchContext): Promise<Table> {
  const rows: Row[] = [];
  const how =
    'qemu-user 7.2 with count_plugin.c: what two more inferences add, by two; millions. ONNX Runtime: 1.21 of Debian (armhf), 1.30 of npm (arm64)';
  const qemu = await context.tree(emulatorTree);
  const plugin = join(context.folder, 'libcount.so');
  await makePlugin(await context.target('linux-amd64'), plugin);
  for (const core of CORES) {
    const counter = new Counter(context, withLoader(qemu, 'amd64'), plugin);
    const located = { ...core, emulator: join(qemu.root, 'usr/bin', core.emulator) };
    const ort = await ortWords(context, core);
    for (const network of context.networks) {
      const input = await context.inputFile(network);
      const model = await context.onnxFile(await context.package(network, 'linux-amd64', 'fp32'));
      const reference = await counter.perInference(located, [...ort, 'infer', model, input]);
      rows.push({ what: `${core.cpu}, ${network.name}, ONNX Runtime`, measured: reference / 1e6, unit: 'M' });
      for (const precision of ['fp32', 'int8'] as const) {
        const { program, folder } = await context.packagePeer(await context.package(network, core.target, precision));
        const found = await counter.perInference(located, [program, 'infer', folder, input]);
        const bar = { is: '<' as const, value: Math.round(reference / 1e4) / 100 };
        rows.push({
          what: `${core.cpu}, ${network.name}, package ${precision}`,
          measured: found / 1e6,
          unit: 'M',
          bar,
          note: `${(found / reference).toFixed(2)} x`,
        });
      }
    }
  }
  return { subject: 'Instructions on ARM', how, rows };
}

async function ortWords(context: BenchContext, { arch, target: name }: Core): Promise<string[]> {
  const output = join(context.folder, `ort-${arch}`);
  const tree = await context.tree(ortTree(arch));
  const target = await context.target(name, arch === 'arm64' ? ['onnxruntime'] : []);
  // Debian's 1.21 for arm64 ends with SIGILL on cores without FP16, such as the A53.
  const npm = join(target.libDir, 'libonnxruntime.so.1');
  const own = arch === 'arm64' && existsSync(npm);
  await makeOrtPeer(target, tree, own ? npm : join(libraryFolder(tree, arch), 'libonnxruntime.so.1.21'), output);
  return [...withLoader(tree, arch, own ? [target.libDir] : []), output];
}
