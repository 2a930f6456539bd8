// `npm run bench:datasets`: import of many small pictures, as a folder and as a tar file, with the tool's own code in this process.
// `--files N` (default 100000); `--product` measures `selvedge dataset add` of the folder as well: packed, uploaded, unpacked, imported, in
// real processes (needs `npm run build`). Prints files per second from the given data to the finished version, and what memory was held.
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { encodePng } from '../../packages/tools/src/import/encode-png.ts';
import { importTool } from '../../packages/tools/src/import/import-tool.ts';
import { tarStream } from '../../packages/tools/src/testing/sample-data.ts';
import { Product } from '../e2e/harness/product.ts';

const EDGE = 28;
const LABELS = 10;
const { values } = parseArgs({ options: { files: { type: 'string', default: '100000' }, product: { type: 'boolean', default: false } } });
const files = Number(values.files);
if (!Number.isInteger(files) || files < 100) throw new Error('--files needs a whole number from 100 on');

/** A picture of its own for every number: no two have the same content. */
function picture(index: number): Buffer {
  const pixels = Buffer.alloc(EDGE * EDGE);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = (i * (1 + (index % LABELS)) + (i % 7) * index) & 0xff;
  pixels.writeUInt32LE(index, 0);
  return encodePng(pixels, { width: EDGE, height: EDGE, channels: 1 });
}

function pathOf(index: number): string {
  return `${index % LABELS}/${String(index).padStart(6, '0')}.png`;
}

async function makeFolder(folder: string): Promise<void> {
  for (let label = 0; label < LABELS; label += 1) await mkdir(join(folder, String(label)), { recursive: true });
  for (let index = 0; index < files; index += 1) await writeFile(join(folder, pathOf(index)), picture(index));
}

async function makeTar(path: string): Promise<void> {
  const entries = function* () {
    for (let index = 0; index < files; index += 1) yield [pathOf(index), picture(index)] as const;
  };
  await pipeline(tarStream(entries()), createWriteStream(path));
}

interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Resident memory in MiB: before, at a tenth of the work, and the most. */
  readonly rss: { readonly before: number; readonly tenth: number; readonly peak: number };
}

function rssMiB(): number {
  return process.memoryUsage.rss() / 1024 ** 2;
}

async function importFrom(input: string, work: string): Promise<Measured> {
  const folders = {
    dataDir: join(work, 'data'),
    workDir: join(work, 'work'),
    checkpointDir: join(work, 'checkpoint'),
    cacheDir: join(work, 'cache'),
  };
  for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true });
  const before = rssMiB();
  let [tenth, peak] = [0, before];
  const timer = setInterval(() => {
    peak = Math.max(peak, rssMiB());
  }, 50);
  const cpu = process.cpuUsage();
  const started = performance.now();
  await importTool.create({
    parameters: {},
    inputs: { archive: input },
    ...folders,
    attempt: 1,
    signal: new AbortController().signal,
    log: () => undefined,
    progress: (fraction) => {
      if (tenth === 0 && fraction >= 0.1) tenth = rssMiB();
    },
    metric: () => undefined,
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
    usage: async () => undefined,
  });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(timer);
  const lines = (await readFile(join(folders.dataDir, 'manifest.jsonl'), 'utf8')).split('\n').length - 1;
  if (lines !== files) throw new Error(`${lines} of ${files} files were imported`);
  return { seconds, cpuSeconds: (user + system) / 1e6, rss: { before, tenth, peak } };
}

function report(what: string, { seconds, cpuSeconds, rss }: Measured): void {
  const perSecond = Math.round(files / seconds);
  const memory = `resident ${Math.round(rss.before)} MiB before, ${Math.round(rss.tenth)} at a tenth, ${Math.round(rss.peak)} at most`;
  process.stdout.write(`${what}: ${seconds.toFixed(1)} s, ${perSecond} files/s, ${cpuSeconds.toFixed(1)} s of CPU; ${memory}\n`);
}

async function addToProduct(folder: string): Promise<void> {
  const product = await Product.create();
  try {
    await product.startServer();
    const started = performance.now();
    await product.cliJson(['dataset', 'add', 'many', '--from', folder]);
    const seconds = (performance.now() - started) / 1000;
    process.stdout.write(`selvedge dataset add: ${seconds.toFixed(1)} s, ${Math.round(files / seconds)} files/s\n`);
  } finally {
    await product.stop();
  }
}

const root = await mkdtemp(join(tmpdir(), 'selvedge-bench-datasets-'));
try {
  process.stdout.write(`${files} PNG files of ${EDGE} x ${EDGE} pixels; ${cpus().length} cores, Node ${process.version}\n`);
  const folder = join(root, 'folder', 'in');
  await makeFolder(folder);
  report('folder', await importFrom(folder, join(root, 'folder')));
  if (values.product) await addToProduct(folder);
  await rm(join(root, 'folder'), { recursive: true });
  const packed = join(root, 'tar', 'in');
  await mkdir(packed, { recursive: true });
  await makeTar(join(packed, 'data.tar'));
  const { size } = await stat(join(packed, 'data.tar'));
  report(`tar (${(size / 1024 ** 2).toFixed(0)} MiB)`, await importFrom(packed, join(root, 'tar')));
  if ((await readdir(root)).length !== 1) throw new Error('more was left than expected');
} finally {
  await rm(root, { recursive: true, force: true });
}
