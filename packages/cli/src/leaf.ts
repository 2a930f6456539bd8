import type { Command } from 'commander';
import { addGlobalOptions, type GlobalOptionChoice } from './options.ts';

export interface LeafOptions extends GlobalOptionChoice {
  /** Whole command lines, without the `$`. */
  examples: readonly [string, ...string[]];
  /** Further text below the options, e.g. what a form means. */
  notes?: string;
}

/** Gives a command that does something its global options, examples and notes. */
export function finishLeaf(command: Command, options: LeafOptions): Command {
  addGlobalOptions(command, options);
  const title = options.examples.length === 1 ? 'Example:' : 'Examples:';
  command.addHelpText('after', `\n${title}\n${options.examples.map((line) => `  $ ${line}`).join('\n')}`);
  if (options.notes !== undefined) command.addHelpText('after', `\n${options.notes}`);
  return command;
}
