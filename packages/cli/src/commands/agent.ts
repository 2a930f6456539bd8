import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { runForeground } from '../foreground.ts';
import { agentProgram } from '../install-root.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { collectLabels, globalOptions, seconds } from '../options.ts';

interface JoinOptions {
  token?: string;
  offline?: boolean;
  out?: string;
  answer?: string;
  caSha256?: string;
  dir?: string;
  name?: string;
  label?: Record<string, string>;
  force?: boolean;
  run: boolean;
}

const DIR_FLAGS = '--dir <folder>';
const DIR_HELP = "the agent's folder: its identity, models and state (env SELVEDGE_AGENT_DIR; default: ~/.selvedge/agent)";

function agentDir(given: string | undefined, io: Io): string {
  const wanted = given ?? (io.env.SELVEDGE_AGENT_DIR || undefined);
  return wanted === undefined ? join(io.env.HOME ?? homedir(), '.selvedge', 'agent') : resolve(io.cwd, wanted);
}

/** The agent's own program says which of them go together. */
function joinArguments(url: string | undefined, options: JoinOptions, dir: string, io: Io): string[] {
  const args = ['join', ...(url === undefined ? [] : [url]), '--dir', dir];
  if (options.token !== undefined) args.push('--token', options.token);
  if (options.offline === true) args.push('--offline');
  if (options.out !== undefined) args.push('--out', resolve(io.cwd, options.out));
  if (options.answer !== undefined) args.push('--answer', resolve(io.cwd, options.answer));
  if (options.caSha256 !== undefined) args.push('--ca-sha256', options.caSha256);
  if (options.name !== undefined) args.push('--name', options.name);
  for (const [key, value] of Object.entries(options.label ?? {})) args.push('--label', `${key}=${value}`);
  if (options.force === true) args.push('--force');
  return args;
}

/** Runs the agent's own program; what it prints is for people: with a machine-readable form it goes to stderr. */
async function runAgent(args: readonly string[], called: Command, io: Io): Promise<void> {
  const output = globalOptions(called).output ?? 'table';
  const target = output === 'table' ? io.stdout : io.stderr;
  await runForeground({
    command: [agentProgram(), ...args],
    what: 'the agent',
    io,
    errorsAsJson: output === 'json',
    onLine: (line) => void target.write(`${line}\n`),
  });
}

function registerJoin(command: Command, io: Io): void {
  const joined = command
    .command('join [url]')
    .description('make this machine a device of the server, then run the agent')
    .option('--token <token>', 'join token, from "selvedge device token"')
    .option('--offline', 'without a network: write a request for "selvedge device sign-request"')
    .option('--out <file>', 'with --offline: where to write it')
    .option('--answer <file>', 'without a network: take what "selvedge device sign-request" wrote')
    .option('--ca-sha256 <hex>', 'with --answer: the authority that it must be of, as "sign-request" printed it')
    .option(DIR_FLAGS, DIR_HELP)
    .option('--name <name>', 'wished name of the device (default: the server picks one)')
    .option('--label <key=value>', 'label of the device; may be repeated', collectLabels)
    .option('--force', 'join although the folder belongs to a device already')
    .option('--no-run', 'do not run the agent afterwards')
    .action(async (url: string | undefined, options: JoinOptions, called: Command) => {
      const dir = agentDir(options.dir, io);
      await runAgent(joinArguments(url, options, dir, io), called, io);
      if (options.run && options.offline !== true && !io.signal.aborted) await runAgent(['run', '--dir', dir], called, io);
    });
  finishLeaf(joined, {
    server: false,
    examples: [
      'selvedge agent join https://edge-server:7443 --token TOKEN --name edge-1 --label site=plant-3',
      'selvedge agent join https://edge-server:7443 --token TOKEN --dir /var/lib/selvedge --no-run',
      'selvedge agent join --offline --out edge-1.request --name edge-1',
      'selvedge agent join --answer edge-1.answer',
    ],
    notes: 'The URL is that of the device port; "selvedge device token" prints the whole command.',
  });
}

