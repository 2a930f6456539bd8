import { spawnSync } from 'node:child_process';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchmarkReportSchema, type TrainBlock, trainBlockSchema, trainingReportSchema } from '@selvedge/contract';
import { openSession } from '@selvedge/graph/session';
import { sha256Hex } from '@selvedge/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { benchmarkTool } from '../../benchmark/benchmark-tool.ts';
import { writeQuadrantSet } from '../../testing/quadrant-set.ts';
import { ToolBench, type ToolRun } from '../../testing/run-tool.ts';
import { trainTool } from '../train-tool.ts';

const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0;
const HAS_VENV = spawnSync('python3', ['-c', 'import ensurepip, venv']).status === 0;
/** Debian's python3-torch is for its own Python, which need not be the first in PATH. */
const TORCH_PYTHON = ['python3', '/usr/bin/python3'].find((python) => spawnSync(python, ['-c', 'import torch']).status === 0);
const EXAMPLE = fileURLToPath(new URL('../../../../../examples/digits/python/', import.meta.url));

const bench = new ToolBench();
afterAll(() => bench.end());

let set = '';
beforeAll(async () => {
  set = await writeQuadrantSet(await bench.folder(), { train: 240, validation: 40, test: 80 });
});

const hyperparams = { lr: 0.1, batch_size: 16, epochs: 4, seed: 3 };
const file = (path: string, lines: readonly string[]) => ({ path, text: `${lines.join('\n')}\n` });

/** A block as a pipeline gives it. */
const block = (lines: readonly string[], change: Partial<TrainBlock> = {}): TrainBlock =>
  trainBlockSchema.parse({ engine: 'python', script: file('train.py', lines), ...change });

const run = (train: TrainBlock, options: Parameters<ToolBench['run']>[3] = {}) =>
  bench.run(trainTool, { hyperparams, train }, { 'training-set': set }, options);

/** A model that gives zeros for every class; its parts can be changed to be wrong. */
const MODEL = (size: string, classes: number) => [
  'from selvedge import training',
  'job = training.load()',
  `model = training.OnnxModel(input_shape=[None, ${size}])`,
  `model.output(model.gemm(model.flatten(model.input), [[0.0] * ${classes}] * 64), shape=[None, ${classes}])`,
  'model.save(job.model_path)',
];
const GOOD = MODEL('1, 8, 8', 4);

it.runIf(process.env.CI !== undefined)('python3 is there', () => expect(HAS_PYTHON).toBe(true));

describe.runIf(HAS_PYTHON)('a script of the standard library', () => {
  let done: ToolRun;
  let train: TrainBlock;
  beforeAll(async () => {
    const [script, layers] = await Promise.all(
      ['train.py', 'layers.py'].map(async (path) => ({ path, text: await readFile(join(EXAMPLE, path), 'utf8') })),
    );
    train = trainBlockSchema.parse({ engine: 'python', script, files: [layers], args: { hidden: 12 } });
    done = await run(train);
  }, 60_000);

  it('learns, which the samples that it has not seen show', async () => {
    const { dataDir } = await bench.run(
      benchmarkTool,
      { postproc: { pipeline: ['softmax', 'topk'], params: { topk: { k: 2 } } } },
      { model: done.dataDir, 'training-set': set },
    );
    const report = benchmarkReportSchema.parse(JSON.parse(await readFile(join(dataDir, 'report.json'), 'utf8')));
    expect(report.samples).toBe(80);
    expect(report.metrics.accuracy).toBeGreaterThan(0.9);
  });

  it('shows its curves, and says by what the model was made', async () => {
    expect(done.metrics.get('train/loss')?.map(([step]) => step)).toEqual([1, 2, 3, 4]);
    expect(done.log.join('\n')).toMatch(/epoch 1\/4: train\/loss \d\.\d{4}, validation\/accuracy \d\.\d{4}/);
    const report = trainingReportSchema.parse(JSON.parse(await readFile(join(done.dataDir, 'training.json'), 'utf8')));
    expect(report).toMatchObject({
      epochs: 4,
      inputs: [{ name: 'input', dataType: 'float32', shape: [null, 1, 8, 8] }],
      outputs: [{ name: 'output', shape: [null, 4] }],
      parameters: { train: { engine: 'python', script: { path: 'train.py', sha256: sha256Hex(train.script?.text ?? '') } } },
    });
    expect(report.metrics['validation/accuracy']).toBe(done.metrics.get('validation/accuracy')?.[report.bestEpoch - 1]?.[1]);
    expect(await readdir(join(done.dataDir, 'script'))).toEqual(['layers.py', 'train.py']);
  });
});

