import { type Command, CommanderError } from 'commander';
import { ChildEnded } from './child-ended.ts';
import type { Io } from './io.ts';
import { buildProgram } from './program.ts';
import { RequirementNotMet } from './requirement-not-met.ts';

const HELP_CODES = ['commander.helpDisplayed', 'commander.version'];
/** A command group called without a subcommand: its help is on stderr already. */
const HELP_AS_ERROR = 'commander.help';
const EXIT_USAGE = 2;

/** The command that the leading words name, for "see ... --help". */
function calledCommand(program: Command, argv: readonly string[]): string {
  let at: Command = program;
  const path = [program.name()];
  for (const word of argv) {
    const next = at.commands.find((command) => command.name() === word);
    if (next === undefined) continue;
    path.push(word);
    at = next;
  }
  return path.join(' ');
}

function wantsJson(argv: readonly string[]): boolean {
  return argv.some(
    (word, index) =>
      word === '-ojson' || word === '--output=json' || (word === 'json' && ['-o', '--output'].includes(argv[index - 1] ?? '')),
  );
}

async function usageError(error: CommanderError, called: string) {
  const { AppError } = await import('@selvedge/contract');
  const [first = '', ...rest] = error.message.split('\n');
  const suggestion = rest
    .map((line) => line.replace(/^\((.*)\)$/, '$1').trim())
    .filter((line) => line !== '')
    .join(' ');
  const message = `${first.replace(/^error: /, '').replace(/\.$/, '')}.`;
  const see = `See "${called} --help".`;
  return new AppError('USAGE', { message, hint: suggestion === '' ? see : `${suggestion} ${see}` }, { cause: error });
}

/**
 * Runs one call of the command line.
 *
 * @param argv - the words after the program's name.
 * @returns the exit code: 0, or that of the error (see the error table of the contract).
 */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  const program = buildProgram(io);
  try {
    await program.parseAsync(argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv], { from: 'user' });
    return 0;
  } catch (thrown) {
    if (thrown instanceof ChildEnded || thrown instanceof RequirementNotMet) return thrown.exitCode;
    const isUsage = thrown instanceof CommanderError;
    if (isUsage && (HELP_CODES.includes(thrown.code) || (thrown.code === HELP_AS_ERROR && thrown.exitCode === 0))) return 0;
    if (isUsage && thrown.code === HELP_AS_ERROR) return EXIT_USAGE;
    const { explain, printError } = await import('./output/print-error.ts');
    const error = isUsage ? await usageError(thrown, calledCommand(program, argv)) : explain(thrown, io);
    return printError(error, io, wantsJson(argv));
  }
}
