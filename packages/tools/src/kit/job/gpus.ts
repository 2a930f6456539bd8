import { execFile } from 'node:child_process';
import { lstat, mkdir } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { AppError, type Gpu, gpuSchema, type TrainResources } from '@selvedge/contract';
import { lockFolder, sleep, systemErrorCode } from '@selvedge/runtime';
import * as z from 'zod';

const QUERY = ['--query-gpu=index,uuid,name,memory.total', '--format=csv,noheader'];
/** The first call after a boot loads the driver and takes seconds; one that hangs must not hold the queue. */
const QUERY_TIMEOUT_MS = 20_000;
const LEASE_INTERVAL_MS = 500;

/** A line of its answer: `0, GPU-5e1f..., NVIDIA L4, 23034 MiB`. The name may hold anything but a comma and a space. */
const lineSchema = z
  .string()
  .transform((line) => line.split(', '))
  .pipe(
    z.tuple([
      z.string().regex(/^\d+$/).transform(Number),
      // it becomes the name of a file
      z.string().regex(/^[A-Za-z0-9-]+$/),
      z.string(),
      z
        .string()
        .regex(/^\d+ MiB$/)
        .transform((text) => Number.parseInt(text, 10)),
    ]),
  )
  .transform(([index, uuid, name, memoryMiB]) => gpuSchema.parse({ index, uuid, name, memoryMiB }));

interface FoundGpus {
  readonly gpus: readonly Gpu[];
  /** Why there is none, as far as it is known. */
  readonly reason: string;
}

/** How many GPUs a job gets, and which ones may be among them. */
export interface GpuRequest {
  readonly count: number;
  readonly among: readonly Gpu[];
}

/** The NVIDIA GPUs of this machine as `nvidia-smi` on the PATH tells of them. */
function detectGpus(): Promise<FoundGpus> {
  return new Promise((resolve, reject) => {
    execFile('nvidia-smi', QUERY, { timeout: QUERY_TIMEOUT_MS, killSignal: 'SIGKILL', encoding: 'utf8' }, (error, stdout) => {
      if (error !== null) {
        // The program reports its own faults (no driver, no device) on standard output.
        const said = stdout.trim().split('\n')[0] ?? '';
        if (systemErrorCode(error) === 'ENOENT') resolve({ gpus: [], reason: 'there is no nvidia-smi on the PATH' });
        else if (error.killed === true) resolve({ gpus: [], reason: `nvidia-smi did not answer within ${QUERY_TIMEOUT_MS / 1000} s` });
        else resolve({ gpus: [], reason: `nvidia-smi failed: ${said === '' ? `code ${String(error.code)}` : said}` });
        return;
      }
      const lines = stdout.split('\n').filter((line) => line.trim() !== '');
      const parsed = z.array(lineSchema).safeParse(lines.map((line) => line.trim()));
      if (parsed.success) resolve({ gpus: parsed.data, reason: 'nvidia-smi lists none' });
      else
        reject(
          new AppError('RESOURCES_UNAVAILABLE', {
            message: `What nvidia-smi answered is not understood: "${lines[0] ?? ''}".`,
            hint: `Expected lines like "0, GPU-5e1f…, NVIDIA L4, 23034 MiB" from "nvidia-smi ${QUERY.join(' ')}".`,
          }),
        );
    });
  });
}

/**
 * Looks for the GPUs that a job asks for.
 *
 * @returns undefined when it asks for none.
 * @throws AppError RESOURCES_UNAVAILABLE (user), which names what was found.
 */
export async function findGpus(asked: TrainResources['gpus']): Promise<GpuRequest | undefined> {
  if (asked === undefined || asked === 0) return undefined;
  const { gpus, reason } = await detectGpus();
  const found = gpus.length === 0 ? `none was found: ${reason}` : `found: ${gpus.map(describeGpu).join('; ')}`;
  const refuse = (what: string) =>
    new AppError('RESOURCES_UNAVAILABLE', {
      message: `The training cannot have what it asks for: ${what}; ${found}.`,
      hint: 'Change train.resources.gpus in the pipeline, or run the server on a machine that has them.',
      issues: [{ path: 'train.resources.gpus', message: `${what}; ${found}` }],
    });
  if (typeof asked === 'number') {
    if (asked > gpus.length) throw refuse(`${asked} ${asked === 1 ? 'GPU is' : 'GPUs are'} asked for`);
    return { count: asked, among: gpus };
  }
  const among = new Set<Gpu>();
  for (const name of asked) {
    const gpu = gpus.find(({ index, uuid }) => index === name || uuid === name);
    if (gpu === undefined) throw refuse(`GPU ${name} is asked for`);
    among.add(gpu);
  }
  return { count: among.size, among: [...among] };
}

function describeGpu({ index, uuid, name, memoryMiB }: Gpu): string {
  return `${index} (${name}, ${memoryMiB} MiB, ${uuid})`;
}

/**
 * The variables that show a job the GPUs that it was granted and no other; with none granted it sees none. By UUID: numbers of
 * CUDA are in another order than those of nvidia-smi.
 */
export function gpuEnvironment(gpus: readonly Gpu[]): Record<string, string> {
  return { CUDA_VISIBLE_DEVICES: gpus.map((gpu) => gpu.uuid).join(',') };
}

export interface GpuLease {
  readonly gpus: readonly Gpu[];
  release(): Promise<void>;
}

export interface LeaseOptions {
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** Told once when GPUs have to be waited for. */
  readonly onWait?: () => void;
  /** Where leases are kept; default one folder per user of the machine, so that all tools of a user share them. */
  readonly folder?: string;
}

/**
 * Takes GPUs for one job at a time, among all tools of this user on this machine, and waits until enough are free. All or
 * none are held, so that two jobs never wait for each other; leases of a process that is gone are taken over.
 *
 * @throws the signal's reason.
 */
export async function leaseGpus({ count, among }: GpuRequest, options: LeaseOptions): Promise<GpuLease> {
  const folder = options.folder ?? join(tmpdir(), `selvedge-gpus-${userInfo().uid}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await checkOwner(folder);
  for (let isFirst = true; ; isFirst = false) {
    const held: { gpu: Gpu; release: () => Promise<void> }[] = [];
    for (const gpu of among) {
      const release = held.length === count ? undefined : await tryLock(join(folder, `${gpu.uuid}.lock`));
      if (release !== undefined) held.push({ gpu, release });
    }
    const release = async () => {
      await Promise.all(held.map((one) => one.release()));
    };
    if (held.length === count) return { gpus: held.map((one) => one.gpu), release };
    await release();
    if (isFirst) options.onWait?.();
    await sleep(LEASE_INTERVAL_MS, options.signal);
  }
}

/** The folder is below one that everybody writes to: somebody else's, or a link, would put our files where they want. */
async function checkOwner(folder: string): Promise<void> {
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === userInfo().uid) return;
  throw new AppError('RESOURCES_UNAVAILABLE', {
    message: `GPUs cannot be leased: ${folder} is no folder of this user.`,
    hint: 'Remove it, or set TMPDIR to a folder of your own.',
  });
}

async function tryLock(path: string): Promise<(() => Promise<void>) | undefined> {
  try {
    return await lockFolder(path, { refusal: () => ({ message: 'The GPU is in use.' }) });
  } catch (error) {
    if (error instanceof AppError && error.code === 'DATA_FOLDER_LOCKED') return undefined;
    throw error;
  }
}
