import { delimiter, dirname } from 'node:path';
import type { ProjectTool } from './read-project.ts';

/** Where the parts are that tools are run with. */
export interface ToolInstallation {
  /** Folder of the Python package `selvedge`. */
  readonly pythonPath: string;
}

export interface ToolCommand {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** How long the tool may take to its first answer, in milliseconds; default the supervisor's. */
  readonly startLimitMs?: number;
}

/** Building an image may load a base image and packages first. */
const IMAGE_BUILD_LIMIT_MS = 15 * 60_000;

/** Tools in containers get these from our environment, so that the token is not among the arguments. */
const PASSED_ON = ['SELVEDGE_TOOL_TOKEN', 'SELVEDGE_TRUSTED_ORIGINS', 'SELVEDGE_EXIT_WITH_PARENT'];

/**
 * How a project's tool is started on a data folder. A container shares the network of the machine, so that it listens on
 * loopback like every other tool, and sees nothing of the disk but its own folder.
 */
export function toolCommandOf(tool: ProjectTool, dataDir: string, installation: ToolInstallation): ToolCommand {
  if (tool.kind === 'process') return pythonCommand(tool.file, installation, ['--data', dataDir, '--port', '0']);
  const user = process.getuid === undefined ? [] : ['--user', `${process.getuid()}:${process.getgid?.() ?? 0}`];
  const image = tool.kind === 'image' ? tool.image : `selvedge-tool-${tool.name}`;
  const run = ['run', '--rm', '-i', '--init', '--network', 'host', '--volume', `${dataDir}:/data`, ...user];
  const args = [...run, ...PASSED_ON.flatMap((name) => ['--env', name]), image, '--data', '/data', '--port', '0'];
  if (tool.kind === 'image') return { command: ['docker', ...args], env: {} };
  const script = 'docker build -q -t "$1" -f "$2" "$3" >&2 && shift 3 && exec docker "$@"';
  return {
    command: ['sh', '-c', script, 'selvedge', image, tool.dockerfile, dirname(tool.dockerfile), ...args],
    env: {},
    startLimitMs: IMAGE_BUILD_LIMIT_MS,
  };
}

function pythonCommand(file: string, { pythonPath }: ToolInstallation, args: string[]): ToolCommand {
  const path = [pythonPath, process.env.PYTHONPATH ?? ''].filter((part) => part !== '').join(delimiter);
  return { command: ['python3', file, ...args], env: { PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: '1' } };
}
