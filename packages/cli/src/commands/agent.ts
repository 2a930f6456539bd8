import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { runForeground } from '../foreground.ts';
import { agentProgram } from '../install-root.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { collectLabels, globalOptions } from '../options.ts';

interface JoinOptions {
  token: string;
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

function joinArguments(url: string, options: JoinOptions, dir: string): string[] {
  const args = ['join', url, '--token', options.token, '--dir', dir];
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
    .command('join <url>')
    .description('make this machine a device of the server, then run the agent')
    .requiredOption('--token <token>', 'join token, from "selvedge device token"')
    .option(DIR_FLAGS, DIR_HELP)
    .option('--name <name>', 'wished name of the device (default: the server picks one)')
    .option('--label <key=value>', 'label of the device; may be repeated', collectLabels)
    .option('--force', 'join although the folder belongs to a device already')
    .option('--no-run', 'do not run the agent afterwards')
    .action(async (url: string, options: JoinOptions, called: Command) => {
      const dir = agentDir(options.dir, io);
      await runAgent(joinArguments(url, options, dir), called, io);
      if (options.run && !io.signal.aborted) await runAgent(['run', '--dir', dir], called, io);
    });
  finishLeaf(joined, {
    server: false,
    examples: [
      'selvedge agent join https://edge-server:7443 --token TOKEN --name edge-1 --label site=plant-3',
      'selvedge agent join https://edge-server:7443 --token TOKEN --dir /var/lib/selvedge --no-run',
    ],
    notes: 'The URL is that of the device port; "selvedge device token" prints the whole command.',
  });
}

export function registerAgent(command: Command, io: Io): void {
  registerJoin(command, io);
  const run = command
    .command('run')
    .description('run the agent of a machine that has joined, in the foreground')
    .option(DIR_FLAGS, DIR_HELP)
    .action(async (options: { dir?: string }, called: Command) => {
      await runAgent(['run', '--dir', agentDir(options.dir, io)], called, io);
    });
  finishLeaf(run, { server: false, examples: ['selvedge agent run', 'selvedge agent run --dir /var/lib/selvedge'] });
}
