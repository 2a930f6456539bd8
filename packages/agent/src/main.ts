import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join as joinPath, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AppError, EXIT, issuesOf, labelsSchema, nameSchema } from '@selvedge/contract';
import { exitWithParent, runMain } from '@selvedge/runtime';
import { config } from 'zod';
import type { JoinOptions, JoinOutcome } from './commands/join.ts';
import { type Settings, settingsSchema } from './commands/settings.ts';

// Otherwise the schema library writes and compiles a program of its own for each schema, which costs memory and, without
// V8's compilers, gains nothing.
config({ jitless: true });

const USAGE = `selvedge-agent: serves models on this device as its server tells it

Usage:
  selvedge-agent join URL --token T [--dir DIR] [--name N] [--label key=value ...] [--force]
  selvedge-agent join --offline --out FILE [--dir DIR] [--name N] [--label key=value ...] [--force]
  selvedge-agent join --answer FILE [--ca-sha256 HEX] [--dir DIR]
  selvedge-agent run [--dir DIR] [--telemetry-interval-s N] [--telemetry-batch-s N] [--results-interval-s N] [--log-level LEVEL]
                     [--memory-limit-mib N] [--cpu-limit CORES] [--disk-mib N] [--spool-mib N] [--traffic-mib-per-day N]
                     [--target T --emulator PROGRAM]
  selvedge-agent status [--dir DIR] [--json]
  selvedge-agent apply-bundle FILE [--dir DIR] [--results-to DIR] [--wait SECONDS] [--json]
  selvedge-agent export-results --out FILE [--dir DIR] [--json]
  selvedge-agent renew [--dir DIR] [--if-needed]
  selvedge-agent install [--url URL --token T] [--memory-max SIZE] [--root DIR] [--print]
  selvedge-agent uninstall [--purge] [--root DIR]
  selvedge-agent policy [--dir DIR] [--json] [--check -- ARGV ...]
  selvedge-agent lock [--dir DIR] [--reason TEXT]
  selvedge-agent unlock [--dir DIR]

  URL      address of the server's device port, e.g. https://server:7443
  --token  from "selvedge device token"
  --offline, --answer  join without a network: bring the request to "selvedge device sign-request", and its answer back
  --target, --emulator  run packages of another architecture, e.g. linux-armv7 with qemu-arm-static, for trials
  install  makes a service of systemd; --root DIR: in the tree of another system, e.g. an image; --print: shows the unit alone
  apply-bundle    takes what "selvedge bundle export" wrote; needs no network, and the agent may run or not
  export-results  writes what this device reports, for "selvedge bundle import-results"
  renew    fetches a certificate for a new key; "run" does it by itself
  --check  tells whether the server may run this command here: exit code 0, or 5 when not
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
        offline: { type: 'boolean' },
        answer: { type: 'string' },
        'ca-sha256': { type: 'string' },
        name: { type: 'string' },
        label: { type: 'string', multiple: true },
        force: { type: 'boolean' },
        json: { type: 'boolean' },
        check: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        'telemetry-interval-s': { type: 'string' },
        'telemetry-batch-s': { type: 'string' },
        'log-level': { type: 'string' },
        target: { type: 'string' },
        emulator: { type: 'string' },
        'memory-limit-mib': { type: 'string' },
        'cpu-limit': { type: 'string' },
        'disk-mib': { type: 'string' },
        'spool-mib': { type: 'string' },
        'traffic-mib-per-day': { type: 'string' },
        'results-interval-s': { type: 'string' },
        'if-needed': { type: 'boolean' },
        url: { type: 'string' },
        root: { type: 'string' },
        'memory-max': { type: 'string' },
        print: { type: 'boolean' },
        purge: { type: 'boolean' },
        reason: { type: 'string' },
        out: { type: 'string', short: 'o' },
        'results-to': { type: 'string' },
        wait: { type: 'string' },
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
    diskMiB: number(flags['disk-mib']),
    spoolMiB: number(flags['spool-mib']),
    trafficMiBPerDay: number(flags['traffic-mib-per-day']),
    resultsIntervalS: number(flags['results-interval-s']),
  };
  const parsed = settingsSchema.safeParse(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
  if (!parsed.success) throw new AppError('USAGE', { message: 'A flag has an impossible value.', issues: issuesOf(parsed.error) });
  return parsed.data;
}

async function join(
  options: Pick<JoinOptions, 'url' | 'token' | 'dir' | 'name' | 'labels' | 'force'>,
  signal: AbortSignal,
): Promise<JoinOutcome> {
  const { joinServer } = await import('./commands/join.ts');
  const onPending = (message: string, keySha256: string) =>
    void process.stdout.write(
      `${message}\n  key of this device  ${keySha256}\n  Waiting; Ctrl-C stops that, and the same join goes on with it later.\n`,
    );
  const outcome = await joinServer({ ...options, signal, onPending });
  const minutes = Math.round(Math.abs(outcome.clockOffsetMs ?? 0) / 60_000);
  if (minutes > 0) process.stderr.write(`warning: the clock of this device is off by ${minutes} minutes.\n`);
  return outcome;
}

async function joinOffline(flags: Flags, dir: string): Promise<number> {
  const { requestOffline, takeAnswer } = await import('./commands/join-offline.ts');
  const { answer, out, name, label, force } = flags;
  if (answer !== undefined) {
    const { identity, already } = await takeAnswer(dir, resolve(answer), flags['ca-sha256']);
    process.stdout.write(`${already ? 'Joined before' : 'Joined'} as device "${identity.device}" of ${identity.serverUrl}.\n`);
    return 0;
  }
  if (out === undefined) throw usage('join --offline needs --out FILE.');
  const keySha256 = await requestOffline({
    dir,
    file: resolve(out),
    ...(name === undefined ? {} : { name }),
    ...(label === undefined ? {} : { labels: parseLabels(label) }),
    ...(force === undefined ? {} : { force }),
  });
  process.stdout.write(
    `${out}: the request of this device, key ${keySha256}\nOn the server: selvedge device sign-request FILE -o ANSWER\n`,
  );
  return 0;
}

async function joinCommand(url: string | undefined, flags: Flags, dir: string, signal: AbortSignal): Promise<number> {
  if (flags.name !== undefined && !nameSchema.safeParse(flags.name).success) throw usage(`--name ${flags.name} is not a valid name.`);
  if (flags.offline === true || flags.answer !== undefined) {
    if (url !== undefined || flags.token !== undefined) throw usage('--offline and --answer go without a URL and a token.');
    return joinOffline(flags, dir);
  }
  if (url === undefined || flags.token === undefined) throw usage('join needs a URL and --token; without a network --offline or --answer.');
  const { identity, already } = await join(
    {
      url,
      token: flags.token,
      dir,
      force: flags.force ?? false,
      ...(flags.name === undefined ? {} : { name: flags.name }),
      ...(flags.label === undefined ? {} : { labels: parseLabels(flags.label) }),
    },
    signal,
  );
  process.stdout.write(
    already
      ? `${dir} has joined ${identity.serverUrl} already, as device "${identity.device}". Use --force to join anew.\n`
      : `Joined ${identity.serverUrl} as device "${identity.device}". Now run: selvedge-agent run --dir ${dir}\n`,
  );
  return 0;
}

async function install(flags: Flags, signal: AbortSignal): Promise<number> {
  const { installService, unitText } = await import('./commands/install.ts');
  const memoryMax = flags['memory-max'] ?? '80%';
  if (!/^\d+(\.\d+)?[KMGT%]?$/.test(memoryMax)) throw usage(`--memory-max ${memoryMax} is neither a size like 512M nor a share like 80%.`);
  const { url, token } = flags;
  const program = [fileURLToPath(new URL('../bin/selvedge-agent', import.meta.url))];
  if (flags.print === true) {
    process.stdout.write(unitText({ program, memoryMax }));
    return 0;
  }
  const done = await installService({ program, url, token, memoryMax, root: resolve(flags.root ?? '/'), signal });
  process.stdout.write(`${done.join('\n')}\n`);
  return 0;
}

async function uninstall(flags: Flags, signal: AbortSignal): Promise<number> {
  const { uninstallService } = await import('./commands/install.ts');
  const done = await uninstallService({ root: resolve(flags.root ?? '/'), purge: flags.purge ?? false, signal });
  process.stdout.write(`${done.join('\n')}\n`);
  return 0;
}

async function status(flags: Flags, dir: string): Promise<number> {
  const { formatStatus, readStatus } = await import('./commands/status.ts');
  const found = await readStatus(dir);
  process.stdout.write(`${flags.json === true ? JSON.stringify(found, null, 2) : formatStatus(found)}\n`);
  return 0;
}

async function policy(flags: Flags, dir: string, argv: readonly string[]): Promise<number> {
  const { checkCommand, formatPolicy } = await import('./commands/policy.ts');
  const { readRemotePolicy } = await import('./commands/settings.ts');
  const found = await readRemotePolicy(dir);
  if (flags.check === true) {
    if (argv.length === 0) throw usage('--check needs a command.');
    const { allowed, text } = checkCommand(found, argv);
    process.stdout.write(`${text}\n`);
    return allowed ? EXIT.ok : EXIT.denied;
  }
  process.stdout.write(`${flags.json === true ? JSON.stringify(found, null, 2) : formatPolicy(found)}\n`);
  return EXIT.ok;
}

async function run(flags: Flags, dir: string, signal: AbortSignal): Promise<number> {
  const { runAgent } = await import('./commands/run.ts');
  const parentGone = new AbortController();
  exitWithParent(() => parentGone.abort());
  const ended = AbortSignal.any([signal, parentGone.signal]);
  const { SELVEDGE_JOIN_URL: url = '', SELVEDGE_JOIN_TOKEN: token = '' } = process.env;
  // What a service was installed with. Workloads have no use for the secret.
  delete process.env.SELVEDGE_JOIN_TOKEN;
  if (url !== '' && token !== '' && !existsSync(joinPath(dir, 'identity.json'))) await join({ url, token, dir }, ended);
  await runAgent({ dir, mainUrl: import.meta.url, settings: parseSettings(flags) }, ended);
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

async function applyBundle(file: string | undefined, flags: Flags, dir: string, signal: AbortSignal): Promise<number> {
  if (file === undefined) throw usage('apply-bundle needs the bundle, a file.');
  const { 'results-to': resultsTo, wait } = flags;
  const waitS = Number(wait ?? (resultsTo === undefined ? 0 : 60));
  if (!(waitS >= 0 && waitS <= 86_400)) throw usage(`--wait ${wait} is not a number of seconds up to a day.`);
  const { applyText, runApply } = await import('./commands/bundle-commands.ts');
  const options = { waitMs: waitS * 1000, resultsTo: resultsTo === undefined ? undefined : resolve(resultsTo) };
  const outcome = await runApply(dir, resolve(file), options, signal);
  process.stdout.write(`${flags.json === true ? JSON.stringify(outcome, null, 2) : applyText(outcome)}\n`);
  return 0;
}

async function exportResults(flags: Flags, dir: string): Promise<number> {
  if (flags.out === undefined) throw usage('export-results needs --out FILE.');
  const { exportResults: write } = await import('./commands/export-results.ts');
  const { resultsText } = await import('./commands/bundle-commands.ts');
  const outcome = await write(dir, resolve(flags.out));
  process.stdout.write(`${flags.json === true ? JSON.stringify(outcome, null, 2) : resultsText(outcome)}\n`);
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
  const dir = resolve(flags.dir ?? process.env.SELVEDGE_AGENT_DIR ?? joinPath(homedir(), '.selvedge', 'agent'));
  if (command === 'policy') return policy(flags, dir, positionals.slice(1));
  if (rest.length > 0 || (argument !== undefined && command !== 'join' && command !== 'apply-bundle'))
    throw usage(`"${rest[0] ?? argument}" is one word too many.`);
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
    case 'apply-bundle':
      return applyBundle(argument, flags, dir, signal);
    case 'export-results':
      return exportResults(flags, dir);
    case 'golden':
      return golden(flags, dir);
    case 'renew': {
      const { renewIdentity } = await import('./commands/renew.ts');
      await renewIdentity(dir, flags['if-needed'] === true ? 'refresh' : 'renew', signal);
      return 0;
    }
    case 'install':
      return install(flags, signal);
    case 'uninstall':
      return uninstall(flags, signal);
    default:
      throw usage(`"${command}" is not a command.`);
  }
}

// Whatever is still open (a half-closed connection, a child's pipe) must not keep an ended agent alive.
void runMain(main).then(() => process.exit());
