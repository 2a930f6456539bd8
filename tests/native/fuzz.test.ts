import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type InstalledTarget, nativeDir, runProgram } from '@selvedge/toolchain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { writeGoldenFile } from '../../packages/tools/src/build/golden-file.ts';
import { buildNativeProgram } from './harness/native-program.ts';
import { writeReferencePictures } from './harness/reference-pictures.ts';
import { testTarget } from './harness/targets.ts';

/** How long each target runs; a night's run sets more. */
const SECONDS = z.coerce
  .number()
  .int()
  .min(1)
  .parse(process.env.SELVEDGE_FUZZ_SECONDS ?? 10);

const GOLDEN = join(nativeDir(), '../packages/graph/golden');
const RUNTIME_LIBRARIES = 'usr/lib/llvm-19/lib/clang/19/lib/linux';

const SANITIZERS = [
  '-fsanitize=fuzzer-no-link,address,undefined',
  '-fno-sanitize-recover=all',
  // RapidJSON adds an offset to a null pointer when its stack is empty
  '-fno-sanitize=pointer-overflow',
  '-fno-sanitize-ignorelist',
  '-O1',
  '-g',
];

/** The sanitizers' runtime by name: the compiler of the toolchain has none of its own. */
function sanitizerRuntime(target: InstalledTarget): string[] {
  const library = (name: string) => join(target.sysroot, RUNTIME_LIBRARIES, `libclang_rt.${name}-x86_64.a`);
  const whole = ['asan', 'asan_static', 'fuzzer'].map(library).join(',');
  return [`-Wl,--whole-archive,${whole},--no-whole-archive`, `-Wl,--dynamic-list=${library('asan')}.syms`];
}

async function pictureCorpus(folder: string): Promise<void> {
  const pictures = `${folder}-pictures`;
  await mkdir(pictures);
  for (const name of await writeReferencePictures(pictures)) {
    const bytes = await readFile(join(pictures, name));
    // full size, fast, and scaled to at least 8 x 8
    for (const options of [0, 1, 0x1e]) await writeFile(join(folder, `${name}-${options}`), Buffer.concat([Buffer.of(options), bytes]));
  }
}

async function chainCorpus(folder: string): Promise<void> {
  const golden = z.object({ kind: z.string(), spec: z.unknown() });
  for (const name of (await readdir(GOLDEN)).filter((file) => file.endsWith('.json'))) {
    const { kind, spec } = golden.parse(JSON.parse(await readFile(join(GOLDEN, name), 'utf8')));
    if (kind === 'preproc') await writeFile(join(folder, name), Buffer.concat([Buffer.of(20, 30), Buffer.from(JSON.stringify(spec))]));
  }
}

/** Requests with tensors in JSON, and with one behind the JSON; see native/fuzz/infer_request_fuzz.cc for the first byte. */
async function requestCorpus(folder: string): Promise<void> {
  const tensor = (data: number[]) => ({ name: 'a', shape: [2], datatype: 'INT64', data });
  const whole = { id: '1', inputs: [tensor([1, 2])], outputs: [{ name: 'input', parameters: { binary_data: true } }] };
  const nested = {
    inputs: [
      {
        name: 'c',
        shape: [1, 2, 2, 2],
        datatype: 'UINT8',
        data: [
          [
            [
              [1, 2],
              [3, 4],
            ],
            [
              [5, 6],
              [7, 8],
            ],
          ],
        ],
      },
    ],
  };
  for (const [name, body] of Object.entries({ whole, nested })) {
    await writeFile(join(folder, name), Buffer.concat([Buffer.of(0), Buffer.from(JSON.stringify(body))]));
  }
  const { data: _, ...entry } = tensor([]);
  const head = Buffer.from(JSON.stringify({ inputs: [{ ...entry, parameters: { binary_data_size: 16 } }] }));
  // As many spaces that the head is 80 % of the body.
  const padded = Buffer.concat([head, Buffer.alloc((100 - (head.length % 4)) % 4, ' ')]);
  const rest = Buffer.alloc(padded.length / 4);
  await writeFile(join(folder, 'binary'), Buffer.concat([Buffer.of(81), padded, rest]));
}

async function goldenCorpus(folder: string): Promise<void> {
  const input = { name: 'x', shape: [1, 4], data: Float32Array.of(0, 1, -0.5, 2) };
  const output = { name: 'y', shape: [2], data: Float32Array.of(1, 2) };
  for (const isHalf of [true, false]) {
    await writeFile(join(folder, String(isHalf)), writeGoldenFile({ input: { ...input, isHalf }, output, tolerance: 1e-3 }));
  }
}

const REQUEST_FILES = [
  'fill_inputs',
  'http_message',
  'infer_reader',
  'infer_request',
  'infer_response',
  'json_document',
  'problem',
  'tensor_order',
];

interface Fuzzed {
  name: string;
  components: string[];
  files?: string[];
  writeCorpus: (folder: string) => Promise<void>;
  maxLength: number;
}

const FUZZED: Fuzzed[] = [
  { name: 'decode_image', components: ['image'], writeCorpus: pictureCorpus, maxLength: 65_536 },
  { name: 'preproc_spec', components: ['base', 'ops'], writeCorpus: chainCorpus, maxLength: 4096 },
  {
    name: 'infer_request',
    components: ['base'],
    files: REQUEST_FILES.map((file) => `serve/${file}.cc`),
    writeCorpus: requestCorpus,
    maxLength: 4096,
  },
  {
    name: 'golden_file',
    components: ['base'],
    files: ['pipeline/golden.cc', 'input/read_file.cc'],
    writeCorpus: goldenCorpus,
    maxLength: 1024,
  },
];

// The runtime of the sanitizers exists for the machine's own architecture only.
describe.skipIf(process.arch !== 'x64' || process.platform !== 'linux')('parsers of the native runtime under random input', () => {
  let folder: string;
  let target: InstalledTarget;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'selvedge-fuzz-'));
    target = await testTarget('linux-amd64', ['sanitizers']);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(FUZZED)(
    '$name neither crashes nor hangs nor leaks',
    async ({ name, components, files = [], writeCorpus, maxLength }) => {
      const corpus = join(folder, name);
      await mkdir(corpus);
      await writeCorpus(corpus);
      const program = await buildNativeProgram(target, {
        source: `fuzz/${name}_fuzz.cc`,
        components,
        files,
        libraries: ['jpeg', 'png16', 'z', 'pthread', 'dl', 'm', 'rt', 'resolv'],
        folder,
        compilerFlags: SANITIZERS,
        linkerFlags: sanitizerRuntime(target),
        isStatic: false,
      });
      // With the C library that it was built for: the machine's may be older.
      const libraries = join(target.sysroot, 'usr/lib', target.recipe.triple);
      // Quiet, since a line for each new input would fill what is kept of the output before a failure is told.
      const reports = ['-verbosity=0', '-print_final_stats=1', `-artifact_prefix=${folder}/`];
      const limits = [`-max_total_time=${SECONDS}`, `-max_len=${maxLength}`, '-timeout=10', '-rss_limit_mb=1024'];
      const result = await runProgram(
        join(libraries, 'ld-linux-x86-64.so.2'),
        ['--library-path', libraries, program, ...limits, ...reports, corpus],
        { timeoutMs: (SECONDS + 60) * 1000 },
      );
      // The output ends with the input that failed, in base64.
      expect(result.exitCode, result.stderr.slice(-4000)).toBe(0);
      expect(Number(/number_of_executed_units:\s*(\d+)/.exec(result.stderr)?.[1])).toBeGreaterThan(100);
    },
    (SECONDS + 240) * 1000,
  );
});