describe.runIf(HAS_PYTHON)('a script is given', () => {
  it('no variable of the server but those that the contract names', async () => {
    process.env.SELVEDGE_SECRET_OF_THE_TEST = 'hidden';
    try {
      const { log } = await run(
        block(['import json, os', 'print("ENV", json.dumps(dict(os.environ)))', ...GOOD], { resources: { cpus: 1 } }),
      );
      const env = JSON.parse(log.find((line) => line.startsWith('ENV '))?.slice(4) ?? '{}') as Record<string, string>;
      expect(
        Object.keys(env)
          .filter((name) => name !== 'LC_CTYPE')
          .sort(),
      ).toEqual(
        [
          ...['CUDA_VISIBLE_DEVICES', 'HOME', 'LANG', 'MKL_NUM_THREADS', 'NUMEXPR_NUM_THREADS', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'],
          ...['PATH', 'PYTHONDONTWRITEBYTECODE', 'PYTHONPATH', 'PYTHONUNBUFFERED', 'SELVEDGE_METRICS', 'SELVEDGE_MODEL'],
          ...['SELVEDGE_TRAINING', 'TF_NUM_INTRAOP_THREADS', 'TMPDIR'],
        ].sort(),
      );
      expect(env.OMP_NUM_THREADS).toBe('1');
    } finally {
      delete process.env.SELVEDGE_SECRET_OF_THE_TEST;
    }
  });

  it('the training and the validation split, and not the one that judges it', async () => {
    const { log } = await run(
      block([
        'import os',
        'print("SPLITS", *[f"{n}={s.count},{s.x.shape}" for n, s in __import__("selvedge.training").training.load().splits.items()])',
        ...GOOD,
      ]),
    );
    expect(log).toContain('SPLITS train=240,(240, 1, 8, 8) validation=40,(40, 1, 8, 8)');
  });
});

describe.runIf(HAS_PYTHON)('a training by a script', () => {
  it('is handed the model that it begins with', async () => {
    const base = join(await bench.folder(), 'base.onnx');
    await writeFile(base, 'the first weights');
    const train = block([...GOOD, 'print("BASE", job.base.read_text())'], { from: 'digits:3' });
    const { log } = await bench.run(trainTool, { hyperparams, train }, { 'training-set': set, model: dirname(base) });
    expect(log).toContain('BASE the first weights');
  });

  it('may have files that are called like modules of Python', async () => {
    const { log } = await run(block(['import venv', 'print("own", venv.OWN)', ...GOOD], { files: [file('venv.py', ['OWN = 1'])] }));
    expect(log).toContain('own 1');
  });

  it('may write more than a log keeps', async () => {
    const { log } = await run(block(['for _ in range(2500): print("x" * 15_999)', ...GOOD]));
    expect(log).toContain('what the script writes further is not kept');
    expect(log.reduce((sum, line) => sum + line.length, 0)).toBeLessThan(33 * 1024 * 1024);
  });

  it('finds after a restart what it has kept', async () => {
    const checkpointDir = await bench.folder();
    const lines = ['kept = job.checkpoint_dir / "epoch"', 'print("KEPT", kept.exists())', 'kept.write_text("1")'];
    const first = await run(block([...GOOD, ...lines]), { checkpointDir });
    const second = await run(block([...GOOD, ...lines]), { checkpointDir });
    expect([first, second].map(({ log }) => log.find((line) => line.startsWith('KEPT')))).toEqual(['KEPT False', 'KEPT True']);
  });

  it('may be for something else than classes', async () => {
    const { dataDir } = await run(block(MODEL('1, 8, 8', 7), { learns: 'identity' }));
    const report = trainingReportSchema.parse(JSON.parse(await readFile(join(dataDir, 'training.json'), 'utf8')));
    expect(report.outputs).toMatchObject([{ shape: [null, 7] }]);
    await expect(run(block(GOOD, { learns: 'detection' }))).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      details: { message: expect.stringMatching(/gives float32 \[2, 4\].*detection over 4 label\(s\) gives float32 \[N, boxes, 8\]/) },
    });
  });
});

