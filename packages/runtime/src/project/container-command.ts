import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ContainedTool } from './read-project.ts';
import type { ToolCommand, ToolInstallation } from './tool-installation.ts';

/** Building an image may load a base image and packages first. */
const IMAGE_BUILD_LIMIT_MS = 15 * 60_000;

/** Tools in containers get these from our environment, so that the token is not among the arguments. */
const PASSED_ON = ['SELVEDGE_TOOL_TOKEN', 'SELVEDGE_TRUSTED_ORIGINS', 'SELVEDGE_EXIT_WITH_PARENT'];

/**
 * How a tool in a container is started on a data folder. The container shares the network of the machine, so that it listens
 * on loopback like every other tool and reaches the server there; of the disk it sees nothing but its own folder.
 */
export function containerCommand(tool: ContainedTool, dataDir: string, installation: ToolInstallation): ToolCommand {
  // Two servers on one engine may have tools of the same name.
  const name = `selvedge-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}-${tool.name}`;
  const image = tool.kind === 'image' ? tool.image : `selvedge-tool-${tool.name}`;
  const user = process.getuid === undefined ? [] : ['--user', `${process.getuid()}:${process.getgid?.() ?? 0}`];
  const locks = ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
  const options = ['--name', name, '--rm', '-i', '--init', '--network', 'host', '--volume', `${dataDir}:/data`, ...user, ...locks];
  const run = ['run', ...options, ...PASSED_ON.flatMap((variable) => ['--env', variable]), image, '--data', '/data', '--port', '0'];
  // A container of an earlier process, which was killed and could not take it along, must not keep the data folder.
  const start = `docker rm -f ${name} >/dev/null 2>&1; exec docker ${run.map(quoted).join(' ')}`;
  const common = { env: {}, afterStop: ['docker', 'rm', '-f', name] };
  if (tool.kind === 'image') return { ...common, command: ['sh', '-c', start] };
  const build = `${packedContext(tool.dockerfile, installation)} | docker build -q -t ${image} -f ${quoted(basename(tool.dockerfile))} - >&2`;
  return { ...common, command: ['sh', '-c', `${build} || exit 1; ${start}`], startLimitMs: IMAGE_BUILD_LIMIT_MS };
}

/** The build context is the Dockerfile's folder and, in it, the kits: `selvedge` for Python, `selvedge-kit` for Node where it is built. */
function packedContext(dockerfile: string, { pythonPath, nodeKit }: ToolInstallation): string {
  const kits = [join(pythonPath, 'selvedge'), ...(existsSync(join(nodeKit, 'host.js')) ? [nodeKit] : [])];
  const folders = kits.flatMap((kit) => ['-C', dirname(kit), basename(kit)]);
  return ['tar', '-cf', '-', '--exclude=__pycache__', '-C', dirname(dockerfile), '.', ...folders].map(quoted).join(' ');
}

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
