import { AppError } from '@selvedge/contract';
import { systemErrorCode } from '@selvedge/runtime';
import * as z from 'zod';
import { type ProcessOptions, runProcess } from './run-process.ts';

/** What a Python of the machine is. */
export interface Interpreter {
  /** As it was asked for: a program in PATH or a path. */
  readonly command: string;
  readonly executable: string;
  readonly version: string;
}

const answerSchema = z.object({ executable: z.string().min(1), version: z.tuple([z.int(), z.int(), z.int()]) });
const PROBE = 'import json, sys; print(json.dumps({"executable": sys.executable, "version": sys.version_info[:3]}))';
const OLDEST_MINOR = 9;

export type ProcessPlace = Pick<ProcessOptions, 'cwd' | 'env' | 'ownGroup' | 'signal'>;

/**
 * Finds the Python that a training asks for, else the one of SELVEDGE_PYTHON, else `python3`.
 *
 * @throws AppError SETUP_INCOMPLETE (user) when it is not there, or older than 3.9.
 */
export async function findInterpreter(wanted: string | undefined, place: ProcessPlace): Promise<Interpreter> {
  const command = wanted ?? (process.env.SELVEDGE_PYTHON || 'python3');
  const refuse = (message: string, cause?: unknown) =>
    new AppError(
      'SETUP_INCOMPLETE',
      {
        message,
        hint: "Install Python 3.9 or newer on the machine of the server (Debian: apt install python3), or name one in train.interpreter or in the server's environment as SELVEDGE_PYTHON.",
      },
      { cause },
    );
  const lines: string[] = [];
  let answer: string | undefined;
  try {
    const { code } = await runProcess({
      ...place,
      command: [command, '-c', PROBE],
      onLine: (stream, line) => {
        if (stream === 'stdout') answer = line;
        else lines.push(line);
      },
    });
    place.signal.throwIfAborted();
    if (code !== 0)
      throw refuse(`The engine "python" needs Python, and "${command}" does not run: ${lines.at(-1) ?? `it ended with code ${code}`}.`);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    throw refuse(`The engine "python" needs Python, and "${command}" cannot be started (${systemErrorCode(error)}).`, error);
  }
  const parsed = parseAnswer(answer);
  if (parsed === undefined) throw refuse(`The engine "python" needs Python 3, and "${command}" does not say what it is.`);
  const [major, minor, patch] = parsed.version;
  const version = `${major}.${minor}.${patch}`;
  if (major !== 3 || minor < OLDEST_MINOR)
    throw refuse(`The engine "python" needs Python 3.${OLDEST_MINOR} or newer, and "${command}" is ${version}.`);
  return { command, executable: parsed.executable, version };
}

function parseAnswer(text: string | undefined): z.output<typeof answerSchema> | undefined {
  try {
    return answerSchema.safeParse(JSON.parse(text ?? '')).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
