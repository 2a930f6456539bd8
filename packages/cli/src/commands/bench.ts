import { AppError, type Device, type Package, type PackageBenchmark, targetOf } from '@selvedge/contract';
import type { Command } from 'commander';
import { resolveReference } from '../data/model-reference.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { integer } from '../options.ts';
import { renderTable } from '../output/table.ts';
import { getOne, listAll } from '../resources.ts';
import { openSession, type Session } from '../session.ts';
import { BENCHMARK_HEAD, benchmarkRows } from './package.ts';

interface BenchOptions {
  on: string;
  seconds: number;
  threads: number;
}

interface Failure {
  device: string;
  package: string;
  code: string;
  message: string;
}

interface Measured {
  one: Package;
  benchmark: PackageBenchmark;
}

/** The server waits two minutes longer than the measurement takes, and an HTTP client five minutes in all. */
const MAX_SECONDS = 170;
const MAX_PARALLEL = 8;

async function packagesOf(session: Session, what: string): Promise<Package[]> {
  const all = await listAll(session, 'Package');
  const named = all.filter((one) => one.metadata.name === what);
  if (named.length > 0) return named;
  const { model, version } = (await resolveReference(session, what)).spec;
  const found = all.filter((one) => one.status.manifest?.model === model && one.status.manifest.version === version);
  if (found.length > 0) return found;
  throw new AppError('NOT_FOUND', {
    message: `No package is built of ${model}:${version}.`,
    hint: `Build one: selvedge build create ${model}:${version} --target TARGET`,
  });
}

async function devicesOn(session: Session, on: string): Promise<Device[]> {
  if (!on.includes('=')) return [await getOne(session, 'Device', on)];
  const devices = await listAll(session, 'Device', on);
  const online = devices.filter((device) => device.status.online);
  if (online.length > 0) return online;
  if (devices.length > 0)
    throw new AppError('DEVICE_OFFLINE', { message: `None of the ${devices.length} devices with ${on} is connected.` });
  throw new AppError('NOT_FOUND', { message: `No device has the label ${on}.`, hint: '"selvedge device list" shows labels.' });
}

function runsOn({ status }: Device, one: Package): boolean {
  const { info } = status;
  if (info === null) return false;
  const target = targetOf(info.arch, info.platform);
  return (info.targets ?? (target === undefined ? [] : [target])).includes(one.spec.target);
}

async function measureAll(session: Session, devices: readonly Device[], packages: readonly Package[], options: BenchOptions) {
  const measured: Measured[] = [];
  const failures: Failure[] = [];
  const line = session.progress();
  const queue = devices.map((device) => ({ device: device.metadata.name, packages: packages.filter((one) => runsOn(device, one)) }));
  const total = queue.reduce((sum, entry) => sum + entry.packages.length, 0);
  // one after the other on a device, or they would measure each other
  const worker = async () => {
    for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
      for (const one of entry.packages) {
        const done = measured.length + failures.length;
        line.update(`measuring ${done + 1} of ${total}: ${one.metadata.name} on ${entry.device}`, `bench ${done}`);
        const { seconds, threads } = options;
        const params = { name: one.metadata.name };
        const body = { device: entry.device, seconds, threads };
        const answer = await session.client.benchPackage({ params, body, signal: session.io.signal });
        for (const benchmark of answer.results) measured.push({ one, benchmark });
        for (const failure of answer.failures) failures.push({ ...failure, package: one.metadata.name });
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: MAX_PARALLEL }, worker));
  } finally {
    line.clear();
  }
  return { measured, failures };
}

function failureOf(failures: readonly Failure[]): AppError | undefined {
  const [first] = failures;
  if (first === undefined) return undefined;
  const code = first.code === 'DEVICE_OFFLINE' || first.code === 'DEVICE_TIMEOUT' ? first.code : 'WORKLOAD_FAILED';
  return new AppError(code, {
    message: failures.length === 1 ? `${first.device}: ${first.message}` : `${failures.length} measurements failed.`,
    issues: failures.map((one) => ({ path: `${one.device} ${one.package}`, message: `${one.message} (${one.code})` })),
  });
}

export function registerBench(command: Command, io: Io): void {
  command
    .argument('<model-or-package>', 'MODEL:VERSION for all its packages, or the name of a package')
    .requiredOption('--on <device>', 'a device, or label=value for all that have it and are online')
    .option('--seconds <number>', 'how long to measure on each', integer(1, MAX_SECONDS), 10)
    .option('--threads <number>', 'threads of the engine', integer(1, 64), 1)
    .action(async (what: string, options: BenchOptions, called: Command) => {
      const session = await openSession(called, io);
      const packages = await packagesOf(session, what);
      const devices = await devicesOn(session, options.on);
      if (!devices.some((device) => packages.some((one) => runsOn(device, one)))) {
        const targets = [...new Set(packages.map((one) => one.spec.target))].join(', ');
        throw new AppError('CONFLICT', {
          message: `No device of "${options.on}" runs packages for ${targets}.`,
          hint: '"selvedge device show NAME" tells what a device is; build a package for it with "selvedge build create".',
        });
      }
      const { measured, failures } = await measureAll(session, devices, packages, options);
      const items = measured.map(({ one, benchmark }) => ({
        package: one.metadata.name,
        engine: one.status.engine,
        precision: one.status.precision,
        ...benchmark,
      }));
      await session.result({ items, failures }, () => {
        const rows = measured.flatMap(({ one, benchmark }) => benchmarkRows(one, [benchmark]));
        return rows.length === 0 ? '' : renderTable(BENCHMARK_HEAD, rows);
      });
      const failure = failureOf(failures);
      if (failure !== undefined) throw failure;
    });
  finishLeaf(command, {
    examples: ['selvedge bench digits:1 --on edge-1', 'selvedge bench digits.1.linux-arm64.int8 --on site=plant-3 --seconds 30 -o json'],
    notes:
      'Latency is of the whole pipeline, from the encoded picture to the result. The newest measurement per device is kept with the package,\nand is what the constraints of a task (p95Ms <= 30) are checked against.',
  });
}