export function registerAgent(command: Command, io: Io): void {
  registerJoin(command, io);
  registerService(command, io);
  registerBundles(command, io);
  const run = command
    .command('run')
    .description('run the agent of a machine that has joined, in the foreground')
    .option(DIR_FLAGS, DIR_HELP)
    .action(async (options: { dir?: string }, called: Command) => {
      await runAgent(['run', '--dir', agentDir(options.dir, io)], called, io);
    });
  finishLeaf(run, { server: false, examples: ['selvedge agent run', 'selvedge agent run --dir /var/lib/selvedge'] });
}

interface ApplyBundleOptions {
  dir?: string;
  resultsTo?: string;
  wait?: number;
}

function registerBundles(command: Command, io: Io): void {
  const apply = command
    .command('apply-bundle <file>')
    .description('take what "selvedge bundle export" wrote for this device; no network is needed')
    .option(DIR_FLAGS, DIR_HELP)
    .option('--results-to <folder>', 'write the results there afterwards, e.g. onto the stick')
    .option('--wait <span>', 'how long what it brings is waited for (default: not, with --results-to: 60s)', seconds(0, 86_400, '0s to 1d'))
    .action(async (file: string, options: ApplyBundleOptions, called: Command) => {
      const { dir, resultsTo, wait } = options;
      const args = ['apply-bundle', resolve(io.cwd, file), '--dir', agentDir(dir, io)];
      if (resultsTo !== undefined) args.push('--results-to', resolve(io.cwd, resultsTo));
      if (wait !== undefined) args.push('--wait', String(wait));
      await runAgent(args, called, io);
    });
  finishLeaf(apply, {
    server: false,
    examples: ['selvedge agent apply-bundle /media/stick/line-3.tar', 'selvedge agent apply-bundle line-3.tar --results-to /media/stick'],
    notes: 'Nothing is changed before the last byte was verified. A running agent takes it up at once, another when it starts.',
  });
  const results = command
    .command('export-results')
    .description('write what this device reports to a file, for "selvedge bundle import-results"')
    .option(DIR_FLAGS, DIR_HELP)
    .requiredOption('-o, --out <file>', 'file to write')
    .action(async (options: { dir?: string; out: string }, called: Command) => {
      await runAgent(['export-results', '--out', resolve(io.cwd, options.out), '--dir', agentDir(options.dir, io)], called, io);
    });
  finishLeaf(results, { server: false, output: 'file', examples: ['selvedge agent export-results -o /media/stick/edge-1.results'] });
}

interface InstallOptions {
  url?: string;
  token?: string;
  memoryMax?: string;
  root?: string;
  print?: boolean;
}

function installArguments({ url, token, memoryMax, root, print }: InstallOptions, io: Io): string[] {
  const args = ['install'];
  if (url !== undefined) args.push('--url', url);
  if (token !== undefined) args.push('--token', token);
  if (memoryMax !== undefined) args.push('--memory-max', memoryMax);
  if (root !== undefined) args.push('--root', resolve(io.cwd, root));
  if (print === true) args.push('--print');
  return args;
}

function registerService(command: Command, io: Io): void {
  const install = command
    .command('install')
    .description('make the agent a service of systemd, with a user of its own and a memory ceiling')
    .option('--url <url>', 'device port of the server that it joins when it starts first')
    .option('--token <token>', 'join token, from "selvedge device token"')
    .option('--memory-max <size>', 'ceiling for the agent and what it serves, like 512M or 80% (default: 80%)')
    .option('--root <folder>', 'install into the tree of another system, e.g. of an image')
    .option('--print', 'print the unit and install nothing')
    .action(async (options: InstallOptions, called: Command) => {
      await runAgent(installArguments(options, io), called, io);
    });
  finishLeaf(install, {
    server: false,
    examples: [
      'selvedge agent install --url https://edge-server:7443 --token TOKEN',
      'selvedge agent install --root ./image --url https://edge-server:7443 --token TOKEN',
      'selvedge agent install --print',
    ],
  });
  const uninstall = command
    .command('uninstall')
    .description('stop the service and remove it; the identity and the models of the device stay')
    .option('--root <folder>', 'remove it from the tree of another system')
    .option('--purge', 'remove identity and models as well')
    .action(async (options: { root?: string; purge?: boolean }, called: Command) => {
      const root = options.root === undefined ? [] : ['--root', resolve(io.cwd, options.root)];
      await runAgent(['uninstall', ...root, ...(options.purge === true ? ['--purge'] : [])], called, io);
    });
  finishLeaf(uninstall, { server: false, examples: ['selvedge agent uninstall'] });
}
