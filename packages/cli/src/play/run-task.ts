import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { AppError, type Device, type OperationDevice, type OperationTask, type TransferFile } from '@selvedge/contract';
import { explainUnreadable, sha256File, sha256Hex } from '@selvedge/runtime';
import { holdsFolder } from '@selvedge/runtime/folder-archive';
import { downloadOperationFile } from '../fleet/download-operation-file.ts';
import { downloadOperationFolder } from '../fleet/download-operation-folder.ts';
import { pushTask } from '../fleet/push-task.ts';
import { watchOperation } from '../follow/watch-operation.ts';
import { getOne } from '../resources.ts';
import type { Session } from '../session.ts';
import { checkedDevicePath, type Play, type PlayTask } from './play-file.ts';
import { CHANGED, failureResult, OK, SKIPPED, type TaskResult } from './recap.ts';
import { render, type TemplateValues } from './render.ts';

export interface TaskRun {
  readonly session: Session;
  readonly play: Play;
  /** Where the play's files are. */
  readonly folder: string;
  /** Only tells what would change. */
  readonly check: boolean;
}

type Results = Map<string, TaskResult>;
interface Asked {
  readonly operation: string;
  readonly devices: readonly OperationDevice[];
}

/** Most of a template that is rendered in memory. */
const MAX_TEMPLATE_BYTES = 1024 * 1024;

/** Does one task on these devices, each as its own variables have it; one operation for all that are asked the same. */
export async function runTask(run: TaskRun, task: PlayTask, devices: readonly Device[]): Promise<Results> {
  const { copy, template, exec, ensureRunning, fetch } = task;
  if (copy !== undefined) return grouped(run, copy, devices, (part, names) => push(run, part, names, resolve(run.folder, part.src)));
  if (template !== undefined) return pushTemplate(run, template, devices);
  if (exec !== undefined) return grouped(run, exec, devices, (part, names) => execute(run, part, names));
  if (ensureRunning !== undefined) return ensure(run, ensureRunning.workload, devices);
  if (fetch !== undefined) return grouped(run, fetch, devices, (part, names) => fetchFile(run, part, names));
  throw new AppError('INTERNAL', { message: `The task "${task.name}" has no action.` });
}

function templateValues({ play }: TaskRun, device: Device): TemplateValues {
  return { device: device.metadata.name, labels: device.metadata.labels, vars: play.spec.vars };
}

/** With the variables of a device put into every text of it. */
function rendered<T>(value: T, values: TemplateValues): T;
function rendered(value: unknown, values: TemplateValues): unknown {
  if (typeof value === 'string') return render(value, values);
  if (Array.isArray(value)) return value.map((one: unknown) => rendered(one, values));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]: [string, unknown]) => [key, rendered(one, values)]));
}

/** Devices for which a part of the play comes out the same are asked together. */
async function grouped<T>(
  run: TaskRun,
  part: T,
  devices: readonly Device[],
  work: (part: T, names: readonly string[]) => Promise<Results>,
): Promise<Results> {
  const groups = new Map<string, { part: T; names: string[] }>();
  for (const device of devices) {
    const own = rendered(part, templateValues(run, device));
    const key = JSON.stringify(own);
    const group = groups.get(key) ?? { part: own, names: [] };
    group.names.push(device.metadata.name);
    groups.set(key, group);
  }
  const results: Results = new Map();
  for (const group of groups.values()) for (const [name, result] of await work(group.part, group.names)) results.set(name, result);
  return results;
}

/** Asks devices and waits; those that are not connected are not waited for. */
async function ask({ session, play }: TaskRun, task: OperationTask, devices: readonly string[]): Promise<Asked> {
  const body = { task, devices: [...devices], parallel: play.spec.parallel, wait: false };
  const begun = await session.client.createOperation({ body, signal: session.io.signal });
  const { metadata, status } = await watchOperation(session, begun.metadata.name);
  return { operation: metadata.name, devices: status.devices };
}

function resultsOf({ devices }: Asked, succeeded: (device: OperationDevice) => TaskResult): Results {
  return new Map(devices.map((one) => [one.device, one.state === 'succeeded' ? succeeded(one) : failureResult(one)]));
}

async function push(
  run: TaskRun,
  part: { dst: string; mode?: string | undefined },
  names: readonly string[],
  path: string,
  name?: string,
): Promise<Results> {
  const task = await pushTask(run.session, {
    source: path,
    destination: checkedDevicePath(part.dst),
    name,
    mode: part.mode === undefined ? undefined : Number.parseInt(part.mode, 8),
    check: run.check ? true : undefined,
  });
  return resultsOf(await ask(run, task, names), ({ changed }) => (changed === true ? CHANGED : OK));
}

