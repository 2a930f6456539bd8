import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { AppError } from '@selvedge/contract';
import { type LocalTool, type RemoteTool, readProject, type ToolCommand, toolCommandOf } from '@selvedge/runtime/project';
import type { ServerConfig } from '../../config.ts';

export interface ProjectTools {
  readonly local: { name: string; commandFor(dataDir: string): ToolCommand }[];
  readonly remote: RemoteTool[];
}

/**
 * The tools of the project's file, and how each is started or reached.
 *
 * @throws AppError with file and line of each fault; SETUP_INCOMPLETE (user) when containers are asked for and no engine
 * answers, or tools of others without a token for them.
 */
export async function readProjectTools(config: ServerConfig): Promise<ProjectTools> {
  const { projectFile, projectFileOptional, pythonPath, nodeKit, toolTokenFile } = config;
  if (projectFile === null) return { local: [], remote: [] };
  const tools = await readProject(projectFile, { isOptional: projectFileOptional });
  const local = tools.filter((tool) => tool.kind !== 'remote');
  const remote = tools.filter((tool) => tool.kind === 'remote');
  if (remote.length > 0 && toolTokenFile === null) {
    throw new AppError('SETUP_INCOMPLETE', {
      message: `${projectFile} names tools by url (${remote.map(({ name }) => name).join(', ')}), and there is no token for them.`,
      hint: 'Write a token of at least 16 characters to a file, and name it in SELVEDGE_TOOL_TOKEN_FILE for the server and the tools.',
    });
  }
  await requireEngine(local, projectFile);
  const installation = { pythonPath, nodeKit };
  return {
    local: local.map((tool) => ({ name: tool.name, commandFor: (dataDir) => toolCommandOf(tool, dataDir, installation) })),
    remote,
  };
}

async function requireEngine(tools: readonly LocalTool[], file: string): Promise<void> {
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
