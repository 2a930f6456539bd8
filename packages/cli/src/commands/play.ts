import { dirname, resolve } from 'node:path';
import { AppError, type Device } from '@selvedge/contract';
import type { Command } from 'commander';
import { readSources } from '../documents/read-sources.ts';
import { deviceQuery } from '../fleet/device-query.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { oneLine, renderTable } from '../output/table.ts';
import { parsePlay } from '../play/play-file.ts';
import { OUTCOMES, Recap, type TaskResult } from '../play/recap.ts';
import { runTask } from '../play/run-task.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';

interface PlayOptions {
  check?: boolean;
  limit?: string;
}

async function devicesOf(session: Session, query: string): Promise<Device[]> {
  const asked = deviceQuery(query);
  const found = 'device' in asked ? [await getOne(session, 'Device', asked.device)] : await listAll(session, 'Device', asked.selector);
  if (found.length > 0) return found;
  throw new AppError('NOT_FOUND', { message: `No device matches "${query}".`, hint: '"selvedge device list" shows labels.' });
}

async function choose(session: Session, query: string, limit: string | undefined): Promise<Device[]> {
  const devices = await devicesOf(session, query);
  if (limit === undefined) return devices;
  const allowed = new Set((await devicesOf(session, limit)).map(({ metadata }) => metadata.name));
  const left = devices.filter(({ metadata }) => allowed.has(metadata.name));
  if (left.length > 0) return left;
  throw new AppError('NOT_FOUND', { message: `No device of the play matches "${limit}".` });
}

function showTask(session: Session, name: string, results: ReadonlyMap<string, TaskResult>): void {
  session.note(`\n${oneLine(name)}`);
  for (const [device, { outcome, message }] of results)
    session.note(`  ${session.state(outcome).painted.padEnd(12)} ${device}${message === '' ? '' : `  ${oneLine(message)}`}`);
}

function recapTable(recap: Recap): string {
  const rows = recap.rows.map((row) => [
    row.device,
    ...OUTCOMES.map((outcome) => (row[outcome] === 0 ? '0' : { painted: String(row[outcome]) })),
  ]);
  return renderTable(['DEVICE', ...OUTCOMES.map((outcome) => outcome.toUpperCase())], rows);
}

async function runPlay(session: Session, file: string, options: PlayOptions): Promise<void> {
  const { io } = session;
  const [source] = await readSources([file], io);
  if (source === undefined) throw new AppError('FILE_UNREADABLE', { message: `${file} could not be read.` });
  const play = parsePlay(source.text, source.name);
  const devices = await choose(session, play.spec.devices, options.limit);
  const recap = new Recap(devices.map(({ metadata }) => metadata.name));
  const folder = file === '-' ? io.cwd : dirname(resolve(io.cwd, file));
  const tasks: { name: string; results: ({ device: string } & TaskResult)[] }[] = [];
  for (const task of play.spec.tasks) {
    const active = new Set(recap.active);
    if (active.size === 0) break;
    const chosen = devices.filter(({ metadata }) => active.has(metadata.name));
    const results = await runTask({ session, play, folder, check: options.check === true }, task, chosen);
    recap.add(results);
    showTask(session, task.name, results);
    tasks.push({ name: task.name, results: [...results].map(([device, result]) => ({ device, ...result })) });
  }
  session.note('');
  await session.result({ check: options.check === true, tasks, recap: recap.rows }, () => recapTable(recap));
  const { failed } = recap;
  if (failed.length === 0) return;
  throw new AppError('OPERATION_FAILED', {
    message: `The play failed on ${failed.length} of ${devices.length} devices.`,
    issues: tasks.flatMap(({ name, results }) =>
      results
        .filter(({ outcome }) => outcome === 'failed' || outcome === 'unreachable')
        .map(({ device, message }) => ({ path: device, message: `${name}: ${message}` })),
    ),
  });
}

export function registerPlay(command: Command, io: Io): void {
  command
    .argument('<file>', 'the play: a document of kind Play; "-" for stdin')
    .option('--check', 'change nothing; only tell what would change')
    .option('--limit <query>', 'only these of its devices: a name, or labels like site=plant-3')
    .action(async (file: string, options: PlayOptions, called: Command) => runPlay(await openSession(called, io), file, options));
  finishLeaf(command, {
    examples: ['selvedge play site.yaml --check', 'selvedge play site.yaml --limit edge-1'],
    notes:
      'Tasks run one after the other, each on all devices; a device that fails is left out of the rest, and the exit code is 6.\nEach task is an operation: "selvedge operation list" shows who asked what.',
  });
}
