import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type Issue, toAppError } from '@selvedge/contract';
import { describeError, explainDiskError, isDiskFull, type Logger } from '@selvedge/runtime';
import { unpackZip } from './archive/unpack-zip.ts';
import type { Artifact } from './artifact.ts';
import type { FetchSource, Tool, ToolContext } from './define-tool.ts';
import { type FetchPolicy, fetchInput, safeFileName, shownUrl } from './fetch-input.ts';
import { leaseGpus } from './job/gpus.ts';
import { endLeftOverJob, runJob } from './job/run-job.ts';
import { listFilePaths } from './list-files.ts';
import { settleAll } from './settle-all.ts';

export interface MakeOptions {
  readonly fetchPolicy: FetchPolicy;
  /** Folder that all artifacts share. */
  readonly cacheDir: string;
  /** Program and arguments of the process of a job; without it jobs are done in this process, without their limits. */
  readonly jobCommand?: readonly string[] | undefined;
  /** Control group that jobs get theirs below; without it their memory is looked at again and again. */
  readonly controlGroupParent?: string | undefined;
  readonly logger: Logger;
  /** Aborted with AppError CANCELLED (by a user) or INTERRUPTED (the process ends: the artifact is queued again). */
  readonly signal: AbortSignal;
}

/** Files up to this number are flushed before an artifact counts as completed; larger sets are left to the system. */
const MAX_FLUSHED_FILES = 64;

/** Makes one attempt at an artifact. Never rejects: how it ended is in the artifact's status. */
export async function makeArtifact(tool: Tool, artifact: Artifact, options: MakeOptions): Promise<void> {
  try {
    await endLeftOverJob(artifact.paths.jobLock);
    await begin(tool, artifact);
    await work(tool, artifact, options);
    await complete(artifact, options);
  } catch (error) {
    await end(artifact, explainDiskError(diskErrorIn(error) ?? error, artifact.paths.root), options);
  }
}

async function work(tool: Tool, artifact: Artifact, options: MakeOptions): Promise<void> {
  // Before the inputs are fetched: what cannot be had is said at once.
  const plan = options.jobCommand === undefined ? undefined : await tool.job?.(artifact.parameters);
  const context = await contextOf(artifact, options);
  if (plan === undefined || options.jobCommand === undefined) return tool.create(context);
  const { gpuRequest } = plan;
  const onWait = () => artifact.log('waiting for GPUs that other work has');
  const lease = gpuRequest === undefined ? undefined : await leaseGpus(gpuRequest, { signal: options.signal, onWait });
  try {
    await runJob({
      command: options.jobCommand,
      tool: tool.name,
      plan: { asked: plan.asked, granted: { ...plan.granted, gpus: [...(lease?.gpus ?? [])] } },
      context,
      lockFile: artifact.paths.jobLock,
      controlGroupParent: options.controlGroupParent,
      onUsage: (resources) => artifact.showResources(resources),
    });
  } finally {
    await lease?.release();
  }
}

async function begin(tool: Tool, artifact: Artifact): Promise<void> {
  const hasCheckpoint = (await readdir(artifact.paths.checkpoint).catch(() => [])).length > 0;
  await artifact.clearForAttempt(hasCheckpoint);
  const attempt = artifact.status.attempt + 1;
  await artifact.update({
    status: 'in-progress',
    progress: 0,
    message: 'Started',
    attempt,
    startedAt: new Date().toISOString(),
    finishedAt: null,
    error: null,
    resources: undefined,
  });
  artifact.log(`${tool.name}: attempt ${attempt}${hasCheckpoint ? ', going on from a checkpoint' : ''}`);
}