describe.runIf(HAS_PYTHON)('the ONNX writer of the kit', () => {
  it('makes graphs that ONNX Runtime computes', async () => {
    const { dataDir } = await run(
      block([
        'from selvedge import training',
        'job = training.load()',
        'm = training.OnnxModel(input_shape=[None, 1, 8, 8])',
        // On ones: 9 - 1 = 8 within the border of the padding.
        'x = m.relu(m.conv(m.input, [[[[1.0] * 3] * 3]] * 4, [-1.0] * 4, pads=[1, 1, 1, 1]))',
        'x = m.max_pool(x, [2, 2])', // 8 everywhere
        'x = m.global_average_pool(m.average_pool(x, [2, 2]))',
        'x = m.mul(m.add(m.reshape(x, [0, 4]), [0.0, 1.0, 2.0, 3.0]), [0.5])', // 4, 4.5, 5, 5.5
        'x = m.gemm(x, [[float(i == j) for i in range(4)] for j in range(4)], [0.0, 0.0, 0.0, 1.0], transposed=True)',
        'x = m.node("LeakyRelu", [m.node("Neg", [x])], alpha=0.5)', // -2, -2.25, -2.5, -3.25
        'm.output(x, shape=[None, 4])',
        'm.save(job.model_path)',
      ]),
    );
    const session = await openSession(join(dataDir, 'model.onnx'));
    const ones = { type: 'float32' as const, dims: [3, 1, 8, 8], data: new Float32Array(192).fill(1) };
    const { output } = await session.run({ input: ones });
    await session.close();
    expect(output?.dims).toEqual([3, 4]);
    expect(Array.from(output?.data ?? [], Number).slice(0, 4)).toEqual([-2, -2.25, -2.5, -3.25]);
  });
});

describe.runIf(HAS_PYTHON)('a script that fails is told with', () => {
  it('its last lines, and the line of its own at which it stood', async () => {
    const failing = block(['import json', 'def read(text):', '    return json.loads(text)', 'read("{")']);
    await expect(run(failing)).rejects.toMatchObject({
      code: 'STEP_FAILED',
      details: {
        message: expect.stringMatching(/^train\.py ended with code 1 at train\.py, line 3; its last lines: .*JSONDecodeError/),
        issues: [{ path: 'train.py', file: 'train.py', line: 3 }],
      },
    });
  });

  it.each<[string, string[], string, RegExp]>([
    ['no model', ['print("nothing")'], 'STEP_FAILED', /without leaving model\.onnx/],
    ['a file that is no model', ['open("model.onnx", "w").write("none")'], 'MODEL_INVALID', /./],
    ['another number of classes', MODEL('1, 8, 8', 3), 'SHAPE_MISMATCH', /gives float32 \[2, 3\].*4 label\(s\) gives float32 \[N, 4\]/],
    ['another input', MODEL('64', 4), 'SHAPE_MISMATCH', /takes "input" float32 \[\?, 64\]; the samples are float32 \[1, 8, 8\]/],
    ['weights that are not finite', GOOD.map((line) => line.replace('[[0.0]', '[[float("nan")]')), 'MODEL_INVALID', /answers .* with NaN/],
  ])('what is wrong with what it leaves: %s', async (_what, lines, code, message) => {
    await expect(run(block(lines))).rejects.toMatchObject({ code, details: { message: expect.stringMatching(message) } });
  });

  it('epoch, step and metric, as soon as a metric is not finite', async () => {
    const lines = [
      'from selvedge import training',
      'import time',
      'training.report(epoch=2, step=7, train_loss=float("nan"))',
      'time.sleep(600)',
    ];
    await expect(run(block(lines))).rejects.toMatchObject({
      code: 'TRAINING_DIVERGED',
      details: { message: 'Epoch 2, step 7: train/loss is not a finite number.', data: { metric: 'train/loss', epoch: 2, step: 7 } },
    });
  });

  it('its limit of time', async () => {
    const endless = block(['import time', 'time.sleep(600)'], { timeout_s: 0.5 });
    await expect(run(endless)).rejects.toMatchObject({ code: 'TIMEOUT', details: { message: expect.stringContaining('0.5 s') } });
  });

  it('what cannot be told of its metrics, in the log', async () => {
    const lines = [
      'import os',
      'with open(os.environ["SELVEDGE_METRICS"], "a") as out: out.write("nonsense\\n{\\"Loss!\\": 1, \\"loss\\": 2}\\n")',
    ];
    const { log, metrics } = await run(block([...lines, ...GOOD]));
    expect(log.filter((line) => line.startsWith('metrics, line '))).toHaveLength(2);
    expect(metrics.get('loss')).toEqual([[2, 2]]);
  });
});

