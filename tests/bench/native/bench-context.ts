// What the subjects share: flags, folders, packages and peers, each made once.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineName } from '@selvedge/contract';
import { decodeImage } from '@selvedge/graph/image';
import type { InstalledTarget } from '@selvedge/toolchain';
import { testTarget } from '../../native/harness/targets.ts';
import { type DebianTree, debianTree, type TreeRequest } from './debian-tree.ts';
import { libraryFolder, withLoader } from './loader.ts';
import { detectorNetwork, digitNetwork, HEAD_BIAS, HEAD_DEVIATION, mobileNetwork, type TestNetwork } from './models.ts';
import { normaliseLayers } from './normalise-layers.ts';
import { type BuiltPackage, buildBenchPackage, preprocess } from './packages.ts';
import { makeOrtPeer, makePackagePeer } from './peer-programs.ts';
import { drawPicture, encodeJpeg } from './pictures.ts';
import { BENCH_CACHE_DIR } from './places.ts';
import { ortTree } from './trees.ts';

export interface Flags {
  networks: string[];
  subjects: string[];
  rounds: number;
  requests: number;
  quick: boolean;
}

export type BuildPrecision = 'fp32' | 'int8';

const NETWORKS: Readonly<Record<string, () => TestNetwork | Promise<TestNetwork>>> = {
  digits: digitNetwork,
  mobilenet: mobileNetwork,
  detector: () => normaliseLayers(detectorNetwork(), HEAD_BIAS, HEAD_DEVIATION),
};
export const NETWORK_NAMES = Object.keys(NETWORKS);
export const VGA = [640, 480] as const;
export const FULL_HD = [1920, 1080] as const;

/** Values that are made at the first use. */
class Once<T> {
  readonly #made = new Map<string, Promise<T>>();

  get(key: string, make: () => Promise<T>): Promise<T> {
    const present = this.#made.get(key) ?? make();
    this.#made.set(key, present);
    return present;
  }
}

export class BenchContext {
  readonly flags: Flags;
  readonly networks: readonly TestNetwork[];
  /** Of this run alone. */
  readonly folder = join(BENCH_CACHE_DIR, `work-${process.pid}`);
  readonly #packages = new Once<BuiltPackage>();
  readonly #peers = new Once<string>();
  readonly #files = new Once<string>();
  readonly #trees = new Once<DebianTree>();
  readonly #targets = new Once<InstalledTarget>();

  constructor(flags: Flags, networks: readonly TestNetwork[]) {
    this.flags = flags;
    this.networks = networks;
  }

  static async create(flags: Flags): Promise<BenchContext> {
    const networks = await Promise.all(flags.networks.map((name) => NETWORKS[name]?.()));
    return new BenchContext(
      flags,
      networks.filter((network) => network !== undefined),
    );
  }

  say(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  network(name: string): TestNetwork | undefined {
    return this.networks.find((network) => network.name === name);
  }

  target(name: string, extras: readonly string[] = []): Promise<InstalledTarget> {
    return this.#targets.get(`${name} ${extras.join()}`, () => testTarget(name, extras));
  }

  tree(request: TreeRequest): Promise<DebianTree> {
    return this.#trees.get(request.name, () => debianTree(request, (text) => this.say(text)));
  }

  /** Folder of the package, and the ONNX file beside it. */
  package(network: TestNetwork, targetName: string, precision: BuildPrecision, engine: EngineName = 'xnnpack'): Promise<BuiltPackage> {
    const name = [network.name, targetName, precision, engine].join('-');
    return this.#packages.get(name, async () => {
      const target = await this.target(targetName, engine === 'onnxruntime' ? ['onnxruntime'] : []);
      this.say(`building ${name}`);
      return buildBenchPackage(network, target, { engine, precision }, join(this.folder, name));
    });
  }

  /** Path of package_peer.cc built for a package, and the folder that it takes. */
  async packagePeer(built: BuiltPackage): Promise<{ program: string; folder: string }> {
    const folder = await this.#peers.get(built.folder, () => makePackagePeer(built));
    return { program: join(folder, 'run'), folder };
  }

  /** The words that run ONNX Runtime 1.21 in C++: Debian's library, its own loader. */
  async ortPeer(): Promise<string[]> {
    const tree = await this.tree(ortTree('amd64'));
    const output = join(this.folder, 'ort-amd64');
    await this.#peers.get(output, async () => {
      const target = await this.target('linux-amd64');
      await makeOrtPeer(target, tree, join(libraryFolder(tree, 'amd64'), 'libonnxruntime.so.1.21'), output);
      return output;
    });
    return [...withLoader(tree, 'amd64'), output];
  }

  #file(name: string, content: () => Promise<Uint8Array>): Promise<string> {
    const path = join(this.folder, name);
    return this.#files.get(path, async () => {
      await mkdir(this.folder, { recursive: true });
      await writeFile(path, await content());
      return path;
    });
  }

  onnxFile(built: BuiltPackage): Promise<string> {
    return this.#file(`${built.network.name}.onnx`, async () => built.onnx);
  }

  pictureFile([width, height]: readonly [number, number]): Promise<string> {
    return this.#file(`${width}x${height}.jpg`, () => encodeJpeg(drawPicture(77, width, height)));
  }

  /** The input tensor of a picture by the reference ops, as raw float32. */
  inputFile(network: TestNetwork): Promise<string> {
    return this.#file(`${network.name}.f32`, async () => {
      const jpeg = await encodeJpeg(drawPicture(77, ...VGA));
      const { data } = preprocess(network, await decodeImage(jpeg));
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    });
  }
}
