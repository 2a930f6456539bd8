import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AppError, createClient, type FetchLike, type ServerReady, toAppError } from '@selvedge/contract';
import { formatError, writeJsonAtomic } from '@selvedge/runtime';
import { makeDigits } from '../../examples/digits/make-dataset.ts';
import { buildPackages, describePackages, planPlatforms, TARGETS_DIR, withoutToolchain } from './native.ts';
import { DEMO_HELP, type DemoOptions, parseDemoOptions } from './options.ts';
import { Processes } from './processes.ts';
import { StepTimer } from './progress.ts';
import { type DemoReport, formatReport } from './report.ts';
import * as steps from './steps.ts';

const nodeFetch: FetchLike = (url, init) => fetch(url, init as RequestInit);

async function startServer(processes: Processes, options: DemoOptions, data: string): Promise<ServerReady> {
  return processes.startServer({
    dataDir: join(data, 'server'),
    port: options.port,
    devicePort: options['device-port'],
    logFile: join(data, 'logs/server.log'),
    targetsDir: TARGETS_DIR,
  });
}

async function makePictures(data: string, options: DemoOptions, progress: (text: string) => void): Promise<string> {
  const folder = join(data, `pictures-${options.train}-${options.test}`);
  // The folder appears only when it is complete, and the same seed gives the same bytes.
  if (existsSync(folder)) return folder;
  await makeDigits({
    outDir: folder,
    train: options.train,
    test: options.test,
    seed: 1,
    onProgress: (done, total) => progress(`${done} of ${total}`),
  });
  return folder;
}

async function measure(context: steps.DemoContext, folder: string): Promise<DemoReport['devices']> {
  const pictures = await steps.listPictures(join(folder, 'test'));
  let done = 0;
  const onDone = () => {
    done += 1;
    context.progress(`${done} of ${pictures.length * steps.DEVICES.length} answers`);
  };
  // One after the other: measured side by side on few cores the devices would measure each other.
  const reports: DemoReport['devices'] = [];
  for (const device of steps.DEVICES) {
    const report = await steps.measureDevice(context, device, pictures, onDone);
    reports.push({ ...report, runtime: await steps.runtimeOf(context.api, device) });
  }
  return reports;
}

async function main(options: DemoOptions, setupSeconds: number, processes: Processes, signal: AbortSignal): Promise<DemoReport> {
  const data = resolve(options.data);
  if (options.fresh) await rm(data, { recursive: true, force: true });
  const timer = new StepTimer(setupSeconds);
  const server = await timer.step('server', async () => ({
    value: await startServer(processes, options, data),
    note: 'with its tools',
  }));
  const token = (await readFile(join(server.dataDir, 'admin-token'), 'utf8')).trim();
  const context: steps.DemoContext = {
    api: createClient({ baseUrl: server.url, token, fetch: nodeFetch }),
    dataDir: server.dataDir,
    deviceDir: (name) => join(data, 'devices', name),
    logFile: (name) => join(data, 'logs', `${name}.log`),
    processes,
    signal,
    progress: (text) => timer.progress(text),
    deviceUrl: server.deviceUrl,
  };
  const platforms = await planPlatforms(context.api, steps.DEVICES);
  await timer.step('devices', async () => ({ value: undefined, note: await steps.startDevices(context, platforms) }));
  const folder = await timer.step('pictures', async () => ({
    value: await makePictures(data, options, context.progress),
    note: `${options.train} to train on, ${options.test} held out`,
  }));
  const dataset = await timer.step('dataset', async () => {
    const value = await steps.addDataset(context, folder);
    return { value, note: `digits version ${value.spec.version}` };
  });
  const { run, reused } = await timer.step('pipeline', async () => {
    await steps.applyExample(context, ['task.yaml', 'pipeline.json']);
    const value = await steps.runPipeline(context, dataset);
    return { value, note: value.reused ? `already trained by run ${value.run.metadata.name}` : `run ${value.run.metadata.name}` };
  });
  const version = await steps.findModelVersion(context.api, run);
  await timer.step('build', async () => {
    if (platforms.size === 0) return { value: undefined, note: withoutToolchain() };
    return { value: undefined, note: describePackages(await buildPackages(context, version, platforms)) };
  });
  await timer.step('deploy', async () => {
    await steps.applyExample(context, ['inference-model.yaml']);
    return {
      value: await steps.waitUntilServed(context, version.spec.version, platforms),
      note: `version ${version.spec.version} on ${steps.DEVICES.length} devices`,
    };
  });
  const devices = await timer.step('infer', async () => ({
    value: await measure(context, folder),
    note: 'held-out pictures, on the devices',
  }));
  const splits = dataset.status.content?.splits ?? {};
  return {
    elapsedS: timer.elapsedS,
    url: server.loginUrl,
    steps: timer.steps,
    dataset: { name: 'digits', version: dataset.spec.version, train: splits.train ?? 0, test: splits.test ?? 0 },
    run: {
      name: run.metadata.name,
      reused,
      steps: run.status.steps.map((step) => ({ name: step.name, elapsedS: secondsBetween(step.startedAt, step.finishedAt) })),
    },
    model: { name: version.spec.model, version: version.spec.version, metrics: version.spec.metrics },
    devices,
  };
}

function secondsBetween(from: string | null, to: string | null): number {
  return from === null || to === null ? 0 : (Date.parse(to) - Date.parse(from)) / 1000;
}

function stayingUp(data: string): string {
  const pictures = join(data, 'pictures-*/test/7/*');
  return [
    'The demo stays up until you press Ctrl-C. In another terminal:',
    '',
    `  export SELVEDGE_DATA=${join(data, 'server')}`,
    '  npx selvedge status',
    '  npx selvedge device show edge-1',
    `  npx selvedge infer digits ${pictures}`,
    '',
  ].join('\n');
}

/** Runs the demo to its table, then stays up until Ctrl-C (or not, with `--once`). Sets the exit code. */
export async function runDemo({ setupSeconds }: { setupSeconds: number }): Promise<void> {
  const processes = new Processes();
  const controller = new AbortController();
  const interrupted = new Promise<void>((done) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        controller.abort(new AppError('INTERRUPTED', { message: 'Interrupted.' }));
        done();
      });
    }
  });
  try {
    const options = parseDemoOptions(process.argv.slice(2));
    if (options === 'help') {
      process.stdout.write(DEMO_HELP);
      return;
    }
    const report = await Promise.race([
      main(options, setupSeconds, processes, controller.signal),
      interrupted.then(() => {
        throw new AppError('INTERRUPTED', { message: 'Interrupted.' });
      }),
    ]);
    if (options.report !== undefined) await writeJsonAtomic(resolve(options.report), report);
    process.stdout.write(formatReport(report));
    if (!options.once) {
      process.stdout.write(stayingUp(options.data));
      await interrupted;
    }
  } catch (thrown) {
    const error = toAppError(thrown);
    process.stderr.write(error.code === 'INTERRUPTED' ? '\ninterrupted\n' : `\n${formatError(error)}\n`);
    process.exitCode = error.exitCode;
  } finally {
    await processes.stopAll();
  }
}