describe.runIf(HAS_PYTHON)('Python of the machine', () => {
  /** A program in place of Python. */
  async function program(lines: readonly string[]): Promise<string> {
    const path = join(await bench.folder(), 'python');
    await writeFile(path, `#!/bin/sh\n${lines.join('\n')}\n`);
    await chmod(path, 0o755);
    return path;
  }

  it.each<[string, () => Promise<string>, RegExp]>([
    ['is not there', async () => 'python3.0-nowhere', /"python3.0-nowhere" cannot be started \(ENOENT\)/],
    [
      'is too old',
      () => program([`echo '{"executable": "/old", "version": [3, 8, 1]}'`]),
      /needs Python 3\.9 or newer, and ".*" is 3\.8\.1/,
    ],
    ['is something else', () => program(['echo hello']), /does not say what it is/],
  ])('%s', async (_what, interpreter, message) => {
    await expect(run(block(GOOD, { interpreter: await interpreter() }))).rejects.toMatchObject({
      code: 'SETUP_INCOMPLETE',
      details: { message: expect.stringMatching(message), hint: expect.stringContaining('train.interpreter') },
    });
  });

  it('has no venv, as Debian without python3-venv', async () => {
    const interpreter = await program([
      'case "$*" in *"-m venv"*) echo "The virtual environment was not created successfully because ensurepip is not available."; exit 1;; esac',
      'exec python3 "$@"',
    ]);
    await expect(run(block(GOOD, { interpreter, requirements: ['numpy'] }))).rejects.toMatchObject({
      code: 'SETUP_INCOMPLETE',
      details: {
        message: expect.stringContaining('ensurepip is not available'),
        hint: expect.stringContaining('apt install python3-venv'),
      },
    });
  });
});

describe.runIf(HAS_VENV)('requirements', { timeout: 120_000 }, () => {
  /** A wheel with one module. */
  async function wheel(): Promise<string> {
    const path = join(await bench.folder(), 'thread_count-1.0-py3-none-any.whl');
    const script = [
      'import sys, zipfile',
      'with zipfile.ZipFile(sys.argv[1], "w") as out:',
      '    out.writestr("thread_count.py", "WOVEN = 42\\n")',
      '    info = "thread_count-1.0.dist-info/"',
      '    out.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: thread-count\\nVersion: 1.0\\n")',
      '    out.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")',
      '    out.writestr(info + "RECORD", "")',
    ];
    expect(spawnSync('python3', ['-c', script.join('\n'), path]).status).toBe(0);
    return path;
  }

  it('are installed once for the same list', async () => {
    const cacheDir = await bench.folder();
    const train = block(['import thread_count', 'print("woven", thread_count.WOVEN)', ...GOOD], {
      requirements: ['--no-index', await wheel()],
    });
    const first = await run(train, { cacheDir });
    expect(first.log).toContain('woven 42');
    const second = await run(train, { cacheDir });
    expect(second.log).toContain('woven 42');
    expect(second.log.join('\n')).toMatch(/requirements: installed earlier/);
  });

  it('that cannot be had fail with what pip says, and leave nothing', async () => {
    const cacheDir = await bench.folder();
    await expect(run(block(GOOD, { requirements: ['--no-index', 'nothing-of-this-name==1.0'] }), { cacheDir })).rejects.toMatchObject({
      code: 'STEP_FAILED',
      details: { message: expect.stringContaining('nothing-of-this-name'), hint: expect.stringContaining('PIP_INDEX_URL') },
    });
    expect(await readdir(join(cacheDir, 'python-environments'))).toEqual([]);
  });
});

describe.runIf(TORCH_PYTHON !== undefined)('PyTorch', { timeout: 120_000 }, () => {
  it('trains and exports', async () => {
    const lines = [
      'import inspect, torch',
      'from selvedge import training',
      'job = training.load()',
      'torch.manual_seed(job.hyperparams["seed"])',
      'x = torch.tensor(job.train.x.read()).reshape(-1, *job.sample_shape)',
      'y = torch.tensor(job.train.y.read())',
      'net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, job.classes))',
      'optimizer = torch.optim.Adam(net.parameters(), lr=0.01)',
      'for epoch in range(1, 21):',
      '    optimizer.zero_grad()',
      '    loss = torch.nn.functional.cross_entropy(net(x), y)',
      '    loss.backward()',
      '    optimizer.step()',
      '    training.report(epoch=epoch, train_loss=loss.item())',
      'names = {"input_names": ["input"], "output_names": ["output"], "dynamic_axes": {"input": {0: "N"}, "output": {0: "N"}}}',
      'if "dynamo" in inspect.signature(torch.onnx.export).parameters: names["dynamo"] = False',
      'torch.onnx.export(net.eval(), x[:1], str(job.model_path), **names)',
    ];
    const { dataDir } = await run(block(lines, { interpreter: TORCH_PYTHON }));
    const measured = await bench.run(benchmarkTool, {}, { model: dataDir, 'training-set': set });
    const report = benchmarkReportSchema.parse(JSON.parse(await readFile(join(measured.dataDir, 'report.json'), 'utf8')));
    expect(report.metrics.accuracy).toBeGreaterThan(0.9);
  });
});
