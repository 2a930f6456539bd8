import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { AppError } from '@selvedge/contract';
import { type ProjectTool, readProject, type ToolCommand, toolCommandOf } from '@selvedge/runtime/project';
import type { ServerConfig } from '../../config.ts';

/** Names that mean something else where tools are named. */
const RESERVED = ['import', 'process', 'export', 'split', 'train', 'benchmark', 'build', 'visualize', 'register', 'dataset'];

/**
 * The tools of the project's file, and how each is started.
 *
 * @throws AppError with file and line of each fault; SETUP_INCOMPLETE (user) when containers are asked for and no engine answers.
 */
export async function readProjectTools(config: ServerConfig): Promise<{ name: string; commandFor(dataDir: string): ToolCommand }[]> {
  const { projectFile, projectFileOptional, pythonPath } = config;
  if (projectFile === null) return [];
  const tools = await readProject(projectFile, RESERVED, { isOptional: projectFileOptional });
  await requireEngine(tools, projectFile);
  return tools.map((tool) => ({ name: tool.name, commandFor: (dataDir) => toolCommandOf(tool, dataDir, { pythonPath }) }));
}

async function requireEngine(tools: readonly ProjectTool[], file: string): Promise<void> {
  const contained = tools.filter(({ kind }) => kind !== 'process').map(({ name }) => name);
  if (contained.length === 0) return;
  try {
    await promisify(execFile)('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 30_000 });
  } catch (cause) {
    throw new AppError(
      'SETUP_INCOMPLETE',
      {
        message: `${file} wants ${contained.join(', ')} run as a container, and no Docker engine answers "docker version".`,
        hint: 'Install and start Docker, or give the tool by "path".',
      },
      { cause },
    );
  }
}
