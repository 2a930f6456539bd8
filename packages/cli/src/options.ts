import { type Command, InvalidArgumentError, Option } from 'commander';

const OUTPUT_FORMATS = ['table', 'json', 'yaml'] as const;
/** Heading of the global options in a command's help. */
export const GLOBAL_GROUP = 'Global options:';
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** The options that every command takes, as commander hands them over. */
export interface GlobalOptions {
  server?: string | undefined;
  token?: string | undefined;
  data?: string | undefined;
  output?: OutputFormat | undefined;
  color?: boolean | undefined;
  quiet?: boolean | undefined;
}

export interface GlobalOptionChoice {
  /** `file` leaves `-o` to a command that writes a file. */
  output?: 'format' | 'file';
  /** False for a command that does not talk to the server's API. */
  server?: boolean;
}

/** Adds the global options that make sense for a command. */
export function addGlobalOptions(command: Command, choice: GlobalOptionChoice = {}): Command {
  const global = (flags: string, description: string) => new Option(flags, description).helpGroup(GLOBAL_GROUP);
  if (choice.server !== false) {
    command.addOption(global('--server <url>', 'server to talk to (env SELVEDGE_SERVER; default: the one of the data folder)'));
    command.addOption(global('--token <token>', 'API token (env SELVEDGE_TOKEN; default: admin-token of the data folder)'));
    command.addOption(global('--data <dir>', 'data folder of a server on this machine (env SELVEDGE_DATA; default: .selvedge)'));
  }
  const format = choice.output === 'file' ? '--output <format>' : '-o, --output <format>';
  command.addOption(global(format, 'form of the result (default: table)').choices(OUTPUT_FORMATS));
  command.addOption(global('--no-color', 'no colours (also with NO_COLOR set)'));
  command.addOption(global('-q, --quiet', 'results and errors only'));
  return command;
}

/** The global options as given before the command (`selvedge -q run list`) or after it; after wins. */
export function globalOptions(command: Command): GlobalOptions {
  let given: GlobalOptions = {};
  for (let at: Command | null = command; at !== null; at = at.parent) {
    const level = at;
    const values: GlobalOptions = level.opts();
    const set = (name: keyof GlobalOptions) => level.getOptionValueSource(name) === 'cli';
    given = {
      server: given.server ?? values.server,
      token: given.token ?? values.token,
      data: given.data ?? values.data,
      output: given.output ?? values.output,
      // commander gives a --no-... option a value of its own when it is not there
      color: given.color ?? (set('color') ? values.color : undefined),
      quiet: given.quiet ?? values.quiet,
    };
  }
  return given;
}

/** Parser of a whole number within bounds, for an option. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || text.trim() === '' || value < min || value > max)
      throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Parser of a share: 0 or more, below 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value < 1)) throw new InvalidArgumentError('Give a number from 0 to below 1, like 0.2.');
  return value;
}

const SECONDS_PER_UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Parser of a span such as `90s`, `15m`, `2h` or `7d`, in seconds; a bare number is seconds. `range` is told to the user as it is. */
export function seconds(minS: number, maxS: number, range: string): (text: string) => number {
  return (text) => {
    const value = parseSpan(text);
    if (value < minS || value > maxS) throw new InvalidArgumentError(`Give a span of ${range}.`);
    return value;
  };
}

function parseSpan(text: string): number {
  const match = /^(\d{1,9})([smhd]?)$/.exec(text);
  const unit = SECONDS_PER_UNIT[match?.[2] === '' ? 's' : (match?.[2] ?? '')];
  if (match === null || unit === undefined) throw new InvalidArgumentError('Give a span like 90s, 15m, 2h or 7d.');
  return Number(match[1]) * unit;
}

/** Collects the values of an option that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

/** Collects `key=value` pairs of an option that may be given several times. */
export function collectLabels(value: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = value.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Give it as key=value.');
  return { ...previous, [value.slice(0, at)]: value.slice(at + 1) };
}