/** The text is rendered for each device; those that get the same are asked together. */
async function pushTemplate(run: TaskRun, template: NonNullable<PlayTask['template']>, devices: readonly Device[]): Promise<Results> {
  const source = resolve(run.folder, template.src);
  const content = await readFile(source, 'utf8').catch((cause: unknown) => {
    throw explainUnreadable(cause, source);
  });
  if (content.length > MAX_TEMPLATE_BYTES)
    throw new AppError('PAYLOAD_TOO_LARGE', { message: `${source} is larger than 1 MiB; copy it instead.` });
  const groups = new Map<string, Device[]>();
  for (const device of devices) {
    const body = render(content, templateValues(run, device));
    groups.set(body, [...(groups.get(body) ?? []), device]);
  }
  const results: Results = new Map();
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-play-'));
  try {
    for (const [body, members] of groups) {
      const path = join(folder, sha256Hex(body));
      await writeFile(path, body);
      const done = await grouped(run, template, members, (part, names) => push(run, part, names, path, basename(source)));
      for (const [name, result] of done) results.set(name, result);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return results;
}

async function execute(run: TaskRun, exec: NonNullable<PlayTask['exec']>, names: readonly string[]): Promise<Results> {
  const { argv, creates, unless, changedWhen = true, timeoutS } = exec;
  const results: Results = new Map();
  let left = [...names];
  const settle = (asked: Asked, judge: (device: OperationDevice) => TaskResult | undefined) => {
    for (const one of asked.devices) {
      const result = judge(one);
      if (result !== undefined) results.set(one.device, result);
    }
    left = left.filter((name) => !results.has(name));
  };
  if (creates !== undefined) {
    const asked = await ask(run, { type: 'pull', path: checkedDevicePath(creates), check: true }, left);
    settle(asked, (one) => {
      if (one.state === 'succeeded' || one.error?.code === 'CONFLICT') return SKIPPED; // a folder is there as well
      return one.error?.code === 'NOT_FOUND' ? undefined : failureResult(one);
    });
  }
  if (unless !== undefined && left.length > 0 && !run.check) {
    const asked = await ask(run, { type: 'exec', argv: unless, timeoutS }, left);
    settle(asked, (one) => (one.state === 'succeeded' ? SKIPPED : one.exitCode === null ? failureResult(one) : undefined));
  }
  if (run.check) for (const name of left) results.set(name, changedWhen === false ? SKIPPED : CHANGED);
  else if (left.length > 0) {
    const asked = await ask(run, { type: 'exec', argv, timeoutS }, left);
    const hasChanged = (output: string) => (typeof changedWhen === 'string' ? new RegExp(changedWhen, 'm').test(output) : changedWhen);
    settle(asked, (one) => (one.state === 'succeeded' ? (hasChanged(one.output) ? CHANGED : OK) : failureResult(one)));
  }
  return results;
}

async function ensure(run: TaskRun, workload: string, devices: readonly Device[]): Promise<Results> {
  const results: Results = new Map();
  const restart: string[] = [];
  for (const device of devices) {
    const { name } = device.metadata;
    const { status } = await getOne(run.session, 'Device', name);
    const found = status.workloads.find((one) => one.name === workload);
    if (!status.online) results.set(name, { outcome: 'unreachable', message: 'The device is not connected.' });
    else if (found === undefined) results.set(name, { outcome: 'failed', message: `There is no workload "${workload}" on the device.` });
    else if (found.state === 'serving') results.set(name, OK);
    else if (run.check) results.set(name, CHANGED);
    else restart.push(name);
  }
  if (restart.length > 0) {
    const asked = await ask(run, { type: 'restart-workload', workload }, restart);
    for (const [name, result] of resultsOf(asked, () => CHANGED)) results.set(name, result);
  }
  return results;
}

/** A folder of a device has a place of its own here, and takes it as a whole. */
async function download(session: Session, sent: Parameters<typeof downloadOperationFolder>[1], path: string): Promise<void> {
  if (sent.file.folder === true) await downloadOperationFolder(session, sent, path, { replace: true });
  else await downloadOperationFile(session, sent.operation, sent.device, sent.file, path);
}

/** Whether a file or folder is here as a device has it. */
async function isHere(path: string, file: TransferFile, signal: AbortSignal): Promise<boolean> {
  if (file.folder === true) return holdsFolder(path, file, { signal });
  return (await sha256File(path).catch(() => undefined)) === file.sha256;
}

async function fetchFile(run: TaskRun, { src, dst }: { src: string; dst: string }, names: readonly string[]): Promise<Results> {
  const path = checkedDevicePath(src);
  const place = (device: string) => join(resolve(run.folder, dst), device, basename(path));
  const looked = await ask(run, { type: 'pull', path, folder: true, check: true }, names);
  const results: Results = new Map();
  const differing: string[] = [];
  for (const one of looked.devices) {
    if (one.state !== 'succeeded' || one.file === null) results.set(one.device, failureResult(one));
    else if (await isHere(place(one.device), one.file, run.session.io.signal)) results.set(one.device, OK);
    else if (run.check) results.set(one.device, CHANGED);
    else differing.push(one.device);
  }
  if (differing.length === 0) return results;
  const asked = await ask(run, { type: 'pull', path, folder: true }, differing);
  for (const one of asked.devices) {
    if (one.state !== 'succeeded' || one.file === null) results.set(one.device, failureResult(one));
    else {
      await download(run.session, { operation: asked.operation, device: one.device, file: one.file }, place(one.device));
      results.set(one.device, CHANGED);
    }
  }
  return results;
}
