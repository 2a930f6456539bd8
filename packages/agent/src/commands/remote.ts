import type { Logger } from '@selvedge/runtime';
import { ProgramJournalFile } from '../adapters/disk/program-journal-file.ts';
import { ChildProgramRunner } from '../adapters/process/child-program-runner.ts';
import type { DeviceLogs } from '../ports/device-log.ts';
import { Programs } from '../services/programs.ts';
import { RemoteCommands } from '../services/remote-commands.ts';
import { readRemotePolicy } from './settings.ts';

/** Puts together what runs programs for the server. What an agent that was killed has left is tidied up first. */
export async function openRemoteCommands(options: {
  dir: string;
  logs: DeviceLogs;
  restart: (workload: string) => Promise<void>;
  log: Logger;
  clock: () => number;
}): Promise<RemoteCommands> {
  const { dir, logs, restart, log, clock } = options;
  const journal = new ProgramJournalFile(dir);
  const programs = new Programs({ runner: new ChildProgramRunner(), journal, policy: () => readRemotePolicy(dir), log, clock });
  await programs.recover();
  return new RemoteCommands(programs, logs, restart);
}
