import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, BUILT_IN_TOOLS, CANCEL_MARKER, type Module } from '@selvedge/contract';
import { type Logger, systemErrorCode } from '@selvedge/runtime';
import type { ToolClient } from '../ports/tool-client.ts';
import type { EventHub } from './event-hub.ts';
import { RemoteTool } from './remote-tool.ts';
import { SupervisedTool } from './supervised-tool.ts';
import type { ToolDirectory } from './tool-directory.ts';

/** A tool that a project brings along, and how it is started on its data folder. */
export interface ProjectModule {
  readonly name: string;
  commandFor(dataDir: string): {
    readonly command: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly startLimitMs?: number;
    readonly afterStop?: readonly string[];
  };
}

/** A tool that somebody else runs; a built-in one of this name is then not started. */
interface RemoteModule {
  readonly name: string;
  readonly url: string;
}

export interface ModuleSupervisorOptions {
  /** The tool's name and its flags are appended. */
  toolCommand: readonly string[];
  /** Each tool gets a folder of its own below. */
  toolsDir: string;
  /** Where the toolchains are that packages are built with. */
  targetsDir: string;
  /** Credential between the server and its tools. */
  token: string;
  directory: ToolDirectory;
  tools: ToolClient;
  hub: EventHub;
  log: Logger;
  clock: () => Date;
  /** Which tools; default all. */
  names?: readonly string[];
  /** Tools of the project, in addition. */
  projectTools?: readonly ProjectModule[];
  /** Tools that others run. */
  remoteTools?: readonly RemoteModule[];
}

/** Starts the tools as child processes, watches their health and that of others' tools, restarts its own with back-off and says how all are. */
export class ModuleSupervisor {
  readonly #options: ModuleSupervisorOptions;
  #tools: (SupervisedTool | RemoteTool)[] = [];

  constructor(options: ModuleSupervisorOptions) {
    this.#options = options;
  }

  /** @param origin - where the tools reach the server: `http://127.0.0.1:7070`. Returns once the children are spawned. */
  async start(origin: string): Promise<void> {
    const { names = BUILT_IN_TOOLS, toolCommand, toolsDir, projectTools = [], remoteTools = [] } = this.#options;
    const elsewhere = new Set(remoteTools.map(({ name }) => name));
    const own = names
      .filter((name) => !elsewhere.has(name))
      .map((name) => ({
        name,
        commandFor: (dataDir: string) => ({ command: [...toolCommand, name, '--data', dataDir, '--port', '0'], env: {} }),
      }));
    for (const module of [...own, ...projectTools]) {
      const dataDir = join(toolsDir, module.name);
      await mkdir(dataDir, { recursive: true });
      const tool = this.#supervise(module, dataDir, origin);
      this.#tools.push(tool);
      tool.start();
    }
    for (const { name, url } of remoteTools) {
      const tool = new RemoteTool({ ...this.#common(name), url });
      this.#tools.push(tool);
      tool.start();
    }
  }

  #common(name: string) {
    const { directory, tools, hub, log, clock } = this.#options;
    const onChange = (module: Module) => hub.publish({ type: 'module', module });
    return { name, directory, tools, log: log.child({ module: name }), clock, onChange };
  }

  #supervise({ name, commandFor }: ProjectModule, dataDir: string, origin: string): SupervisedTool {
    const { targetsDir, token } = this.#options;
    const { command, env, startLimitMs, afterStop } = commandFor(dataDir);
    return new SupervisedTool({
      ...this.#common(name),
      command,
      env: { ...env, SELVEDGE_TOOL_TOKEN: token, SELVEDGE_TRUSTED_ORIGINS: origin, SELVEDGE_TARGETS_DIR: targetsDir },
      startLimitMs,
      afterStop,
    });
  }

  /** Ends all tools within `graceMs` (default 3,000). */
  async stop(options: { graceMs?: number } = {}): Promise<void> {
    await Promise.all(this.#tools.map((tool) => tool.stop(options)));
    this.#tools = [];
  }

  list(): Module[] {
    return this.#tools.map((tool) => tool.describe());
  }

  /** Why a tool cannot be used now, for people; undefined when it can. */
  whyDown(name: string): string | undefined {
    const tool = this.#tools.find((candidate) => candidate.name === name);
    return tool === undefined ? `There is no ${name} tool here.` : tool.whyDown();
  }

  /** Digest of a tool's code, for lineage. @throws AppError TOOL_UNAVAILABLE while it is not known. */
  codeDigestOf(name: string): string {
    const digest = this.#tools.find((candidate) => candidate.name === name)?.description?.codeDigest;
    if (digest === undefined) throw new AppError('TOOL_UNAVAILABLE', { message: `The ${name} tool has not described itself yet.` });
    return digest;
  }

  /** Version and code digest of a tool. @throws AppError TOOL_UNAVAILABLE while they are not known. */
  codeOf(name: string): { version: string; codeDigest: string } {
    const version = this.#tools.find((candidate) => candidate.name === name)?.description?.version ?? '';
    return { version, codeDigest: this.codeDigestOf(name) };
  }

  /** Ends the process of a tool that does not let go of an artifact; the artifact is marked, so that it is not taken up again. */
  async endWork(name: string, artifact: string): Promise<void> {
    const folder = join(this.#options.toolsDir, name, 'artifacts', artifact);
    await writeFile(join(folder, CANCEL_MARKER), '', { flush: true }).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error; // gone in the meantime, or kept elsewhere
    });
    this.#tools.find((candidate) => candidate.name === name)?.restart();
  }

  /** `data`, `models`, or undefined while the tool has not described itself. */
  classOf(name: string): 'data' | 'models' | undefined {
    return this.#tools.find((candidate) => candidate.name === name)?.description?.class;
  }

  /** @returns false when there is no such tool. */
  has(name: string): boolean {
    return this.#tools.some((tool) => tool.name === name);
  }
}
