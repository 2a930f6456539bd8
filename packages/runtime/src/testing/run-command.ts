import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs a program of this machine to its end. @returns what it printed on stdout. */
export async function runCommand(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [...args]);
  return stdout;
}
