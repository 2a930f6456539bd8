import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { AppError, issuesOf, labelsSchema, nameSchema } from '@selvedge/contract';
import { exitWithParent, runMain } from '@selvedge/runtime';
import { config } from 'zod';
import { type Settings, settingsSchema } from './commands/settings.ts';

// Otherwise the schema library writes and compiles a program of its own for each schema, which costs memory and, without
// V8's compilers, gains nothing.
config({ jitless: true });

const USAGE = `selvedge-agent: serves models on this device as its server tells it

Usage:
  selvedge-agent join URL --token T [--dir DIR] [--name N] [--label key=value ...] [--force]
  selvedge-agent run [--dir DIR] [--telemetry-interval-s N] [--telemetry-batch-s N] [--log-level LEVEL]
                     [--memory-limit-mib N] [--cpu-limit CORES] [--target T --emulator PROGRAM]
  selvedge-agent status [--dir DIR] [--json]
  selvedge-agent lock [--dir DIR] [--reason TEXT]
  selvedge-agent unlock [--dir DIR]

  URL      address of the server's device port, e.g. https://server:7443
  --token  from "selvedge device token"
  --target, --emulator  run packages of another architecture, e.g. linux-armv7 with qemu-arm-static, for trials
  lock     holds every change of a version on this device until unlock
  --dir    the agent's folder; default $SELVEDGE_AGENT_DIR or ~/.selvedge/agent

Example:
  selvedge-agent join https://server:7443 --token sv1... --label site=lab && selvedge-agent run
`;

function parseFlags() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        dir: { type: 'string' },
        token: { type: 'string' },
        name: { type: 'string' },
        label: { type: 'string', multiple: true },
        force: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        'telemetry-interval-s': { type: 'string' },
        'telemetry-batch-s': { type: 'string' },
        'log-level': { type: 'string' },
        target: { type: 'string' },
        emulator: { type: 'string' },
        'memory-limit-mib': { type: 'string' },
        'cpu-limit': { type: 'string' },
        reason: { type: 'string' },
        file: { type: 'string' },
        port: { type: 'string' },
        'previous-port': { type: 'string' },
      },
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('USAGE', { message: reason, hint: 'See: selvedge-agent --help' }, { cause });
  }
}
type Flags = ReturnType<typeof parseFlags>['values'];

function usage(message: string): AppError {
  return new AppError('USAGE', { message, hint: 'See: selvedge-agent --help' });
}

function parseLabels(texts: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at < 1) throw usage(`--label ${text} is not key=value.`);
    labels[text.slice(0, at)] = text.slice(at + 1);
  }
  const parsed = labelsSchema.safeParse(labels);
  if (!parsed.success) throw new AppError('USAGE', { message: 'A --label is not valid.', issues: issuesOf(parsed.error) });
  return parsed.data;
}

function parseSettings(flags: Flags): Settings {
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  const given = {
    telemetryIntervalS: number(flags['telemetry-interval-s']),
    telemetryBatchS: number(flags['telemetry-batch-s']),
    logLevel: flags['log-level'],
    target: flags.target,
    emulator: flags.emulator,
    memoryLimitMiB: number(flags['memory-limit-mib']),
    cpuLimit: number(flags['cpu-limit']),
  };
  const parsed = settingsSchema.safeParse(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
  if (!parsed.success) throw new AppError('USAGE', { message: 'A flag has an impossible value.', issues: issuesOf(parsed.error) });
  return parsed.data;
}

async function joinCommand(url: string | undefined, flags: Flags, dir: string, signal: AbortSignal): Promise<number> {
  if (url === undefined || flags.token === undefined) throw usage('join needs a URL and --token.');
  if (flags.name !== undefined && !nameSchema.safeParse(flags.name).success) throw usage(`--name ${flags.name} is not a valid name.`);
  const { joinServer } = await import('./commands/join.ts');
  const { identity, already } = await joinServer({
    url,
    token: flags.token,
    dir,
    signal,
    force: flags.force ?? false,
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.label === undefined ? {} : { labels: parseLabels(flags.label) }),
  });
  process.stdout.write(
    already
      ? `${dir} has joined ${identity.serverUrl} already, as device "${identity.device}". Use --force to join anew.\n`
      : `Joined ${identity.serverUrl} as device "${identity.device}". Now run: selvedge-agent run --dir ${dir}\n`,
  );
  return 0;
}

async function status(flags: Flags, dir: string): Promise<number> {
  const { formatStatus, readStatus } = await import('./commands/status.ts');
  const found = await readStatus(dir);
  process.stdout.write(`${flags.json === true ? JSON.stringify(found, null, 2) : formatStatus(found)}\n`);
  return 0;
}

async function run(flags: Flags, dir: string, signal: AbortSignal): Promise<number> {
  const { runAgent } = await import('./commands/run.ts');
  const parentGone = new AbortController();
  exitWithParent(() => parentGone.abort());
  await runAgent({ dir, mainUrl: import.meta.url, settings: parseSettings(flags) }, AbortSignal.any([signal, parentGone.signal]));
  return 0;
}

async function lock(flags: Flags, dir: string): Promise<number> {
  const { lockUpdates } = await import('./adapters/disk/update-lock.ts');
  await lockUpdates(dir, flags.reason ?? '');
  process.stdout.write('Updates are locked. What serves goes on serving; unlock with: selvedge-agent unlock\n');
  return 0;
}

async function unlock(dir: string): Promise<number> {
  const { unlockUpdates } = await import('./adapters/disk/update-lock.ts');
  process.stdout.write((await unlockUpdates(dir)) ? 'Updates are no longer locked.\n' : 'Updates were not locked.\n');
  return 0;
}

async function golden(flags: Flags, dir: string): Promise<number> {
  const { file, port, 'previous-port': previousPort } = flags;
  if (file === undefined || port === undefined) throw usage('golden needs --file and --port; the agent calls it.');
  const { askGolden } = await import('./commands/golden.ts');
  const result = await askGolden(dir, file, Number(port), previousPort === undefined ? null : Number(previousPort));
  process.stdout.write(`${JSON.stringify(result)}\n`);
  return 0;
}

async function main(signal: AbortSignal): Promise<number> {
  const { values: flags, positionals } = parseFlags();
  const [command, argument, ...rest] = positionals;
  if (flags.help === true || command === undefined) {
    process.stdout.write(USAGE);
    return flags.help === true ? 0 : 2;
  }
  if (rest.length > 0 || (argument !== undefined && command !== 'join')) throw usage(`"${rest[0] ?? argument}" is one word too many.`);
  const dir = resolve(flags.dir ?? process.env.SELVEDGE_AGENT_DIR ?? join(homedir(), '.selvedge', 'agent'));
  switch (command) {
    case 'join':
      return joinCommand(argument, flags, dir, signal);
    case 'run':
      return run(flags, dir, signal);
    case 'status':
      return status(flags, dir);
    case 'lock':
      return lock(flags, dir);
    case 'unlock':
      return unlock(dir);
    case 'golden':
      return golden(flags, dir);
    case 'renew': {
      const { renewCertificate } = await import('./commands/renew.ts');
      await renewCertificate(dir, signal);
      return 0;
    }
    default:
      throw usage(`"${command}" is not a command.`);
  }
}

await runMain(main);
// Whatever is still open (a half-closed connection, a child's pipe) must not keep an ended agent alive.
process.exit();
