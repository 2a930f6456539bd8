import { AppError } from '@selvedge/contract';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Record<string, unknown>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Process or part, e.g. `server`. */
  name: string;
  /** Lowest level written; default `info`. */
  level?: LogLevel;
  /** Where lines go; default stderr. */
  write?: (line: string) => void;
  /** JSON lines, or lines for people; default: for people when stderr is a terminal. */
  format?: 'json' | 'human';
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/**
 * A logger of some thirty lines instead of a library, because the agent carries it too and its memory is budgeted.
 * Fields must be plain data; secrets must not be passed.
 */
export function createLogger(options: LoggerOptions): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const human = (options.format ?? (process.stderr.isTTY ? 'human' : 'json')) === 'human';
  const lowest = LEVELS.indexOf(options.level ?? 'info');

  const build = (bound: LogFields): Logger => {
    const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
      if (LEVELS.indexOf(level) < lowest) return;
      const all = { ...bound, ...fields };
      write(
        human
          ? humanLine(level, options.name, message, all)
          : `${JSON.stringify({ at: new Date().toISOString(), level, name: options.name, message, ...all })}\n`,
      );
    };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => build({ ...bound, ...fields }),
    };
  };
  return build({});
}

function humanLine(level: LogLevel, name: string, message: string, fields: LogFields): string {
  const extra = Object.entries(fields)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
  return `${new Date().toISOString().slice(11, 23)} ${level.padEnd(5)} ${name}: ${message}${extra}\n`;
}

/** What to log of an error: code and message always, stack and cause for what is a bug. */
export function describeError(error: unknown): LogFields {
  if (error instanceof AppError) {
    const cause = error.cause instanceof Error ? error.cause.message : undefined;
    return {
      code: error.code,
      error: error.message,
      ...(cause === undefined ? {} : { cause }),
      ...(error.kind === 'bug' ? { stack: error.stack } : {}),
    };
  }
  if (error instanceof Error) return { error: error.message, stack: error.stack };
  return { error: String(error) };
}