async function contextOf(artifact: Artifact, { fetchPolicy, cacheDir, signal }: MakeOptions): Promise<ToolContext> {
  const log = (text: string) => artifact.log(text);
  const fetchInto = async (name: string, source: FetchSource): Promise<string> => {
    const folder = join(artifact.paths.work, safeFileName(name));
    await fetchInput(source, folder, fetchPolicy, { signal, log });
    return folder;
  };
  const inputs: Record<string, string> = {};
  for (const { input, file } of artifact.record.uploads) inputs[input] = await uploadedInput(artifact, input, file, signal);
  for (const [name, source] of Object.entries(artifact.record.inputs)) {
    artifact.showProgress(0, `Fetching ${name}`);
    log(`fetching ${name} from ${shownUrl(source.url)}`);
    const started = performance.now();
    inputs[name] = await fetchInto(`input-${name}`, source);
    log(`fetched ${name} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  return {
    parameters: artifact.parameters,
    inputs,
    dataDir: artifact.paths.data,
    workDir: artifact.paths.work,
    checkpointDir: artifact.paths.checkpoint,
    cacheDir,
    attempt: artifact.status.attempt,
    signal,
    log,
    progress: (fraction, message) => artifact.showProgress(fraction, message ?? artifact.status.message),
    metric: (name, step, value) => {
      if (Number.isFinite(value)) artifact.metrics.append(name, step, value, new Date().toISOString());
      else log(`${name} is not a finite number at step ${step}`);
    },
    fetch: (name, source) => fetchInto(`fetched-${name}`, source),
    usage: async () => undefined,
  };
}

async function uploadedInput(artifact: Artifact, input: string, file: string, signal: AbortSignal): Promise<string> {
  const folder = join(artifact.paths.inputFiles, input);
  if (!file.toLowerCase().endsWith('.zip')) return folder;
  const unpacked = join(artifact.paths.work, `input-${input}`);
  await mkdir(unpacked, { recursive: true });
  await unpackZip(join(folder, file), unpacked, signal);
  return unpacked;
}

async function complete(artifact: Artifact, { signal, logger }: MakeOptions): Promise<void> {
  signal.throwIfAborted();
  const files = await listFilePaths(artifact.paths.data);
  if (files.length === 0) throw new AppError('INTERNAL', { message: 'The tool ended without leaving a file.' });
  if (files.length <= MAX_FLUSHED_FILES) await settleAll(files.map((file) => flush(join(artifact.paths.data, file))));
  artifact.log('completed');
  await artifact.update({ status: 'completed', progress: 1, message: 'Completed', finishedAt: new Date().toISOString() });
  // Nobody need wait for that; after a crash in between, the next start does it.
  await quietly(logger, () => artifact.clearAfterAttempt({ keepCheckpoint: false, keepData: true }));
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}

async function end(artifact: Artifact, thrown: unknown, { signal, logger }: MakeOptions): Promise<void> {
  const reason = signal.aborted ? toAppError(signal.reason) : undefined;
  const interrupted = reason?.code === 'INTERRUPTED';
  const error = reason ?? toAppError(thrown);
  // Space first: on a full disk neither the log nor the status could be written.
  await quietly(logger, () => artifact.clearAfterAttempt({ keepCheckpoint: interrupted, keepData: false }));
  if (interrupted) {
    await quietly(logger, () => artifact.log('interrupted: the tool is shutting down'));
    await quietly(logger, () => artifact.update({ status: 'queued', message: 'Waiting for the tool to start again' }));
    return;
  }
  const { message, hint, issues } = error.details;
  const lines = [`${error.code}: ${message}`, ...(issues ?? []).map((issue) => `  ${issue.path}: ${issue.message}`)];
  if (hint !== undefined) lines.push(`hint: ${hint}`);
  if (error.kind === 'bug') lines.push(stackOf(error));
  await quietly(logger, () => artifact.log(lines.join('\n')));
  if (error.kind === 'bug') logger.error('artifact failed', { artifact: artifact.name, ...describeError(thrown) });
  await quietly(logger, () =>
    artifact.update({
      status: error.code === 'CANCELLED' ? 'cancelled' : 'failed',
      message,
      finishedAt: new Date().toISOString(),
      error: error.code === 'CANCELLED' ? null : { code: error.code, message, ...(hint === undefined ? {} : { hint }), ...kept(issues) },
    }),
  );
}

/** The faults that the status keeps; a record of thousands would be carried with every look at it. */
function kept(issues: readonly Issue[] | undefined): { issues?: { path: string; message: string }[] } {
  return issues === undefined ? {} : { issues: issues.slice(0, 1000).map(({ path, message }) => ({ path, message })) };
}

/** The bookkeeping of a failure must not end the queue; what goes wrong in it is reported. */
async function quietly(logger: Logger, work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
  } catch (error) {
    logger.error('could not record how an artifact ended', describeError(error));
  }
}

function stackOf(error: AppError): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return cause.stack ?? cause.message;
}

/** The disk's own error below whatever it was wrapped in: a full disk is reported as such, not as a damaged archive. */
function diskErrorIn(error: unknown): unknown {
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) if (isDiskFull(inner)) return inner;
  return undefined;
}
