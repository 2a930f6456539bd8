import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { AppError, type ScriptFile, type TensorSpec, type TrainBlock } from '@selvedge/contract';
import { confinePath } from '@selvedge/runtime';
import type { ToolContext } from '../../kit/index.ts';
import type { BestEpoch } from '../checkpoint-files.ts';
import { checkModel } from './check-model.ts';
import { describeTraining, kindOf, type TrainingFacts } from './describe-training.ts';
import { findInterpreter, type ProcessPlace } from './interpreter.ts';
import { pythonKitFolder } from './kit-folder.ts';
import { MetricsFeed } from './metrics-feed.ts';
import { type ProcessEnd, runProcess } from './run-process.ts';
import { ErrorLines } from './script-error.ts';
import { preparedPython } from './virtual-environment.ts';

const READ_INTERVAL_MS = 100;
/** As much as a log keeps; what is written faster than it is kept would pile up in memory. */
const MAX_OUTPUT_CHARACTERS = 32 * 1024 * 1024;
/** Libraries that compute with threads of their own read these. */
const THREAD_VARIABLES = ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'NUMEXPR_NUM_THREADS', 'TF_NUM_INTRAOP_THREADS'];

type Facts = Pick<TrainingFacts, 'info' | 'folder' | 'hyperparams' | 'train' | 'preproc' | 'basePath'>;

export interface PythonTrainingOptions
  extends Facts,
    Pick<
      ToolContext,
      'workDir' | 'dataDir' | 'checkpointDir' | 'cacheDir' | 'attempt' | 'signal' | 'log' | 'progress' | 'metric' | 'usage'
    > {
  readonly threads: number;
}

