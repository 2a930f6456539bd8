import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAX_OUTPUT = 16 * 1024 * 1024;

/** Debian's place of the plugin, for a docker that does not look there. */
const PLUGIN = '/usr/libexec/docker/cli-plugins/docker-compose';

export type Compose = (...args: string[]) => Promise<string>;

/** The command that is compose here; undefined where there is none. `SELVEDGE_COMPOSE` names a program. */
async function composeCommand(): Promise<readonly [string, ...string[]] | undefined> {
  const candidates: (readonly [string, ...string[]])[] = [['docker', 'compose'], [PLUGIN]];
  const given = process.env.SELVEDGE_COMPOSE;
  if (given !== undefined) candidates.unshift([given]);
  for (const command of candidates) {
    const [program, ...args] = command;
    const works = await run(program, [...args, 'version']).then(
      () => true,
      () => false,
    );
    if (works) return command;
  }
  return undefined;
}

/** @param env - on top of which compose runs. */
export async function findCompose(folder: string, env: NodeJS.ProcessEnv): Promise<Compose | undefined> {
  const command = await composeCommand();
  if (command === undefined) return undefined;
  await access(folder);
  const [program, ...first] = command;
  return async (...args) => {
    const { stdout } = await run(program, [...first, ...args], { cwd: folder, env, maxBuffer: MAX_OUTPUT });
    return stdout.trim();
  };
}
