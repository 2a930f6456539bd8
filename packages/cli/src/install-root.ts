import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AppError } from '@selvedge/contract';

/** The folder that holds `packages/`, seen from this file or from the bundle that it is part of. */
function installRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'packages/cli/bin/selvedge.mjs'))) return folder;
  }
  throw new AppError('SETUP_INCOMPLETE', { message: `${start} is not part of a Selvedge installation.` });
}

/** The bundle of a program, or its source through tsx where it has not been built. */
function programCommand(what: string, bundlePath: string, sourcePath: string): [string, ...string[]] {
  const root = installRoot();
  const bundle = join(root, bundlePath);
  if (existsSync(bundle)) return [process.execPath, bundle];
  const source = join(root, sourcePath);
  if (existsSync(source)) {
    const loader = createRequire(import.meta.url).resolve('tsx');
    return [process.execPath, '--import', pathToFileURL(loader).href, source];
  }
  throw new AppError('SETUP_INCOMPLETE', {
    message: `The ${what} has not been built.`,
    hint: 'Run "npm run build" in the root of the repository.',
  });
}

export function serverCommand(): [string, ...string[]] {
  return programCommand('server', 'packages/server/dist/server.js', 'packages/server/src/main.ts');
}

/** What `selvedge simulate` runs. */
export function simulatorCommand(): [string, ...string[]] {
  return programCommand('simulator', 'packages/simulator/dist/simulator.js', 'packages/simulator/src/main.ts');
}

/** What tools of a project are run with. */
export function toolInstallation(): { pythonPath: string; nodeKit: string } {
  const root = installRoot();
  const built = join(root, 'packages/tools/dist/selvedge-kit');
  return { pythonPath: join(root, 'clients/python/src'), nodeKit: existsSync(built) ? built : join(root, 'packages/tools/src') };
}

/** The agent's own program. */
export function agentProgram(): string {
  const program = join(installRoot(), 'packages/agent/bin/selvedge-agent');
  if (existsSync(program)) return program;
  throw new AppError('SETUP_INCOMPLETE', {
    message: `${program} does not exist.`,
    hint: 'Run "npm run build" in the root of the repository.',
  });
}
