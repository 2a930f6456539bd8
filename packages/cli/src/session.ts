import type { Client } from '@selvedge/contract';
import type { Command } from 'commander';
import { connect } from './connect.ts';
import type { Io } from './io.ts';
import { globalOptions } from './options.ts';
import { paint, tintOf } from './output/paint.ts';
import { ProgressLine } from './output/progress.ts';
import { oneLine, type PaintedCell } from './output/table.ts';
import { resolveSettings, type Settings } from './settings.ts';

/** One call of a command: its settings, the server it talks to, and where its output goes. */
export class Session {
  readonly io: Io;
  readonly settings: Settings;
  readonly client: Client;

  constructor(io: Io, settings: Settings) {
    this.io = io;
    this.settings = settings;
    this.client = connect(settings);
  }

  /** Prints the result: the value itself with -o json|yaml, else the text that `table` makes of it. */
  async result(value: unknown, table: () => string): Promise<void> {
    const { output } = this.settings;
    if (output === 'json') this.print(JSON.stringify(value, null, 2));
    else if (output === 'yaml') {
      const { toYaml } = await import('./output/to-yaml.ts');
      this.print(toYaml(value));
    } else this.print(table());
  }

  /** One or more lines on stdout; nothing for empty text. */
  print(text: string): void {
    if (text !== '') this.io.stdout.write(`${text}\n`);
  }

  /** A remark for a person, on stderr; not with -q or a machine-readable form. */
  note(text: string): void {
    if (!this.settings.quiet && this.settings.output === 'table') this.io.stderr.write(`${text}\n`);
  }

  warn(text: string): void {
    this.io.stderr.write(`warning: ${text}\n`);
  }

  progress(): ProgressLine {
    return new ProgressLine(this.io.stderr, { quiet: this.settings.quiet });
  }

  /** A state's name in its colour. */
  state(name: string): PaintedCell {
    const tint = tintOf(name);
    const text = oneLine(name);
    return { painted: tint === undefined ? text : paint(text, tint, this.settings.color) };
  }
}

export async function openSession(command: Command, io: Io): Promise<Session> {
  return new Session(io, await resolveSettings(globalOptions(command), io));
}
