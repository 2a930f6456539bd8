import { createReadStream } from 'node:fs';
import { AppError, type BundleDevice, type BundleStatement, type DesiredState, type ReportedState } from '@selvedge/contract';
import { systemErrorCode, waitUntil } from '@selvedge/runtime';
import { readBundle } from '@selvedge/runtime/bundle';
import { runningAgent } from '../adapters/disk/folder-lock.ts';
import { packageAuthorities } from '../adapters/disk/identity-folder.ts';
import { writeRefusal } from '../adapters/disk/refusal-file.ts';
import { FolderStateStore } from '../adapters/disk/state-folder.ts';
import { type BundleSituation, judgeBundle, revokesDevice, withStatement } from '../domain/bundle-order.ts';
import { type BundleState, withBundles } from './bundle-state.ts';

export interface AppliedBundle {
  id: string;
  device: string;
  revision: number;
  /** What was taken from it, in files and bytes. */
  files: number;
  sizeBytes: number;
  /** It had been applied before. */
  already: boolean;
  /** Process of the agent that takes it up; null: the agent does when it starts. */
  agent: number | null;
  desired: DesiredState;
}

/**
 * Verifies a bundle from its first byte to its last and puts down what is for this device; the agent takes it up, at once when it
 * runs. Until the last byte was verified nothing is changed; applied twice, it is as if it had been applied once.
 *
 * @throws AppError CONFLICT (not joined, or an older bundle), FILE_UNREADABLE, SIGNATURE_INVALID, ARCHIVE_UNSAFE, DEVICE_REVOKED,
 *   BUNDLE_REVOKED, BUNDLE_OTHER_DEVICE, BUNDLE_EXPIRED (user); DIGEST_MISMATCH, DISK_FULL (operational); the signal's reason.
 */
export async function applyBundle(dir: string, file: string, signal: AbortSignal, clock = () => Date.now()): Promise<AppliedBundle> {
  return withBundles(dir, async (state) => {
    const situation = await situationOf(dir, state, clock());
    let own: BundleDevice | undefined;
    const staged = await state.folder.stage();
    try {
      const statement = await readFrom(file, (source) =>
        readBundle(source, {
          ca: packageAuthorities(state.stored),
          onStatement: async (found) => {
            await noteRevocation(dir, state, found, situation);
            own = judgeBundle(found, situation);
            return new Set(own.content);
          },
          take: (sha256, content) => staged.write(sha256, content),
          signal,
        }),
      );
      if (own === undefined) throw new Error('the bundle was read without its statement');
      const order = orderOf(statement, own);
      const already = await keep(state, statement, own, () => staged.commit(order), clock());
      return await describe(dir, statement, own, already);
    } finally {
      await staged.discard();
    }
  });
}

async function situationOf(dir: string, state: BundleState, nowMs: number): Promise<BundleSituation> {
  const { stored, certificateSha256, memory, folder } = state;
  const known = (await new FolderStateStore(dir).load())?.desired?.revision ?? 0;
  const waiting = (await folder.orders()).map(({ desired }) => desired.revision);
  const { device, joinedAt } = stored.identity;
  return { device, certificateSha256, memory, nowMs, joinedAt, knownRevision: Math.max(known, ...waiting) };
}

/** That the device was removed is kept, also when nothing else of the bundle is taken. */
async function noteRevocation(
  dir: string,
  { folder, memory }: BundleState,
  statement: BundleStatement,
  situation: BundleSituation,
): Promise<void> {
  if (!revokesDevice(statement, situation)) return;
  await folder.writeMemory({ ...memory, revokedCertificate: situation.certificateSha256 });
  await writeRefusal(dir, { code: 'DEVICE_REVOKED', message: `Device "${situation.device}" has been removed, as a bundle says.` });
}

function orderOf({ id, createdAt }: BundleStatement, { desired, taken }: BundleDevice) {
  return { formatVersion: 1 as const, id, createdAt, desired, taken };
}

/** What the server has signed is remembered first: a kill in between costs another go, and lets nothing older in. @returns whether it was there. */
async function keep(
  { folder, memory }: BundleState,
  statement: BundleStatement,
  { desired }: BundleDevice,
  commit: () => Promise<void>,
  nowMs: number,
): Promise<boolean> {
  const { id } = statement;
  const remembered = withStatement(memory, statement);
  const already = memory.last?.id === id;
  await folder.writeMemory(remembered);
  // Applied before, and done with: its content is put down again only while something may need it.
  await commit();
  if (!already) {
    const last = { id, revision: desired.revision, appliedAt: new Date(nowMs).toISOString() };
    await folder.writeMemory({ ...remembered, last });
  }
  return already;
}

async function describe(dir: string, statement: BundleStatement, own: BundleDevice, already: boolean): Promise<AppliedBundle> {
  const taken = new Set(own.content);
  const content = statement.content.filter(({ sha256 }) => taken.has(sha256));
  return {
    id: statement.id,
    device: own.name,
    revision: own.desired.revision,
    files: content.length,
    sizeBytes: content.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    already,
    agent: (await runningAgent(dir)) ?? null,
    desired: own.desired,
  };
}

/** What the stick or its file system refuses is told with the file's name. */
async function readFrom<T>(file: string, read: (source: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T> {
  const source = createReadStream(file, { highWaterMark: 256 * 1024 });
  try {
    return await read(source);
  } catch (cause) {
    const isOfSource = source.errored !== null && cause === source.errored;
    if (!isOfSource) throw cause;
    throw new AppError('FILE_UNREADABLE', { message: `${file} cannot be read (${systemErrorCode(cause) ?? 'unknown error'}).` }, { cause });
  } finally {
    source.destroy();
  }
}

/**
 * Waits until the agent serves what was applied, or says why not. @returns the last report; undefined when there is none, or time
 * is up before the agent has taken the bundle up.
 */
export async function waitServing(
  dir: string,
  desired: DesiredState,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ReportedState | undefined> {
  const states = new FolderStateStore(dir);
  let report: ReportedState | undefined;
  await waitUntil(
    async () => {
      report = await states.loadReport();
      return report !== undefined && report.observedRevision >= desired.revision && isSettled(report, desired);
    },
    { timeoutMs, intervalMs: 200, what: 'the agent to serve what the bundle brought', signal },
  ).catch((error: unknown) => {
    if (!(error instanceof AppError && error.code === 'TIMEOUT')) throw error;
  });
  return report === undefined || report.observedRevision < desired.revision ? undefined : report;
}

function isSettled({ workloads }: ReportedState, desired: DesiredState): boolean {
  return desired.workloads.every(({ name, version }) => {
    const report = workloads.find((one) => one.name === name);
    const isTrying = report?.trial?.state === 'preparing' || report?.trial?.state === 'running';
    const isServing = report?.state === 'serving' && report.servingVersion === version;
    return report !== undefined && !isTrying && (isServing || report.error !== null);
  });
}
