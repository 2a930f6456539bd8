import { delimiter, dirname } from 'node:path';
import { containerCommand } from './container-command.ts';
import type { LocalTool } from './read-project.ts';
import type { ToolCommand, ToolInstallation } from './tool-installation.ts';
import { typescriptHost, typescriptNode } from './typescript-command.ts';

/**
 * How a project's tool is started on a data folder.
 *
 * @throws AppError SETUP_INCOMPLETE (user) when this machine cannot run it.
 */
export function toolCommandOf(tool: LocalTool, dataDir: string, installation: ToolInstallation): ToolCommand {
  if (tool.kind !== 'process') return containerCommand(tool, dataDir, installation);
  const { command, env } = programCommand(tool.file, installation);
  return { command: [...command, '--data', dataDir, '--port', '0'], env };
}

function programCommand(file: string, installation: ToolInstallation): ToolCommand {
  if (file.endsWith('.py')) return { command: ['python3', file], env: pythonEnvironment(installation) };
  const { nodeKit } = installation;
  return { command: [...typescriptNode(nodeKit, dirname(file)), typescriptHost(nodeKit), file], env: {} };
}

/** How the tests that an author has written beside a tool are run; `files` are their names. */
export function toolTestCommand(file: string, files: readonly string[], installation: ToolInstallation): ToolCommand | undefined {
  const folder = dirname(file);
  if (file.endsWith('.py')) {
    if (!files.some((name) => /^test_.*\.py$/.test(name))) return undefined;
    return { command: ['python3', '-m', 'unittest', 'discover', '-s', folder], env: pythonEnvironment(installation) };
  }
  if (!files.includes('tool.test.ts')) return undefined;
  return { command: [...typescriptNode(installation.nodeKit, folder), file.replace(/\.ts$/, '.test.ts')], env: {} };
}

function pythonEnvironment({ pythonPath }: ToolInstallation): Record<string, string> {
  const path = [pythonPath, process.env.PYTHONPATH ?? ''].filter((part) => part !== '').join(delimiter);
  return { PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' };
}