export interface PythonTraining {
  /** That the script has reported. */
  readonly epochs: number;
  readonly best: BestEpoch;
  readonly model: Uint8Array;
  readonly seconds: number;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/**
 * Runs the user's script on the training set, follows what it reports and checks the model that it leaves.
 *
 * Invariant: when this settles the script is gone. In a job its children are of the job's process group, which ends with the
 * job and whose memory is measured; outside of one the script leads a group of its own.
 *
 * @throws AppError SETUP_INCOMPLETE, STEP_FAILED, TRAINING_DIVERGED, TIMEOUT, as `checkModel`; the signal's reason.
 */
export async function trainWithPython(options: PythonTrainingOptions): Promise<PythonTraining> {
  const { train, info, folder, workDir, dataDir, threads, log } = options;
  const script = train.script;
  if (script === undefined) throw new AppError('INPUT_INVALID', { message: 'train.script is missing.' });
  const files = [script, ...(train.files ?? [])];
  const home = join(workDir, 'script');
  // Kept beside the model, so that the artifact says by what it was made.
  await writeFiles(files, join(dataDir, 'script'));
  await writeFiles(files, home);
  const place = await placeOf(options, home);
  // Files of the script that are called like modules of Python must not be taken for them by what prepares its run.
  const beside = { ...place, cwd: workDir };
  const interpreter = await findInterpreter(train.interpreter, beside);
  const { requirements = [] } = train;
  const python =
    requirements.length === 0 ? interpreter.executable : await preparedPython({ ...options, requirements, interpreter, place: beside });
  log(`${script.path} (sha256 ${digestOf(script.text)}) with Python ${interpreter.version}, ${python}, ${threads} thread(s)`);
  const started = performance.now();
  const { epochs, best } = await runScript(options, { ...place, python, script: script.path });
  const seconds = (performance.now() - started) / 1000;
  const path = join(home, 'model.onnx');
  const { bytes, inputs, outputs } = await checkModel({ path, info, folder, threads, kind: kindOf(train, info), script: script.path });
  return { epochs, best, seconds, model: bytes, inputs, outputs };
}

/** The block as it is recorded: texts by their digest, the files themselves are in the artifact. */
export function recordedTrainBlock(train: TrainBlock): Record<string, unknown> {
  const recorded = ({ path, text }: ScriptFile) => ({ path, sha256: digestOf(text) });
  const { script, files, ...rest } = train;
  return {
    ...rest,
    ...(script === undefined ? {} : { script: recorded(script) }),
    ...(files === undefined ? {} : { files: files.map(recorded) }),
  };
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function writeFiles(files: readonly ScriptFile[], folder: string): Promise<void> {
  for (const { path, text } of files) {
    const file = confinePath(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

/** Where the script runs, and all of the environment that it sees. */
async function placeOf({ threads, signal, usage, train }: PythonTrainingOptions, home: string): Promise<ProcessPlace> {
  const temporary = join(home, '.tmp');
  await mkdir(temporary);
  const gpus = train.resources?.gpus;
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: home,
    TMPDIR: temporary,
    LANG: 'C.UTF-8',
    PYTHONUNBUFFERED: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    // GPUs that were not asked for are not there.
    CUDA_VISIBLE_DEVICES: gpus === undefined || gpus === 0 ? '' : (process.env.CUDA_VISIBLE_DEVICES ?? ''),
  };
  for (const name of THREAD_VARIABLES) env[name] = String(threads);
  const ownGroup = (await usage()) === undefined;
  return { cwd: home, env, ownGroup, signal };
}

interface ScriptRun extends ProcessPlace {
  readonly python: string;
  readonly script: string;
}

async function runScript(options: PythonTrainingOptions, run: ScriptRun): Promise<Pick<PythonTraining, 'epochs' | 'best'>> {
  const { workDir, log, hyperparams, train } = options;
  const { python, script, cwd, signal } = run;
  const files = {
    SELVEDGE_TRAINING: join(workDir, 'training.json'),
    SELVEDGE_METRICS: join(workDir, 'metrics.jsonl'),
    SELVEDGE_MODEL: join(cwd, 'model.onnx'),
  };
  await writeFile(files.SELVEDGE_TRAINING, JSON.stringify(describeTraining({ ...options, modelPath: files.SELVEDGE_MODEL }), null, 2));
  const feed = new MetricsFeed({ ...options, path: files.SELVEDGE_METRICS, epochs: hyperparams.epochs });
  const errors = new ErrorLines(cwd);
  const write = bounded(log);
  const limit = train.timeout_s === undefined ? undefined : AbortSignal.timeout(train.timeout_s * 1000);
  let diverged: unknown;
  let reading: NodeJS.Timeout | undefined;
  const read = (kill: () => void) => {
    try {
      if (diverged === undefined) feed.read();
    } catch (error) {
      diverged = error;
      kill();
    }
  };
  try {
    const end = await runProcess({
      ...run,
      signal: limit === undefined ? signal : AbortSignal.any([signal, limit]),
      command: [python, script],
      env: { ...run.env, ...files, PYTHONPATH: [cwd, pythonKitFolder()].join(delimiter) },
      onLine: (stream, line) => {
        write(line);
        if (stream === 'stderr') errors.add(line);
      },
      onStart: (kill) => {
        reading = setInterval(() => read(kill), READ_INTERVAL_MS);
      },
    });
    clearInterval(reading);
    signal.throwIfAborted();
    if (diverged !== undefined) throw diverged;
    feed.finish();
    throwUnlessGood(end, { limit, script, errors, timeoutS: train.timeout_s });
    return { epochs: feed.epochs, best: feed.best };
  } finally {
    clearInterval(reading);
    feed.close();
  }
}

/** A log that takes so much of a script's output. */
function bounded(log: (text: string) => void): (line: string) => void {
  let room = MAX_OUTPUT_CHARACTERS;
  return (line) => {
    if (room < 0) return;
    room -= line.length + 1;
    log(room < 0 ? 'what the script writes further is not kept' : line);
  };
}

function throwUnlessGood(
  end: ProcessEnd,
  { limit, script, errors, timeoutS }: { limit: AbortSignal | undefined; script: string; errors: ErrorLines; timeoutS: number | undefined },
): void {
  if (limit?.aborted === true && end.code !== 0) {
    throw new AppError('TIMEOUT', {
      message: `${script} worked longer than its limit of ${timeoutS} s and was ended.`,
      hint: 'Raise train.timeout_s, or train less.',
    });
  }
  if (end.code !== 0) throw errors.failure(script, end);
}
